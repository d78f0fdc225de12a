/** Which scopes a login asks for. */

export interface ScopeSources {
  /** `oauth.scopes`. */
  readonly configured: readonly string[] | undefined
  /** Of the last refusal of the server. */
  readonly challenged: string | undefined
  /** Of the metadata of the server. An empty list means none. */
  readonly resource: readonly string[] | undefined
  /** Of the metadata of the authorization server. */
  readonly issuer: readonly string[] | undefined
  /** What was granted before and what the server has asked for since; nothing of it may be lost. */
  readonly wanted: string | undefined
}

const OFFLINE = 'offline_access'

/** `undefined`: no `scope` parameter. */
export function scopesOf(sources: ScopeSources): readonly string[] | undefined {
  const { configured, challenged, resource, issuer, wanted } = sources
  const chosen = configured ?? (challenged === undefined ? resource : split(challenged))
  const all = union(chosen, split(wanted))
  if (all.length === 0) return undefined
  // Without it, some authorization servers give no refresh token; others refuse what they do not list.
  if (configured === undefined && issuer?.includes(OFFLINE)) return union(all, [OFFLINE])
  return all
}

export function split(scope: string | undefined): readonly string[] {
  return scope?.split(' ').filter(one => one !== '') ?? []
}

export function union(...lists: readonly (readonly string[] | undefined)[]): readonly string[] {
  return [...new Set(lists.flatMap(list => list ?? []))]
}
