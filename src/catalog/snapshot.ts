import { LIST_KINDS, type HeaderParam, type ListKind } from '../core/route.ts'
import { Stride, type Steps } from '../core/slices.ts'
import type { Caching } from '../protocol/caching.ts'
import type { ClientKind } from '../protocol/client-kind.ts'
import { charsOf, digestOf } from './digest.ts'
import type { Size } from './list-budget.ts'
import type { Era } from '../protocol/revisions.ts'
import { withoutLacks, type Spoken } from '../protocol/spoken.ts'

/** What one server offered when it was last asked, as it said it: what the configuration hides is in it, too. Immutable; kept in the store and served until a newer one is there. */
export interface ServerSnapshot {
  readonly server: string
  /** Unix milliseconds. */
  readonly fetchedAt: number
  readonly era: 'legacy' | 'modern'
  /** Which eras the server speaks, as far as was known. */
  readonly spoken: Spoken
  /** Unix milliseconds at which that was known. */
  readonly eraAt: number
  readonly transport: string
  readonly protocolVersion: string
  readonly capabilities: Readonly<Record<string, unknown>>
  readonly instructions: string | undefined
  readonly lists: Readonly<Record<ListKind, readonly Entry[]>>
  /** Lists that are not known in full: an entry or a page was left out, or the list could not be fetched. */
  readonly incomplete?: readonly ListKind[]
  /** Of what is kept as the base: the other variants. */
  readonly variants?: readonly VariantOf[]
  /** How long each of them may be kept, and for whom; absent where the server does not say. */
  readonly caching: CachingBy
}

/** A variant as it is kept. */
export interface VariantOf {
  readonly variant: ClientKind
  /** Raw JSON of the capabilities that the server was told. */
  readonly told: string
  /** Its lists are those of the base. */
  readonly same: boolean
}

export type CachingBy = Readonly<Partial<Record<ListKind | 'discover', Caching>>>

/** One definition, as the server wrote it. */
export interface Entry {
  /** `name` of a tool or prompt, `uri` of a resource, `uriTemplate` of a template. */
  readonly key: string
  /** Raw JSON of the definition. */
  readonly text: string
  /** Arguments that travel as headers as well; only tools have them. */
  readonly headerParams?: readonly HeaderParam[]
  /** The tool can only be called as a task (revision 2025-11-25). */
  readonly needsTask?: boolean
}

/** Shape of what is stored; another number means it is fetched anew. */
const LAYOUT = 2

/** The snapshot as it is stored, made with pauses. */
export function* storing({ lists, ...more }: ServerSnapshot): Steps<string> {
  const stride = new Stride()
  const parts: string[] = []
  for (const kind of LIST_KINDS) {
    const entries: string[] = []
    for (const entry of lists[kind]) {
      const text = JSON.stringify(entry)
      entries.push(text)
      if (stride.isOver(text.length)) yield
    }
    parts.push(`"${kind}":[${entries.join(',')}]`)
  }
  return `${JSON.stringify({ layout: LAYOUT, ...more }).slice(0, -1)},"lists":{${parts.join(',')}}}`
}

/** The stored snapshot, `undefined` when it is of another layout, or unreadable. */
export function fromStored(text: string): ServerSnapshot | undefined {
  try {
    const { layout, ...snapshot } = JSON.parse(text) as ServerSnapshot & { layout: number }
    return layout === LAYOUT
      ? {
          ...snapshot,
          instructions: snapshot.instructions,
          caching: snapshot.caching ?? {},
          spoken: snapshot.spoken ?? spokenBy(snapshot.era),
        }
      : undefined
  } catch {
    return undefined
  }
}

/** What is known of a server by the era of one conversation with it. */
export function spokenBy(era: Era): Spoken {
  return era === 'modern' ? { modern: true } : { legacy: true, modern: false }
}

/** That a server lacks an era never fails by itself, so it is believed for a day. */
const LACKS_MS = 24 * 60 * 60 * 1000

/** Which eras a server is taken to speak when nothing newer is known. */
export function spokenSince({ spoken, eraAt }: ServerSnapshot): Spoken {
  return Math.abs(Date.now() - eraAt) < LACKS_MS ? spoken : withoutLacks(spoken)
}

/** Whether two snapshots offer the same, so that nothing has to be told to anyone. */
export function sameLists(a: ServerSnapshot, b: ServerSnapshot): boolean {
  return (
    a.era === b.era &&
    LIST_KINDS.every(kind => digestOf(a.lists[kind]) === digestOf(b.lists[kind])) &&
    JSON.stringify(a.capabilities) === JSON.stringify(b.capabilities) &&
    a.instructions === b.instructions &&
    String(a.incomplete ?? []) === String(b.incomplete ?? [])
  )
}

/** Whether snapshots of a server have the same resources and templates together, as far as they are known. */
export function haveSameResources(
  some: readonly ServerSnapshot[] = [],
  others: readonly ServerSnapshot[] = [],
): boolean {
  return some.length === others.length && some.every(one => others.some(other => sameResources(one, other)))
}

function sameResources(a: ServerSnapshot, b: ServerSnapshot): boolean {
  return (
    a === b ||
    (String(a.incomplete ?? []) === String(b.incomplete ?? []) &&
      digestOf(a.lists.resources) === digestOf(b.lists.resources) &&
      digestOf(a.lists.resourceTemplates) === digestOf(b.lists.resourceTemplates))
  )
}

/** What the lists of snapshots take; one that several share counts once. */
export function sizeOf(snapshots: Iterable<ServerSnapshot>): Size {
  const lists = new Set([...snapshots].flatMap(snapshot => LIST_KINDS.map(kind => snapshot.lists[kind])))
  let entries = 0
  let chars = 0
  for (const list of lists) {
    entries += list.length
    chars += charsOf(list)
  }
  return { entries, chars }
}

/** The snapshot, with the lists of others in place of its own where they are equal. */
export function sharingLists(snapshot: ServerSnapshot, others: Iterable<ServerSnapshot>): ServerSnapshot {
  const lists = { ...snapshot.lists }
  for (const other of others) {
    // The era decides what is read out of a definition.
    if (other.era !== snapshot.era) continue
    for (const kind of LIST_KINDS)
      if (digestOf(other.lists[kind]) === digestOf(lists[kind])) lists[kind] = other.lists[kind]
  }
  return { ...snapshot, lists }
}
