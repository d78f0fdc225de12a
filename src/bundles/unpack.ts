import { chmod, mkdir, readdir, rename, rm, rmdir, writeFile } from 'node:fs/promises'
import { randomUUID } from 'node:crypto'
import { basename, dirname, join } from 'node:path'
import { GatewayError } from '../core/errors.ts'
import { makeFolder } from '../make-folder.ts'
import type { BundleFiles } from './archive.ts'

/**
 * Code of bundles. Each unpacking has a folder of its own, which an entry names: `<bundles>/<server>/<process>-<id>`.
 * The entry decides what runs, so that nothing is ever replaced in place. Until all files are there, the folder is
 * `<bundles>/.new-<process>-<id>`.
 */

/** Code that is not unpacked yet. */
export interface BundleCode {
  readonly files: BundleFiles
  /** Where it will be. */
  readonly folder: string
  /** Paths in the bundle that are made executable. */
  readonly programs: readonly string[]
}

const UNFINISHED = '.new-'

/** A folder for code that this process unpacks, below that of its server. */
export function codeFolder(serverFolder: string): string {
  return join(serverFolder, `${process.pid}-${randomUUID().slice(0, 8)}`)
}

/**
 * Writes the files of a bundle. What processes that were killed have not finished is removed first.
 * @throws GatewayError `config` when that fails, or the reason of `signal`; nothing is left of it then
 */
export async function unpack({ files, folder, programs }: BundleCode, signal: AbortSignal): Promise<void> {
  const bundles = dirname(dirname(folder))
  const fresh = join(bundles, `${UNFINISHED}${basename(folder)}`)
  try {
    makeFolder(bundles)
    await removeUnfinished(bundles)
    await mkdir(fresh, { mode: 0o700 })
    const made = new Set<string>([fresh])
    for (const [path, content] of files) {
      signal.throwIfAborted()
      const file = join(fresh, ...path.split('/'))
      if (!made.has(dirname(file))) {
        await mkdir(dirname(file), { recursive: true, mode: 0o700 })
        made.add(dirname(file))
      }
      await writeFile(file, content, { mode: 0o600, flag: 'wx' })
      if (programs.includes(path)) await chmod(file, 0o700)
    }
    makeFolder(dirname(folder))
    await rename(fresh, folder)
  } catch (error) {
    await rm(fresh, { recursive: true, force: true })
    await removeCode(folder)
    signal.throwIfAborted()
    const { code, message } = error as NodeJS.ErrnoException
    throw new GatewayError(
      'config',
      `The bundle was not unpacked to ${folder} (${code ?? message}). Nothing was added.`,
      { cause: error },
    )
  }
}

/** Removes unpacked code, and the folder of its server where that is empty then. */
export async function removeCode(folder: string): Promise<void> {
  await rm(folder, { recursive: true, force: true })
  await rmdir(dirname(folder)).catch(() => undefined)
}

/** Removes what was unpacked for a server earlier. What another process is about to add stays. */
export async function removeOtherCode(folder: string): Promise<void> {
  const server = dirname(folder)
  for (const name of await readdir(server))
    if (name !== basename(folder) && !isOfAnother(name))
      await rm(join(server, name), { recursive: true, force: true })
}

async function removeUnfinished(bundles: string): Promise<void> {
  for (const name of await readdir(bundles))
    if (name.startsWith(UNFINISHED) && !isOfAnother(name.slice(UNFINISHED.length)))
      await rm(join(bundles, name), { recursive: true, force: true })
}

/** Whether a name begins with the number of another process that runs. */
function isOfAnother(name: string): boolean {
  const pid = Number(/^(\d{1,10})-/.exec(name)?.[1] ?? process.pid)
  if (pid === process.pid) return false
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}
