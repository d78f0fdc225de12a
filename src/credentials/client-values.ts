import type { Endpoint } from '../config/replica-types.ts'
import type { ClientConfig, ServerConfig } from '../config/types.ts'
import { clientValueNames, withClientValues } from '../core/client-placeholders.ts'
import { GatewayError } from '../core/errors.ts'
import type { Principal } from '../core/principal.ts'

type Values = ReadonlyMap<string, Readonly<Record<string, string>>>

/** The values of one client, for one server. @throws GatewayError `missing_value` */
export type ValueOf = (name: string) => string

/**
 * The values of clients for `${client.NAME}` in entries of servers, as they are configured now. A value is given for
 * links of its own client only; the gateway's own requests to a server use those of a client that has all it needs.
 */
export class ClientValues {
  #values: Values = new Map()
  #version = 0

  constructor(clients: readonly ClientConfig[]) {
    this.reconfigure(clients)
  }

  /** Continues with the values of another configuration. Returns whether they differ. */
  reconfigure(clients: readonly ClientConfig[]): boolean {
    const values = new Map(clients.map(client => [client.name, client.values]))
    const differ = JSON.stringify([...this.#values]) !== JSON.stringify([...values])
    this.#values = values
    if (differ) this.#version++
    return differ
  }

  /** Another number after each change. */
  get version(): number {
    return this.#version
  }

  /** The values for a link to a server. */
  of(server: ServerConfig, principal: Principal | undefined): ValueOf {
    const client = principal ? principal.client : this.#lender(server)
    const values = client === undefined ? undefined : this.#values.get(client)
    return name => {
      if (values && Object.hasOwn(values, name)) return values[name] as string
      throw missing(server.name, name, client, principal)
    }
  }

  /** The endpoint with the values of the principal, without the headers that need any: those are credentials. */
  endpoint(endpoint: Endpoint, server: ServerConfig, principal: Principal | undefined): Endpoint {
    if (!server.perClient || server.clientValues.length === 0) return endpoint
    const value = this.of(server, principal)
    const filled = (text: string): string => withClientValues(text, value)
    if (endpoint.url === undefined)
      return {
        ...endpoint,
        args: endpoint.args.map(filled),
        env: Object.fromEntries(Object.entries(endpoint.env).map(([name, text]) => [name, filled(text)])),
      }
    return {
      ...endpoint,
      url: withClientValues(endpoint.url, name => encodeURIComponent(value(name))),
      headers: Object.fromEntries(
        Object.entries(endpoint.headers).filter(([, text]) => clientValueNames(text).length === 0),
      ),
    }
  }

  /** The first client with every value that the server's entry uses. */
  #lender({ clientValues }: ServerConfig): string | undefined {
    for (const [client, values] of this.#values)
      if (clientValues.every(name => Object.hasOwn(values, name))) return client
    return undefined
  }
}

function missing(
  server: string,
  name: string,
  client: string | undefined,
  principal: Principal | undefined,
): GatewayError {
  const fix = (client: string): string => `Fix: add "${name}" to "clients.${client}.values".`
  const message =
    client !== undefined
      ? `Server "${server}" needs the value "${name}" of each client, and the client "${client}" has none. ${fix(client)}`
      : principal
        ? `Server "${server}" needs the value "${name}" of each client, and the caller "${principal.name}" is no configured client. Fix: add it to "clients" with "values".`
        : `Server "${server}" needs values of each client, and no client has all of them. ${fix('<name>')}`
  return new GatewayError('missing_value', message, { server })
}
