import type { ListKind, Route } from '../core/route.ts'
import { Stride, type Steps } from '../core/slices.ts'
import { readingsOf, textsOf } from '../core/uri-readings.ts'
import type { Item } from '../policy/decide.ts'
import type { Policy } from '../policy/policy.ts'
import { UriTemplate, type StepsLeft } from '../protocol/uri-template.ts'
import { catalogEntry } from './catalog-entry.ts'
import type { EndpointMember, EndpointCatalog } from './endpoint-catalog.ts'
import type { Entry, ServerSnapshot } from './snapshot.ts'

/**
 * Listed items that a URI may refer to. Rules with conditions on definitions are checked against each of them, however
 * the server was found: a resource or a template with an equivalent URI, and a template that matches the URI.
 */

const KINDS = ['resources', 'resourceTemplates'] as const satisfies readonly ListKind[]

/**
 * Bounds of the equivalent texts of one list beyond one for each entry. A list that exceeds them is indexed in part.
 */
const MAX_MORE_TEXTS = 20_000
const MAX_MORE_CHARS = 4 * 1024 * 1024

/** Steps of the search through the templates for one URI: about a millisecond. */
const MAX_STEPS = 100_000
/** Maximum number of listed items for one URI. Beyond it, the definition counts as unknown. */
const MAX_ALIKE = 8

/** Index of one list by equivalent URIs. */
interface Index {
  /** Entries by each text that is equivalent to their URI. */
  readonly entries: ReadonlyMap<string, readonly Entry[]>
  readonly templates: readonly { readonly entry: Entry; readonly template: UriTemplate }[]
  /** Whether the index is incomplete. */
  readonly isCut: boolean
}

/** Endpoints and kinds of clients share lists, and therefore their indexes. */
const indexes = new WeakMap<readonly Entry[], Index>()

/** Builds the indexes that `resourceItems` needs, with pauses. */
export function* indexing(members: readonly EndpointMember[]): Steps<void> {
  for (const member of members)
    for (const { lists } of shownBy(member))
      for (const kind of KINDS)
        if (!indexes.has(lists[kind])) indexes.set(lists[kind], yield* indexOf(kind, lists[kind]))
}

/** Every snapshot of a server, starting with the one for clients of this kind. */
function shownBy({ snapshot, variants = [] }: EndpointMember): readonly ServerSnapshot[] {
  return [...new Set(snapshot ? [snapshot, ...variants] : variants)]
}

function* indexOf(kind: ListKind, list: readonly Entry[]): Steps<Index> {
  const stride = new Stride()
  const entries = new Map<string, Entry[]>()
  const templates: { entry: Entry; template: UriTemplate }[] = []
  let textsLeft = MAX_MORE_TEXTS
  let charsLeft = MAX_MORE_CHARS
  let isCut = false
  const add = (text: string, entry: Entry): void => {
    const same = entries.get(text)
    if (same) same.push(entry)
    else entries.set(text, [entry])
  }
  for (const entry of list) {
    const { key } = entry
    if (stride.isOver(key.length)) yield
    add(key, entry)
    const readings = readingsOf(key)
    if (readings?.endless) isCut = true
    for (const text of readings?.same ?? []) {
      if (text === key) continue
      charsLeft -= text.length
      if (--textsLeft < 0 || charsLeft < 0) {
        isCut = true
        break
      }
      add(text, entry)
    }
    if (kind !== 'resourceTemplates') continue
    const template = UriTemplate.parse(key)
    if (template) templates.push({ entry, template })
    // The resources that the template matches cannot be determined.
    else isCut = true
  }
  return { entries, templates, isCut }
}

/**
 * The items of a resource that a policy has to allow: all that the URI may refer to where rules have conditions on
 * definitions. Requires `indexing` to be done.
 */
export function resourceItems(
  merged: EndpointCatalog,
  { asksTool }: Policy,
  { server, own }: Route,
): readonly Item[] {
  const item: Item = { kind: 'resource', server, name: own, title: '', annotations: {} }
  const member = asksTool ? merged.member(server) : undefined
  return member ? defined(item, member) : [item]
}

function defined(item: Item, member: EndpointMember): readonly Item[] {
  const { server, name: own } = item
  const { snapshot } = member
  const unknown: readonly Item[] = [{ ...item, isUnknown: true }]
  if (!snapshot) return unknown
  const exact = indexes
    .get(snapshot.lists.resources)
    ?.entries.get(own)
    ?.find(({ key }) => key === own)
  if (exact) return [catalogEntry('resources', server, exact, own, false)]
  const found = new Map<string, Item>()
  const add = (one: Item): void => {
    found.set(`${one.name}\n${one.title}\n${JSON.stringify(one.annotations)}`, one)
  }
  const texts = textsOf(own)
  const steps: StepsLeft = { left: MAX_STEPS }
  for (const { lists, incomplete = [] } of shownBy(member))
    for (const kind of KINDS) {
      const index = indexes.get(lists[kind])
      if (!index || index.isCut || incomplete.includes(kind)) return unknown
      for (const text of texts)
        for (const entry of index.entries.get(text) ?? []) {
          add(catalogEntry(kind, server, entry, entry.key, false))
          if (found.size > MAX_ALIKE) return unknown
        }
      for (const { entry, template } of index.templates) {
        const stands = standsFor(template, texts, steps)
        if (stands === undefined) return unknown
        if (!stands) continue
        const { title, annotations } = catalogEntry(kind, server, entry, entry.key, false)
        add({ ...item, title, annotations })
        if (found.size > MAX_ALIKE) return unknown
      }
    }
  return [item, ...found.values()]
}

/** Whether a template matches one of the texts. `undefined`: the steps do not suffice to decide. */
function standsFor(template: UriTemplate, texts: readonly string[], steps: StepsLeft): boolean | undefined {
  for (const text of texts) {
    const matches = template.matches(text, steps)
    if (matches !== false) return matches
  }
  return false
}
