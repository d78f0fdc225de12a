import { randomUUID } from 'node:crypto'
import { chmod, mkdir, rename, rm, writeFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { GatewayError } from '../core/errors.ts'
import { makeFolder } from '../make-folder.ts'
import type { BundleFiles } from './archive.ts'

/**
 * Writes the files of a bundle into a folder, in place of what it held. Nothing is there before all of it is.
 * @param programs paths in the bundle that are made executable
 * @throws GatewayError `config` when that fails; the folder is as it was then
 */
export async function unpack(files: BundleFiles, folder: string, programs: readonly string[]): Promise<void> {
  const [fresh, old] = ['new', 'old'].map(kind =>
    join(dirname(folder), `.${basename(folder)}-${kind}-${randomUUID()}`),
  ) as [string, string]
  try {
    makeFolder(dirname(folder))
    await mkdir(fresh, { mode: 0o700 })
    const made = new Set<string>([fresh])
    for (const [path, content] of files) {
      const file = join(fresh, ...path.split('/'))
      if (!made.has(dirname(file))) {
        await mkdir(dirname(file), { recursive: true, mode: 0o700 })
        made.add(dirname(file))
      }
      await writeFile(file, content, { mode: 0o600, flag: 'wx' })
      if (programs.includes(path)) await chmod(file, 0o700)
    }
    const isReplaced = await moved(folder, old)
    try {
      await rename(fresh, folder)
    } catch (error) {
      if (isReplaced) await rename(old, folder)
      throw error
    }
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    throw new GatewayError(
      'config',
      `The bundle was not unpacked to ${folder} (${code ?? message}). Nothing was added.`,
      {
        cause: error,
      },
    )
  } finally {
    await Promise.all([fresh, old].map(left => rm(left, { recursive: true, force: true })))
  }
}

/** Whether there was something to move. */
async function moved(from: string, to: string): Promise<boolean> {
  try {
    await rename(from, to)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false
    throw error
  }
}
