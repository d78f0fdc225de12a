import { homedir } from 'node:os'
import { stateFolder } from '../config/paths.ts'
import { describeError } from '../core/errors.ts'
import type { ConfigFile } from '../admin/config-file.ts'
import type { AdminListener } from '../admin/listener.ts'
import type { GatewayAdminOptions } from './gateway-admin.ts'

/** The admin API of a gateway, on each of its listeners. */
export interface OpenAdmin {
  /** Idempotent. */
  close(): Promise<void>
}

/** Where the sockets of running gateways of this user are. */
export async function adminSocketFolder(): Promise<string> {
  const { socketFolder } = await import('../admin/socket-files.ts')
  return socketFolder(stateFolder(homedir(), process.env, process.platform))
}

/** Opens the admin API of a gateway. A socket that cannot be opened is no reason not to run: the log says what does not work then. Never rejects. */
export async function startAdmin(options: GatewayAdminOptions): Promise<OpenAdmin> {
  const { logger, config } = options
  const listeners: AdminListener[] = []
  try {
    // A named pipe of Windows is open to every user, so there is none.
    if (config.file !== undefined && process.platform !== 'win32') {
      const [{ listenOnSocket }, { GatewayAdmin }] = await Promise.all([
        import('../admin/listener.ts'),
        import('./gateway-admin.ts'),
      ])
      const service = new GatewayAdmin(options)
      let file: Promise<ConfigFile> | undefined
      const configFile = (): Promise<ConfigFile> =>
        (file ??= import('../admin/config-file.ts').then(({ ConfigFile: Made }) => new Made(service)))
      const folder = await adminSocketFolder()
      listeners.push(
        await listenOnSocket({ folder, file: config.file }, { service, config: configFile, logger }),
      )
    }
  } catch (error) {
    logger.warn(
      `The socket of the admin API cannot be opened: ${describeError(error)}. "mcp-manifold reload" does not reach this gateway.`,
    )
  }
  return {
    async close() {
      await Promise.all(listeners.map(listener => listener.close()))
    },
  }
}
