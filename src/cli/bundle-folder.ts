import { homedir } from 'node:os'
import { join } from 'node:path'
import { stateFolder } from '../config/paths.ts'
import { GatewayError } from '../core/errors.ts'

/** The folder that a bundle is unpacked to for a server. @throws GatewayError `config` without a name */
export function bundleFolder(server: string): string {
  const name = server.replace(/[^\w.@-]/g, '_').replace(/^\.+/, '_')
  if (name === '')
    throw new GatewayError('config', 'The name of the server is empty. Give it one with --name.')
  return join(stateFolder(homedir(), process.env, process.platform), 'bundles', name)
}
