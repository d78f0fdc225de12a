import type { Config } from '../config/types.ts'
import { GatewayError } from '../core/errors.ts'
import type { Logger } from '../core/logger.ts'
import { isLoopback } from '../core/loopback.ts'

const ANY = /^(?:0\.0\.0\.0|::|\[::\])$/

/**
 * Whether only local callers are accepted when the gateway is mounted in another program's server: callers cannot be
 * distinguished, and the operator has not allowed anonymous access.
 */
export function servesThisMachineOnly({ clients, gateway }: Config): boolean {
  const { jwt, allowAnonymous } = gateway.auth
  return clients.length === 0 && jwt.length === 0 && !allowAnonymous
}

/**
 * Checks whether the endpoints may be mounted in another program's server, whose address is unknown.
 * @throws GatewayError `config`
 */
export function checkMount({ gateway }: Config): void {
  const { auth, http } = gateway
  if (http.publicUrl === undefined && auth.jwt.some(({ audience }) => audience.length === 0))
    throw new GatewayError(
      'config',
      'Tokens are issued for an address, and the gateway does not know that of the server it is mounted in. Set "gateway.http.publicUrl", as in "https://mcp.example".',
    )
}

/**
 * Checks whether the configured address may be used: a gateway without credentials serves only this machine, unless the
 * operator allows otherwise.
 * @throws GatewayError `config`
 */
export function checkExposure({ clients, gateway }: Config, logger: Logger): void {
  const { auth, http } = gateway
  const { host } = http
  if (
    auth.jwt.some(({ audience }) => audience.length === 0) &&
    http.publicUrl === undefined &&
    ANY.test(host)
  )
    throw new GatewayError(
      'config',
      `Tokens are issued for an address, and ${host} is none that clients use. Set "gateway.http.publicUrl", as in "https://mcp.example".`,
    )
  if (clients.length > 0 || auth.jwt.length > 0) {
    if (auth.allowAnonymous)
      logger.warn(
        '--allow-anonymous has no effect: there are clients or issuers of tokens. Name a client in "gateway.auth.anonymous" for callers without credentials.',
      )
    return
  }
  if (isLoopback(host)) {
    logger.info(
      'Without clients, the gateway serves this machine only, and every user on it. Add "clients" to open it to others.',
    )
    return
  }
  if (!auth.allowAnonymous)
    throw new GatewayError(
      'config',
      `The gateway would serve every caller that reaches ${host}, because there are no clients to tell callers apart. Add "clients", for which "keys create <client>" makes keys, or start it with --allow-anonymous if that is meant.`,
    )
  logger.warn(
    `Every caller that reaches ${host} can use every server, without credentials, as --allow-anonymous says.`,
  )
}
