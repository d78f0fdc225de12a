import type { Config, ServerConfig } from '../config/types.ts'
import type { ReloadReport } from './reload-report.ts'

/** What of a gateway cannot be another one while it runs. */
const FIXED: readonly (readonly [key: string, of: (config: Config) => unknown])[] = [
  ['gateway.state', ({ gateway }) => gateway.state],
  ['gateway.http.host', ({ gateway }) => gateway.http.host],
  ['gateway.http.port', ({ gateway }) => gateway.http.port],
  ['gateway.http.tls', ({ gateway }) => gateway.http.tls !== undefined],
  ['gateway.http.tls.clientCertificates', ({ gateway }) => gateway.http.tls?.clientCertificates],
]

/** A changed configuration as a running gateway can take it over. */
export interface CarriedOver {
  readonly config: Config
  readonly notReloadable: readonly string[]
  readonly servers: ReloadReport['servers']
  /** Why entries of servers cannot be used. Such a server runs on as it was. */
  readonly problems: readonly string[]
}

/** `next`, with the values of `running` wherever a running gateway cannot change, or an entry cannot be used. */
export function carriedOver(running: Config, next: Config): CarriedOver {
  const notReloadable = FIXED.filter(([, of]) => of(running) !== of(next)).map(([key]) => key)
  const before = new Map(running.servers.map(server => [server.name, server]))
  const problems: string[] = []
  const servers = next.servers.map(server => {
    const known = before.get(server.name)
    if (server.problem === undefined || !known || known.problem !== undefined) return server
    problems.push(server.problem)
    return known
  })
  return {
    config: { ...next, servers, gateway: fixed(running.gateway, next.gateway) },
    notReloadable,
    servers: differences(before, servers),
    problems,
  }
}

function fixed(running: Config['gateway'], next: Config['gateway']): Config['gateway'] {
  const { host, port, tls } = running.http
  const sameKind = (tls === undefined) === (next.http.tls === undefined)
  const certificates =
    tls && sameKind && next.http.tls ? { ...next.http.tls, clientCertificates: tls.clientCertificates } : tls
  return { ...next, state: running.state, http: { ...next.http, host, port, tls: certificates } }
}

function differences(
  before: ReadonlyMap<string, ServerConfig>,
  after: readonly ServerConfig[],
): ReloadReport['servers'] {
  const names = new Set(after.map(({ name }) => name))
  const added: string[] = []
  const changed: string[] = []
  for (const server of after) {
    const known = before.get(server.name)
    if (!known) added.push(server.name)
    else if (known !== server && JSON.stringify(known) !== JSON.stringify(server)) changed.push(server.name)
  }
  return { added, removed: [...before.keys()].filter(name => !names.has(name)), changed }
}
