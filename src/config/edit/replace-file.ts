import { randomUUID } from 'node:crypto'
import { access, constants, link, open, readFile, realpath, rename, stat, unlink } from 'node:fs/promises'
import { hostname } from 'node:os'
import { basename, dirname, join } from 'node:path'

/** Why a file was not written. `message` is the part of a sentence that follows its name. */
export class NotWritten extends Error {}

/** A lock of this age belongs to a writer that has died, whatever process has its number by now. */
const STALE_MS = 60_000
/** Of the locks that this process holds. */
const held = new Set<string>()

/** A lock that another writer holds, or has left behind. */
interface FoundLock {
  readonly content: string
  readonly ageMs: number
}

/**
 * Replaces the content of a file atomically, keeping its mode and owner. Writers of all processes take turns: each
 * holds a lock file beside it, and writes to a file of its own. The lock of a process that has ended is taken over.
 * A link is followed.
 * @param isCurrent called while no other writer can interfere; when it returns false, the file is not written
 * @returns whether it was written
 * @throws NotWritten when the file, or its folder, cannot be written
 */
export async function replaceFile(
  file: string,
  text: string | Uint8Array,
  isCurrent: () => Promise<boolean>,
): Promise<boolean> {
  const target = await realpath(file).catch(because)
  const { mode } = await stat(target).catch(because)
  // For a privileged user, `access` always succeeds.
  if ((mode & 0o222) === 0) throw new NotWritten('is read-only')
  await access(target, constants.W_OK).catch(because)
  const lock = join(dirname(target), `.${basename(target)}.mcp-manifold`)
  const id = randomUUID()
  held.add(id)
  try {
    await take(lock, `${process.pid} ${id} ${hostname()}`)
    try {
      return await write({ target, lock, id, text }, isCurrent)
    } catch (error) {
      return because(error)
    } finally {
      if (await isOwn(lock, id)) await unlink(lock).catch(() => {})
    }
  } finally {
    held.delete(id)
  }
}

interface Write {
  readonly target: string
  readonly lock: string
  readonly id: string
  readonly text: string | Uint8Array
}

async function write({ target, lock, id, text }: Write, isCurrent: () => Promise<boolean>): Promise<boolean> {
  const { mode, uid, gid } = await stat(target)
  const fresh = freshName(lock, id)
  const handle = await open(fresh, 'wx', mode & 0o777)
  let isDone = false
  try {
    await handle.chmod(mode & 0o777)
    const own = await handle.stat()
    if (own.uid !== uid || own.gid !== gid) await handle.chown(uid, gid).catch(() => {})
    await handle.writeFile(text)
    await handle.sync()
    if (!(await isCurrent())) return false
    if (!(await isOwn(lock, id))) throw new NotWritten('is being written by another process')
    await rename(fresh, target)
    isDone = true
    return true
  } finally {
    await handle.close()
    if (!isDone) await unlink(fresh).catch(() => {})
  }
}

/** Makes the lock, in place of one that a process has left behind. */
async function take(lock: string, content: string): Promise<void> {
  for (let isSecond = false; ; isSecond = true) {
    try {
      const handle = await open(lock, 'wx', 0o600)
      await handle.writeFile(content).finally(() => handle.close())
      return
    } catch (error) {
      if (codeOf(error) !== 'EEXIST') because(error)
    }
    const found = await lockAt(lock)
    if (isSecond || (found && !isLeft(found)))
      throw new NotWritten(`is being written by another process; if none is, remove ${lock}`)
    if (found) await remove(lock, found)
  }
}

/** Removes a lock that was left behind. One that has taken its place meanwhile stays. */
async function remove(lock: string, { content }: FoundLock): Promise<void> {
  const aside = freshName(lock, randomUUID())
  try {
    await rename(lock, aside)
  } catch {
    // Another writer was faster.
    return
  }
  const moved = await readFile(aside, 'utf8').catch(() => '')
  if (moved !== content) await link(aside, lock).catch(() => {})
  await unlink(aside).catch(() => {})
  const [, id] = content.split(' ')
  // What its writer had not finished.
  if (moved === content && id !== undefined && UUID.test(id))
    await unlink(freshName(lock, id)).catch(() => {})
}

const UUID = /^[0-9a-f-]{36}$/

async function lockAt(lock: string): Promise<FoundLock | undefined> {
  try {
    const { mtimeMs } = await stat(lock)
    return { content: await readFile(lock, 'utf8'), ageMs: Date.now() - mtimeMs }
  } catch {
    return undefined
  }
}

function isLeft({ content, ageMs }: FoundLock): boolean {
  if (ageMs > STALE_MS) return true
  const [pid = '', id = '', host] = content.split(' ')
  if (host !== hostname() || !/^[1-9]\d*$/.test(pid)) return false
  // A container gives the same number to its first process each time.
  if (Number(pid) === process.pid) return !held.has(id)
  try {
    process.kill(Number(pid), 0)
    return false
  } catch (error) {
    return codeOf(error) === 'ESRCH'
  }
}

async function isOwn(lock: string, id: string): Promise<boolean> {
  return (await readFile(lock, 'utf8').catch(() => '')).split(' ')[1] === id
}

function freshName(lock: string, id: string): string {
  return `${lock}.${id}`
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
