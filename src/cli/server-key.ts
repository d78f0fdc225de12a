import { createHash } from 'node:crypto'
import { realpath } from 'node:fs/promises'
import { homedir } from 'node:os'
import { basename, dirname, join, resolve } from 'node:path'
import { stateFolder } from '../config/paths.ts'

const MAX_NAME = 60
const DIGEST = 12

/**
 * A name for what is kept for a server of a configuration file, which no server of any other file has, nor one with a
 * similar name: a name of a folder on every system.
 */
export async function serverKey(file: string, server: string): Promise<string> {
  const digest = createHash('sha256').update(`${await spelling(file)}\0${server}`)
  const name = server.replace(/[^\w@-]+/g, '_').slice(0, MAX_NAME)
  return `${name}-${digest.digest('hex').slice(0, DIGEST)}`
}

/** The folder with the code of the bundle that a server is. */
export async function bundleFolder(file: string, server: string): Promise<string> {
  const state = stateFolder(homedir(), process.env, process.platform)
  return join(state, 'bundles', await serverKey(file, server))
}

/** One spelling of the path of a file, whether it is there already or not. */
async function spelling(file: string): Promise<string> {
  const folder = await realpath(dirname(file)).catch(() => resolve(dirname(file)))
  return await realpath(file).catch(() => join(folder, basename(file)))
}
