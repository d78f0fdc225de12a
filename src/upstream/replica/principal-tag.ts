import type { Principal } from '../../core/principal.ts'

const tags = new WeakMap<Principal, string>()

/**
 * Identifies a principal together with its configured client in keys: one principal may become another client's by a
 * reload. No tag is the beginning of another one.
 */
export function principalTag(principal: Principal): string {
  let tag = tags.get(principal)
  if (tag === undefined) {
    tag = JSON.stringify([principal.client ?? null, principal.id])
    tags.set(principal, tag)
  }
  return tag
}
