import { readFile, rename, writeFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { dirname, join } from 'node:path'
import { stateFolder } from '../paths.ts'
import type { LoadFileOptions } from '../load/load.ts'
import { makeFolder } from '../../make-folder.ts'

/** Enough for all projects of a user; a line is 65 bytes. */
const REMEMBERED = 64

/**
 * Remembers valid configurations in a small file of the user. It cannot be the state store, which is named in the
 * configuration itself. When the file cannot be read or written, the configuration is only validated again at the next
 * start.
 */
export function knownValid(
  file: string = join(stateFolder(homedir(), process.env, process.platform), 'valid-configurations'),
): Required<Pick<LoadFileOptions, 'isKnownValid' | 'rememberValid'>> {
  const read = async (): Promise<string[]> => {
    try {
      return (await readFile(file, 'utf8')).split('\n').filter(line => line !== '')
    } catch {
      return []
    }
  }
  return {
    isKnownValid: async hash => (await read()).includes(hash),
    rememberValid: async hash => {
      try {
        const hashes = [hash, ...(await read()).filter(other => other !== hash)].slice(0, REMEMBERED)
        makeFolder(dirname(file))
        // Several gateways may start at once; a rename never exposes a partial file.
        const draft = `${file}.${process.pid}`
        await writeFile(draft, `${hashes.join('\n')}\n`, { mode: 0o600 })
        await rename(draft, file)
      } catch {
        // A read-only home directory only costs time.
      }
    },
  }
}
