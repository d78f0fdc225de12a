/** The verified identity of a caller. `clientInfo` and session ids are self-reported and never used for it. */
export interface Principal {
  /**
   * How the identity was established: `local` and `anonymous` are one identity each; a `client` has presented its own
   * credentials, a `user` a token.
   */
  readonly kind: 'local' | 'anonymous' | 'client' | 'user'
  /**
   * Stable key of the identity: `local`, `anonymous`, `client:<name>`, `user:<issuer> <subject>`. Caches, links, quotas
   * and sealed state are keyed by it.
   */
  readonly id: string
  /** Display name for logs and audit. Never a secret. */
  readonly name: string
  /** Configured client whose rules, quotas and weight apply; `undefined` when none does. */
  readonly client: string | undefined
  /** Sorted names of roles from the credentials. Roles of the configured client are not included. */
  readonly roles: readonly string[]
}

/** A principal that cannot be written to: listeners of events see it. */
export function principalOf(principal: Principal): Principal {
  return Object.freeze({ ...principal, roles: Object.freeze([...principal.roles]) })
}

/** Every caller of an endpoint that requires no credentials. */
export const ANONYMOUS = principalOf({
  kind: 'anonymous',
  id: 'anonymous',
  name: 'anonymous',
  client: undefined,
  roles: [],
})

/** The one user of a gateway that runs as a child of that user's client. */
export const LOCAL = principalOf({
  kind: 'local',
  id: 'local',
  name: 'local',
  client: undefined,
  roles: [],
})

/** Whether callers of this kind cannot be distinguished. */
export function isUnidentified({ kind }: Principal): boolean {
  return kind === 'local' || kind === 'anonymous'
}

/** A configured client that has presented its credentials. */
export function clientPrincipal(name: string): Principal {
  return principalOf({ kind: 'client', id: `client:${name}`, name, client: name, roles: [] })
}
