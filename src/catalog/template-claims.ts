import type { Route } from '../core/route.ts'
import type { StepsLeft, UriTemplate } from '../protocol/uri-template.ts'
import { PrefixTree } from './prefix-tree.ts'

export interface Template {
  readonly route: Route
  readonly template: UriTemplate
}

/** Reason why a server may own a URI. */
export interface Claim {
  readonly route: Route
  /** Number of characters at the start of the URI that the template or the scheme contains literally. */
  readonly named: number
}

/** Result of the search for one URI. */
export interface TemplateClaims {
  /** The closest match of each server, in the order of the servers. */
  readonly claims: readonly Claim[]
  /** For templates that the budget did not suffice for: the closest of each server. */
  readonly open: readonly Claim[]
  /** Steps that the search took. */
  readonly steps: number
}

/** Budget of steps for the owner of one URI, over the templates of all servers: about two milliseconds. */
export const MAX_MATCH_STEPS = 200_000

/** Steps for visiting one node of a tree. */
const STEPS_OF_A_NODE = 4

/** Templates of one server by their literal start. Those that begin with the name of the server are separate. */
interface Heads {
  readonly server: string
  readonly plain: PrefixTree<Template[]>
  readonly marked: PrefixTree<Template[]>
}

/** Templates of a server whose literal start matches a URI. */
interface Found {
  readonly marker: string
  /** By literal start, the shortest first. */
  readonly groups: readonly (readonly Template[])[]
}

/** Index of the templates of an endpoint. A search examines only templates whose literal start matches the URI. */
export class TemplateIndex {
  readonly #servers = new Map<string, Heads>()

  /** Adds a template. Linear in the length of its text. */
  add(template: Template): void {
    const { server, own, exposed } = template.route
    let heads = this.#servers.get(server)
    if (!heads)
      this.#servers.set(server, (heads = { server, plain: new PrefixTree(), marked: new PrefixTree() }))
    const tree = exposed === own ? heads.plain : heads.marked
    tree.at(template.template.head, () => []).push(template)
  }

  /**
   * The servers whose templates match a URI. All work counts as steps. Each server with candidate templates gets
   * an equal share of the remaining steps: the templates of one server never use up the share of another.
   */
  claims(uri: string): TemplateClaims {
    const claims: Claim[] = []
    const open: Claim[] = []
    let left = MAX_MATCH_STEPS
    const servers: { readonly server: string; readonly found: readonly Found[] }[] = []
    for (const heads of this.#servers.values()) {
      const { found, nodes } = beginningAs(uri, heads)
      left -= nodes * STEPS_OF_A_NODE
      if (found.length > 0) servers.push({ server: heads.server, found })
    }
    let serversLeft = servers.length
    for (const { server, found } of servers) {
      const share = Math.max(0, Math.floor(left / serversLeft--))
      const steps: StepsLeft = { left: share }
      let unknown: Claim | undefined
      for (const { marker, groups } of found) {
        const own = uri.slice(marker.length)
        const claim = (named: number): Claim => ({
          route: { server, own, exposed: uri },
          named: marker.length + named,
        })
        const closest = closestOf(groups, own, steps)
        if (closest.match) claims.push(claim(closest.match.head.length))
        const other = closest.open && claim(closest.open.head.length)
        if (other && other.named > (unknown?.named ?? -1)) unknown = other
      }
      if (unknown) open.push(unknown)
      left -= share - steps.left
    }
    return { claims, open, steps: MAX_MATCH_STEPS - left }
  }
}

function beginningAs(
  uri: string,
  heads: Heads,
): { readonly found: readonly Found[]; readonly nodes: number } {
  const found: Found[] = []
  const plain = heads.plain.along(uri)
  if (plain.values.length > 0) found.push({ marker: '', groups: plain.values })
  const marker = `${heads.server}+`
  if (!uri.startsWith(marker)) return { found, nodes: plain.nodes }
  const marked = heads.marked.along(uri.slice(marker.length))
  if (marked.values.length > 0) found.push({ marker, groups: marked.values })
  return { found, nodes: plain.nodes + marked.nodes }
}

/** The template with the longest literal match, and the first one that could not be decided. */
function closestOf(
  groups: readonly (readonly Template[])[],
  own: string,
  steps: StepsLeft,
): { readonly match?: UriTemplate; readonly open?: UriTemplate | undefined } {
  let open: UriTemplate | undefined
  for (let at = groups.length - 1; at >= 0; at--)
    for (const { template } of groups[at] as readonly Template[]) {
      const matches = template.matchesRest(own, steps)
      if (matches === true) return { match: template, open }
      if (matches === undefined) open ??= template
      // The steps are used up.
      if (steps.left < 0) return { open }
    }
  return { open }
}
