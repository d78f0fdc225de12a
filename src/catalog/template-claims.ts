import type { Route } from '../core/route.ts'
import type { StepsLeft, UriTemplate } from '../protocol/uri-template.ts'

export interface Template {
  /** Its place in the list of templates. */
  readonly at: number
  readonly route: Route
  readonly template: UriTemplate
}

/** Why a server may have a URI. */
export interface Claim {
  readonly route: Route
  /** Characters at the begin of the URI that the template or the scheme says literally. */
  readonly named: number
}

/** What the templates say of one URI. */
export interface TemplateClaims {
  /** The first match of each server, in the order of the templates, as close as the closest. */
  readonly claims: readonly Claim[]
  /** Of templates that the budget did not suffice for, the closest of each server. */
  readonly open: readonly Claim[]
  /** Steps that the search took. */
  readonly steps: number
}

/** Steps of the search for the owner of one URI, over the templates of all servers: about two milliseconds. */
export const MAX_MATCH_STEPS = 200_000

interface Candidate {
  readonly own: string
  readonly named: number
  readonly template: UriTemplate
}

/**
 * The servers whose templates stand for a URI. Each server that has templates which may has an equal share of the steps that are left for it and
 * those after it: the templates of one server never use up what another one needs.
 */
export function templateClaims(templates: readonly Template[], uri: string): TemplateClaims {
  const servers = candidates(templates, uri)
  const claims: Claim[] = []
  const open: Claim[] = []
  let left = MAX_MATCH_STEPS
  let serversLeft = servers.size
  for (const [server, found] of servers) {
    const share = Math.floor(left / serversLeft--)
    const steps: StepsLeft = { left: share }
    const closest = new Map<string, number>()
    let unknown: Candidate | undefined
    for (const candidate of found) {
      const { own, named, template } = candidate
      // A further match of the same route says more only where it is closer.
      if (named <= (closest.get(own) ?? -1)) continue
      const matches = template.matches(own, steps)
      if (matches === true) closest.set(own, named)
      else if (matches === undefined && named > (unknown?.named ?? -1)) unknown = candidate
    }
    for (const [own, named] of closest) claims.push({ route: { server, own, exposed: uri }, named })
    if (unknown) open.push({ route: { server, own: unknown.own, exposed: uri }, named: unknown.named })
    left -= share - steps.left
  }
  return { claims, open, steps: MAX_MATCH_STEPS - left }
}

/** The templates that begin and end as the URI does, by server. */
function candidates(templates: readonly Template[], uri: string): Map<string, Candidate[]> {
  const servers = new Map<string, Candidate[]>()
  for (const { route, template } of templates) {
    const { server } = route
    const marker = route.exposed === route.own ? '' : `${server}+`
    if (!uri.startsWith(marker)) continue
    const own = marker === '' ? uri : uri.slice(marker.length)
    if (!template.mayMatch(own)) continue
    const candidate = { own, named: marker.length + template.head.length, template }
    const found = servers.get(server)
    if (found) found.push(candidate)
    else servers.set(server, [candidate])
  }
  return servers
}
