import type { ListKind, Route } from '../core/route.ts'
import { Stride, type Steps } from '../core/slices.ts'
import { readingsOf, textsOf } from '../core/uri-readings.ts'
import type { Item } from '../policy/decide.ts'
import type { Policy } from '../policy/policy.ts'
import { UriTemplate, type StepsLeft } from '../protocol/uri-template.ts'
import { catalogEntry } from './catalog-entry.ts'
import type { Member, EndpointCatalog } from './endpoint-catalog.ts'
import type { Entry, ServerSnapshot } from './snapshot.ts'

/**
 * What a server lists that one of its URIs may mean. Rules that ask about definitions decide about a URI with each of them, whatever led to the server: a
 * resource, or a template, whose URI means the same, and a template that stands for the URI.
 */

const KINDS = ['resources', 'resourceTemplates'] as const satisfies readonly ListKind[]

/** Texts of one list that are looked up beyond one for each entry, and their characters; what has more is not known in full. */
const MAX_MORE_TEXTS = 20_000
const MAX_MORE_CHARS = 4 * 1024 * 1024

/** Steps of the search through the templates for one URI: about a millisecond. */
const MAX_STEPS = 100_000
/** Listed things that one URI may be; of what may be more, the definition is not known. */
const MAX_ALIKE = 8

/** One list by what its URIs mean. */
interface Index {
  /** By each text that means the same. */
  readonly entries: ReadonlyMap<string, readonly Entry[]>
  readonly templates: readonly { readonly entry: Entry; readonly template: UriTemplate }[]
  /** Something is missing. */
  readonly isCut: boolean
}

/** Lists are shared by endpoints and by kinds of clients, and so is what is known of them. */
const indexes = new WeakMap<readonly Entry[], Index>()

/** Makes what `resourceItems` needs, with pauses. */
export function* indexing(members: readonly Member[]): Steps<void> {
  for (const member of members)
    for (const { lists } of shownBy(member))
      for (const kind of KINDS)
        if (!indexes.has(lists[kind])) indexes.set(lists[kind], yield* indexOf(kind, lists[kind]))
}

/** Everything that a server is known to show, first what it shows to clients of this kind. */
function shownBy({ snapshot, variants = [] }: Member): readonly ServerSnapshot[] {
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
    // Nothing tells what it stands for.
    else isCut = true
  }
  return { entries, templates, isCut }
}

/** A resource for the rules of a policy, and what else it may be where they may ask for definitions; all has to be allowed. `indexing` has to be done. */
export function resourceItems(
  merged: EndpointCatalog,
  { asksTool }: Policy,
  { server, own }: Route,
): readonly Item[] {
  const item: Item = { kind: 'resource', server, name: own, title: '', annotations: {} }
  const member = asksTool ? merged.member(server) : undefined
  return member ? defined(item, member) : [item]
}

function defined(item: Item, member: Member): readonly Item[] {
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

/** Whether a template stands for one of the texts; `undefined` where the steps do not suffice to find out. */
function standsFor(template: UriTemplate, texts: readonly string[], steps: StepsLeft): boolean | undefined {
  for (const text of texts) {
    const matches = template.matches(text, steps)
    if (matches !== false) return matches
  }
  return false
}
