import { homedir } from 'node:os'
import { stateFolder } from '../config/paths.ts'
import { describeError, GatewayError } from '../core/errors.ts'
import type { ConfigFile } from '../admin/config-file.ts'
import type { AdminListener, AdminListenerOptions } from '../admin/listener.ts'
import type { GatewayAdminOptions } from './gateway-admin.ts'

/** The open admin API of a gateway, with all its listeners. */
export interface OpenAdmin {
  /** Idempotent. */
  close(): Promise<void>
}

/** The folder with the sockets of this user's running gateways. */
export async function adminSocketFolder(): Promise<string> {
  const { socketFolder } = await import('../admin/socket-files.ts')
  return socketFolder(stateFolder(homedir(), process.env, process.platform))
}

/**
 * Opens the admin API of a gateway. A socket that cannot be opened does not prevent the start: the log lists what is
 * unavailable.
 * @throws GatewayError `config` when the configured address cannot be used
 */
export async function startAdmin(options: GatewayAdminOptions): Promise<OpenAdmin> {
  const { gateway, file } = options.config
  const { socket } = gateway.admin
  // Clients may start many gateways on stdio at once, but only one can use the address.
  const listen = options.overrides?.serves ? gateway.admin.listen : undefined
  // On Windows, a named pipe is open to every user, so there is no socket.
  const hasSocket = socket && file !== undefined && process.platform !== 'win32'
  if (!hasSocket && listen === undefined) return { close: () => Promise.resolve() }
  const listeners: AdminListener[] = []
  const how = await listenerOptions(options)
  const close = async (): Promise<void> => {
    how.service.endLog()
    await closeAll(listeners)
  }
  if (hasSocket) listeners.push(...(await onSocket(file, how)))
  try {
    if (listen !== undefined) listeners.push(...(await onAddress(listen, options, how)))
  } catch (error) {
    await close()
    throw error
  }
  return { close }
}

async function listenerOptions(options: GatewayAdminOptions): Promise<AdminListenerOptions> {
  const { GatewayAdmin } = await import('./gateway-admin.ts')
  const service = new GatewayAdmin(options)
  let config: Promise<ConfigFile> | undefined
  return {
    service,
    config: () =>
      (config ??= import('../admin/config-file.ts').then(({ ConfigFile: Loaded }) => new Loaded(service))),
    logger: options.logger,
  }
}

async function onSocket(file: string, how: AdminListenerOptions): Promise<AdminListener[]> {
  try {
    const { listenOnSocket } = await import('../admin/listener.ts')
    return [await listenOnSocket({ folder: await adminSocketFolder(), file }, how)]
  } catch (error) {
    how.logger.warn(
      `The socket of the admin API cannot be opened: ${describeError(error)}. "mcp-manifold reload" does not reach this gateway.`,
    )
    return []
  }
}

async function onAddress(
  listen: string,
  { config }: GatewayAdminOptions,
  how: AdminListenerOptions,
): Promise<AdminListener[]> {
  const { admin, http } = config.gateway
  const { token, allowPlaintext } = admin
  if (token === undefined) return []
  const { isLoopback } = await import('../core/loopback.ts')
  const isLocal = isLoopback(listen.slice(0, listen.lastIndexOf(':')))
  const tls = isLocal ? undefined : http.tls
  try {
    const { listenOnAddress } = await import('../admin/listener.ts')
    const listener = await listenOnAddress({ listen, token, tls }, how)
    how.logger.info(`The admin API listens on ${listener.at}.`)
    if (!isLocal && !tls && allowPlaintext)
      how.logger.warn(
        `The admin API is open to the network without TLS, as "gateway.admin.allowPlaintext" says.`,
      )
    return [listener]
  } catch (cause) {
    throw new GatewayError(
      'config',
      `The admin API cannot listen on ${listen}: ${describeError(cause)}. Choose another "gateway.admin.listen".`,
      { cause },
    )
  }
}

async function closeAll(listeners: readonly AdminListener[]): Promise<void> {
  await Promise.all(listeners.map(listener => listener.close()))
}
