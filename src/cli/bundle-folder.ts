import { homedir } from 'node:os'
import { join } from 'node:path'
import { stateFolder } from '../config/paths.ts'

/** The folder that a bundle is unpacked to for a server. */
export function bundleFolder(server: string): string {
  const name = server.replace(/[^\w.@-]/g, '_').replace(/^\.+/, '_')
  return join(stateFolder(homedir(), process.env, process.platform), 'bundles', name)
}
