import { constants } from 'node:fs'
import { link, open, unlink, type FileHandle } from 'node:fs/promises'
import { dirname } from 'node:path'
import { randomUUID } from 'node:crypto'
import { makeFolder } from '../../make-folder.ts'
import { KEY_BYTES, toKey } from '../../state/key-ring.ts'

/** A key in a file that only its owner can read. */

const MODE = 0o600
const OTHERS = 0o077
/** More than a key and a line break. */
const MAX_BYTES = 1024
/** File systems that have no hard links. */
const NO_LINKS = new Set(['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK'])

/** `undefined` when there is no file. @throws Error that names the file, the cause and the fix */
export async function readKeyFile(path: string): Promise<Buffer | undefined> {
  // Windows has no such flag. A link could make another file the key.
  const flags = constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0)
  let file: FileHandle
  try {
    file = await open(path, flags)
  } catch (error) {
    const code = codeOf(error)
    if (code === 'ENOENT') return undefined
    if (code === 'ELOOP') throw unusable(path, 'is a symbolic link', 'put the file itself in its place')
    throw unusable(path, `cannot be read (${code})`, 'make it readable for this user')
  }
  try {
    await assertOwn(path, file)
    const { buffer, bytesRead } = await file.read(Buffer.alloc(MAX_BYTES), 0, MAX_BYTES, 0)
    const key = toKey(buffer.toString('latin1', 0, bytesRead).trim())
    if (key) return key
    throw unusable(
      path,
      `does not hold a key (${KEY_BYTES} bytes in Base64)`,
      'restore it from a backup; or delete it, then a new key is made and the servers have to be logged in to anew',
    )
  } finally {
    await file.close()
  }
}

/** Writes the key unless there is a file already, whichever process made it. Resolves to the key that is there. */
export async function createKeyFile(path: string, key: Buffer): Promise<Buffer> {
  const fresh = `${path}.${randomUUID()}`
  try {
    makeFolder(dirname(path))
    const file = await open(fresh, 'wx', MODE)
    try {
      await file.writeFile(`${key.toString('base64')}\n`)
      await file.sync()
    } finally {
      await file.close()
    }
    await place(fresh, path, key)
  } catch (error) {
    throw unusable(path, `cannot be written (${codeOf(error)})`, 'make its folder writable for this user')
  } finally {
    await unlink(fresh).catch(() => undefined)
  }
  const stands = await readKeyFile(path)
  if (!stands) throw unusable(path, 'was deleted at once', 'try again')
  return stands
}

/** Gives the finished file its name, so that no process reads a part of it. A file that is there stays. */
async function place(fresh: string, path: string, key: Buffer): Promise<void> {
  try {
    await link(fresh, path)
  } catch (error) {
    const code = codeOf(error)
    if (code === 'EEXIST') return
    if (!NO_LINKS.has(code)) throw error
    const file = await open(path, 'wx', MODE).catch((failure: unknown) => {
      if (codeOf(failure) === 'EEXIST') return undefined
      throw failure
    })
    await file?.writeFile(`${key.toString('base64')}\n`).finally(() => file.close())
  }
}

async function assertOwn(path: string, file: FileHandle): Promise<void> {
  const found = await file.stat()
  if (!found.isFile()) throw unusable(path, 'is no regular file', 'move it away')
  if (process.platform === 'win32') return
  const uid = process.getuid?.()
  if (uid !== undefined && found.uid !== uid)
    throw unusable(path, 'belongs to another user', 'make this user its owner')
  if ((found.mode & OTHERS) !== 0)
    throw unusable(
      path,
      `may be used by other users (mode ${(found.mode & 0o777).toString(8)})`,
      `chmod 600 "${path}"; if others may have read it, delete it and log in to the servers anew`,
    )
}

function unusable(path: string, what: string, fix: string): Error {
  return new Error(`The key file "${path}" of the vault ${what}. Fix: ${fix}.`)
}

function codeOf(error: unknown): string {
  const { code } = error as { code?: unknown }
  return typeof code === 'string' ? code : 'unknown cause'
}
