import { access, constants, open, realpath, rename, stat, unlink } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'

/** Why a file was not written. `message` is the part of a sentence that follows its name. */
export class NotWritten extends Error {}

/** A lock file of this age belongs to a writer that has died. */
const STALE_MS = 60_000

/**
 * Replaces the content of a file atomically, keeping its mode and owner. Writers of all processes take turns. A link is
 * followed.
 * @param isCurrent called while no other writer can interfere; when it returns false, the file is not written
 * @returns whether it was written
 * @throws NotWritten when the file, or its folder, cannot be written
 */
export async function replaceFile(
  file: string,
  text: string,
  isCurrent: () => Promise<boolean>,
): Promise<boolean> {
  const target = await realpath(file).catch(because)
  const { mode, uid, gid } = await stat(target).catch(because)
  // For a privileged user, `access` always succeeds.
  if ((mode & 0o222) === 0) throw new NotWritten('is read-only')
  await access(target, constants.W_OK).catch(because)
  const beside = join(dirname(target), `.${basename(target)}.mcp-manifold`)
  const handle = await openNew(beside, mode & 0o777)
  let isDone = false
  try {
    await handle.chmod(mode & 0o777)
    const own = await handle.stat()
    if (own.uid !== uid || own.gid !== gid) await handle.chown(uid, gid).catch(() => {})
    await handle.writeFile(text)
    await handle.sync()
    if (!(await isCurrent())) return false
    await rename(beside, target)
    isDone = true
    return true
  } catch (error) {
    return because(error)
  } finally {
    await handle.close()
    if (!isDone) await unlink(beside).catch(() => {})
  }
}

async function openNew(path: string, mode: number): Promise<Awaited<ReturnType<typeof open>>> {
  for (let isSecond = false; ; isSecond = true)
    try {
      return await open(path, 'wx', mode)
    } catch (error) {
      if (codeOf(error) !== 'EEXIST') because(error)
      const found = await stat(path).catch(() => undefined)
      // Both times come from the clock of the file system.
      const isStale = found !== undefined && Date.now() - found.mtimeMs > STALE_MS
      if (isSecond || (found && !isStale))
        throw new NotWritten(`is being written by another process; if none is, remove ${path}`)
      await unlink(path).catch(() => {})
    }
}

function because(error: unknown): never {
  if (error instanceof NotWritten) throw error
  const code = codeOf(error)
  if (code === 'EROFS' || code === 'EACCES' || code === 'EPERM')
    throw new NotWritten(`cannot be written by this user, or its folder cannot (${code})`)
  if (code === 'ENOENT') throw new NotWritten('is not there any more')
  throw new NotWritten(`cannot be written (${code ?? 'for an unknown reason'})`)
}

function codeOf(error: unknown): string | undefined {
  const { code } = (error ?? {}) as { code?: unknown }
  return typeof code === 'string' ? code : undefined
}
