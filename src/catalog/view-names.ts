import { endpointOf } from '../core/endpoint.ts'
import type { Policy } from '../policy/policy.ts'
import type { ClientKind } from '../protocol/client-kind.ts'

/** The name of the endpoint that serves all servers. */
export const WHOLE = ''

/** Separates the endpoint and the policy. Keys of policies do not contain it. */
const SEPARATOR = '\n'
/** Precedes the kind of client at the end of a name. */
const KIND = '\f'

/** Maximum number of cached names for one kind of client. */
const MAX_NAMES = 2000

/** The kind of client in the name of a view. `undefined`: the view is for every kind. */
export function kindIn(name: string): ClientKind | undefined {
  const at = name.lastIndexOf(KIND)
  return at < 0 ? undefined : name.slice(at + 1)
}

/** The name of the same view for every kind of client. */
export function everyonesOf(name: string): string {
  const at = name.lastIndexOf(KIND)
  return at < 0 ? name : name.slice(0, at)
}

/** From the name of a view for every kind of client: the name of the same view for this kind. */
export function nameFor(name: string, kind: ClientKind | undefined): string {
  return kind === undefined ? name : `${name}${KIND}${kind}`
}

/** The name of the same view for clients without rules. */
export function unrestricted(name: string): string {
  return nameFor(endpointOf(name), kindIn(name))
}

/** The key of the policy in the name of a view. */
export function policyIn(name: string): string {
  const everyones = everyonesOf(name)
  return everyones.slice(everyones.lastIndexOf(SEPARATOR) + 1)
}

/** Names of views. Cached, so that a name is not built and hashed with every request. */
export class ViewNames {
  readonly #restricted = new WeakMap<Policy, Map<string, string>>()
  readonly #ofKinds = new Map<ClientKind, Map<string, string>>()

  /** The view of an endpoint for a policy. */
  of(endpoint: string, policy: Policy): string {
    let names = this.#restricted.get(policy)
    if (!names) this.#restricted.set(policy, (names = new Map()))
    let name = names.get(endpoint)
    if (name === undefined) names.set(endpoint, (name = `${endpoint}${SEPARATOR}${policy.key}`))
    return name
  }

  /** The same view for clients of a kind. */
  ofKind(name: string, kind: ClientKind): string {
    let names = this.#ofKinds.get(kind)
    if (!names) this.#ofKinds.set(kind, (names = new Map()))
    let named = names.get(name)
    if (named === undefined) {
      if (names.size >= MAX_NAMES) names.clear()
      names.set(name, (named = nameFor(name, kind)))
    }
    return named
  }
}
