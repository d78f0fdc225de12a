import { access, constants, open, realpath, rename, stat, unlink } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'

/** Why a file is not written. `message` is a part of a sentence that follows its name. */
export class NotWritten extends Error {}

/** A writer that died has left its file. */
const STALE_MS = 60_000

/**
 * Puts a new content in the place of a file in one step, with the mode and the owner that it has. Of several writers one writes at a time, whatever
 * process it is in. A link is followed.
 * @param isCurrent asked when no other writer can come between; the file stays as it is where it says no
 * @returns whether it was written
 * @throws NotWritten where the file, or its folder, cannot be written
 */
export async function replaceFile(
  file: string,
  text: string,
  isCurrent: () => Promise<boolean>,
): Promise<boolean> {
  const target = await realpath(file).catch(because)
  const { mode, uid, gid } = await stat(target).catch(because)
  // A user who may do everything is told nothing by `access`.
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
      // By the clock of the file system, which both times are of.
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
