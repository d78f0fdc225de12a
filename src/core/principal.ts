/** Who is calling: a verified identity, never `clientInfo` and never a session id, which are self-reported. */
export interface Principal {
  /** Stable key of the identity: `anonymous`, `client:<name>`. Caches, links and quotas are keyed by it. */
  readonly id: string
  /** Name for people: logs and audit. */
  readonly name: string
}

/** Everyone who reaches an endpoint that asks for no credentials. */
export const ANONYMOUS: Principal = { id: 'anonymous', name: 'anonymous' }

/** The one user of a gateway that runs as a child of that user's client. */
export const LOCAL: Principal = { id: 'client:local', name: 'local' }
