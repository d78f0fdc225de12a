import { LIST_KINDS, type HeaderParam, type ListKind } from '../core/route.ts'
import { Stride, type Steps } from '../core/slices.ts'
import type { Caching } from '../protocol/caching.ts'
import type { ClientKind } from '../protocol/client-kind.ts'
import { charsOf, listDigestOf } from './digest.ts'
import type { Size } from './list-budget.ts'
import type { Era } from '../protocol/revisions.ts'
import { withoutLacks, type Spoken } from '../protocol/spoken.ts'

/**
 * The lists of one server as it last sent them, including what the configuration hides. Immutable. Kept in the store
 * and served until a newer one is available.
 */
export interface ServerSnapshot {
  readonly server: string
  /** Unix milliseconds. */
  readonly fetchedAt: number
  readonly era: 'legacy' | 'modern'
  /** The eras that the server supports, as far as detected. */
  readonly spoken: Spoken
  /** Unix milliseconds at which the eras were detected. */
  readonly eraAt: number
  readonly transport: string
  readonly protocolVersion: string
  readonly capabilities: Readonly<Record<string, unknown>>
  readonly instructions: string | undefined
  readonly lists: Readonly<Record<ListKind, readonly Entry[]>>
  /** Incomplete lists: an entry or a page was left out, or the list could not be fetched. */
  readonly incomplete?: readonly ListKind[]
  /** Only in the stored base: the other variants. */
  readonly variants?: readonly VariantOf[]
  /** Time to live and scope of each list. Absent where the server gives none. */
  readonly caching: CachingBy
}

/** A variant as it is stored. */
export interface VariantOf {
  readonly variant: ClientKind
  /** Raw JSON of the client capabilities that the server received. */
  readonly told: string
  /** Whether its lists are equal to those of the base. */
  readonly same: boolean
}

export type CachingBy = Readonly<Partial<Record<ListKind | 'discover', Caching>>>

/** One definition, as the server sent it. */
export interface Entry {
  /** `name` of a tool or prompt, `uri` of a resource, `uriTemplate` of a template. */
  readonly key: string
  /** Raw JSON of the definition. */
  readonly text: string
  /** Arguments that are sent as headers, too. Only for tools. */
  readonly headerParams?: readonly HeaderParam[]
  /** Whether the tool requires a task (revision 2025-11-25). */
  readonly needsTask?: boolean
}

/** Version of the stored format. Lists stored in another version are fetched again. */
const LAYOUT = 2

/** Serialises the snapshot for the store, with pauses. */
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

/** Parses a stored snapshot. `undefined`: it has another version, or is unreadable. */
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

/** The eras that a server supports, as shown by the era of one connection. */
export function spokenBy(era: Era): Spoken {
  return era === 'modern' ? { modern: true } : { legacy: true, modern: false }
}

/**
 * How long a missing era is assumed. Assuming it wrongly never causes an error, so it is detected again only once a
 * day.
 */
const LACKS_MS = 24 * 60 * 60 * 1000

/** The eras that a server is assumed to support when nothing newer is available. */
export function spokenSince({ spoken, eraAt }: ServerSnapshot): Spoken {
  return Math.abs(Date.now() - eraAt) < LACKS_MS ? spoken : withoutLacks(spoken)
}

/** Whether two snapshots offer the same, so that no client has to be notified. */
export function sameLists(a: ServerSnapshot, b: ServerSnapshot): boolean {
  return (
    a.era === b.era &&
    LIST_KINDS.every(kind => listDigestOf(a.lists[kind]) === listDigestOf(b.lists[kind])) &&
    JSON.stringify(a.capabilities) === JSON.stringify(b.capabilities) &&
    a.instructions === b.instructions &&
    String(a.incomplete ?? []) === String(b.incomplete ?? [])
  )
}

/** Whether snapshots of a server have the same resources and templates in total, as far as they are known. */
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
      listDigestOf(a.lists.resources) === listDigestOf(b.lists.resources) &&
      listDigestOf(a.lists.resourceTemplates) === listDigestOf(b.lists.resourceTemplates))
  )
}

/** Size of the lists of snapshots. A list that several share counts once. */
export function sizeOfSnapshots(snapshots: Iterable<ServerSnapshot>): Size {
  const lists = new Set([...snapshots].flatMap(snapshot => LIST_KINDS.map(kind => snapshot.lists[kind])))
  let entries = 0
  let chars = 0
  for (const list of lists) {
    entries += list.length
    chars += charsOf(list)
  }
  return { entries, chars }
}

/** Returns the snapshot with lists of `others` in place of its own where they are equal. */
export function sharingLists(snapshot: ServerSnapshot, others: Iterable<ServerSnapshot>): ServerSnapshot {
  const lists = { ...snapshot.lists }
  for (const other of others) {
    // The parsing of a definition depends on the era.
    if (other.era !== snapshot.era) continue
    for (const kind of LIST_KINDS)
      if (listDigestOf(other.lists[kind]) === listDigestOf(lists[kind])) lists[kind] = other.lists[kind]
  }
  return { ...snapshot, lists }
}
