import type { Config } from '../types.ts'

/** A key that requires a restart. */
export interface NotReloadable {
  /** As in the file: `gateway.http.port`. */
  readonly key: string
  /** A clause that follows "because". */
  readonly reason: string
}

const REASONS: readonly (NotReloadable & { readonly of: (config: Config) => unknown })[] = [
  {
    key: 'gateway.http.host',
    reason: 'the address to listen on is bound at the start',
    of: ({ gateway }) => gateway.http.host,
  },
  {
    key: 'gateway.http.port',
    reason: 'the port to listen on is bound at the start',
    of: ({ gateway }) => gateway.http.port,
  },
  {
    key: 'gateway.http.tls',
    reason: 'a listener speaks either http or https from its start to its end',
    of: ({ gateway }) => gateway.http.tls !== undefined,
  },
  {
    key: 'gateway.http.tls.clientCertificates',
    reason: 'a listener asks for certificates, or does not, from its start to its end',
    of: ({ gateway }) => gateway.http.tls?.clientCertificates,
  },
  {
    key: 'gateway.state',
    reason: 'what is counted and remembered would be lost',
    of: ({ gateway }) => gateway.state,
  },
]

/** The differences between two configurations that require a restart, in the order of the reference. */
export function notReloadable(before: Config, after: Config): NotReloadable[] {
  return REASONS.filter(({ of }) => of(before) !== of(after)).map(({ key, reason }) => ({ key, reason }))
}

/** Why a change of a key requires a restart. */
export function reasonFor(key: string): string {
  return REASONS.find(known => known.key === key)?.reason ?? 'it is read at the start only'
}
