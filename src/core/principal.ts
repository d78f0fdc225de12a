/** Who is calling: a verified identity, never `clientInfo` and never a session id, which are self-reported. */
export interface Principal {
  /** How it is known: `local` and `anonymous` are one identity each, a `client` has shown its own credentials, a `user` a token. */
  readonly kind: 'local' | 'anonymous' | 'client' | 'user'
  /** Stable key of the identity: `anonymous`, `client:<name>`, `user:<issuer> <subject>`. Caches, links, quotas and sealed state are keyed by it. */
  readonly id: string
  /** Name for people: logs and audit. Never a secret. */
  readonly name: string
  /** Configured client whose rules, limits and weight apply; `undefined`: none does. */
  readonly client: string | undefined
  /** Names of roles that the credentials brought, sorted; those of the client are not among them. */
  readonly roles: readonly string[]
}

/** Everyone who reaches an endpoint that asks for no credentials. */
export const ANONYMOUS: Principal = {
  kind: 'anonymous',
  id: 'anonymous',
  name: 'anonymous',
  client: undefined,
  roles: [],
}

/** The one user of a gateway that runs as a child of that user's client. */
export const LOCAL: Principal = {
  kind: 'local',
  id: 'client:local',
  name: 'local',
  client: undefined,
  roles: [],
}

/** Whether nothing tells one who calls so from another. */
export function isUnidentified({ kind }: Principal): boolean {
  return kind === 'local' || kind === 'anonymous'
}

/** A configured client that has shown what identifies it. */
export function clientPrincipal(name: string): Principal {
  return { kind: 'client', id: `client:${name}`, name, client: name, roles: [] }
}
