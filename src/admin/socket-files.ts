import { createHash } from 'node:crypto'
import { lstatSync, mkdirSync, readdirSync, realpathSync, unlinkSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { makeFolder } from '../make-folder.ts'

/**
 * Locations of the admin sockets of running gateways. A command finds them by the path of the configuration file that
 * it reads itself.
 */

/** Maximum path length of a socket, in bytes, on every supported system. */
const MAX_PATH_BYTES = 103
/** Length of `<digest>-<pid>.sock`. */
const NAME_BYTES = 16 + 1 + 10 + '.sock'.length
const CONNECT_TIMEOUT_MS = 2000

export interface AdminSocket {
  readonly socket: string
  readonly pid: number
}

/**
 * The folder of the sockets. Because socket paths are short, a long state folder is replaced by a folder in the
 * system's temporary folder.
 */
export function socketFolder(stateFolder: string): string {
  const folder = join(stateFolder, 'admin')
  if (Buffer.byteLength(folder) + 1 + NAME_BYTES <= MAX_PATH_BYTES) return folder
  return join(tmpdir(), `mcp-manifold-admin-${process.getuid?.() ?? 'user'}`)
}

/**
 * Creates the folder for its owner only.
 * @throws Error when another user owns it or may write to it
 */
export function makeSocketFolder(folder: string): void {
  makeFolder(dirname(folder))
  try {
    mkdirSync(folder, { mode: 0o700 })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  }
  const found = lstatSync(folder)
  const uid = process.getuid?.()
  if (!found.isDirectory() || (uid !== undefined && found.uid !== uid) || (found.mode & 0o077) !== 0)
    throw new Error(`the folder ${folder} is not one of this user alone; remove it, or set its mode to 0700`)
}

/** Absolute path of the socket of a process that uses this configuration file. */
export function socketPath(folder: string, file: string, pid: number): string {
  return join(folder, `${digestOf(file)}-${pid}.sock`)
}

/**
 * Finds every running gateway that uses the configuration file. Sockets of processes that have exited are removed,
 * unless `keepsStale` is set.
 */
export async function findGateways(
  folder: string,
  file: string,
  { keepsStale = false }: { readonly keepsStale?: boolean } = {},
): Promise<AdminSocket[]> {
  const prefix = `${digestOf(file)}-`
  const found = namesIn(folder).flatMap(name => {
    const pid = name.startsWith(prefix) ? /^(\d+)\.sock$/.exec(name.slice(prefix.length))?.[1] : undefined
    return pid === undefined ? [] : [{ socket: join(folder, name), pid: Number(pid) }]
  })
  const alive = await Promise.all(found.map(({ socket }) => answers(socket)))
  return found
    .filter(({ socket }, at) => {
      if (alive[at]) return true
      if (!keepsStale) removeSocket(socket)
      return false
    })
    .sort((a, b) => a.pid - b.pid)
}

/** Removes the sockets of processes that have exited, regardless of their configuration. */
export async function removeStale(folder: string): Promise<void> {
  for (const socket of await staleSockets(folder)) removeSocket(socket)
}

/** The sockets of processes that have exited, regardless of their configuration. */
export async function staleSockets(folder: string): Promise<string[]> {
  const sockets = namesIn(folder)
    .filter(name => /^[\da-f]{16}-\d+\.sock$/.test(name))
    .map(name => join(folder, name))
  const alive = await Promise.all(sockets.map(answers))
  return sockets.filter((_, at) => !alive[at])
}

export function removeSocket(socket: string): void {
  try {
    unlinkSync(socket)
  } catch {
    // Another process has removed it.
  }
}

/**
 * The digest of the file's path. Links of the file itself are not resolved, so that the digest stays the same when the
 * file is replaced.
 */
function digestOf(file: string): string {
  let folder = dirname(file)
  try {
    folder = realpathSync(folder)
  } catch {
    // A missing folder means that no gateway is running.
  }
  return createHash('sha256')
    .update(join(folder, basename(file)))
    .digest('hex')
    .slice(0, 16)
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder)
  } catch {
    return []
  }
}

/** Whether a process listens on the socket. A process that is too busy to accept within two seconds counts as alive. */
function answers(socket: string): Promise<boolean> {
  return new Promise(resolve => {
    const connection = connect(socket)
    const end = (alive: boolean): void => {
      connection.destroy()
      resolve(alive)
    }
    connection.setTimeout(CONNECT_TIMEOUT_MS, () => end(true))
    connection.once('connect', () => end(true))
    connection.once('error', (error: NodeJS.ErrnoException) =>
      end(error.code !== 'ECONNREFUSED' && error.code !== 'ENOENT' && error.code !== 'ENOTSOCK'),
    )
  })
}
