import { randomBytes } from 'node:crypto'

/**
 * Changes of a server in the state store: ids of the latest ones, newest first, for the whole server and for each tag.
 * Ids are never reused, so changes are distinguished without counters, and no atomic increment is needed.
 */
export interface Epoch {
  readonly all: readonly string[]
  readonly tags: Readonly<Record<string, readonly string[]>>
}

/** A change to be written to the store. `tag`: `undefined` for everything. */
export interface Change {
  readonly id: string
  readonly tag: string | undefined
}

/** Number of ids that are kept: more than other processes write between two reads of one process. */
const KEPT = 8

export function epochKey(server: string): string {
  return `cache-epoch/${server}`
}

export function newChange(tag: string | undefined): Change {
  return { id: randomBytes(9).toString('base64url'), tag }
}

/** `undefined` for unreadable text. A process that needs the epoch writes a new one. */
export function parseEpoch(text: string | undefined): Epoch | undefined {
  if (text === undefined) return undefined
  try {
    const { all, tags } = JSON.parse(text) as Epoch
    return isIds(all) && all.length > 0 && typeof tags === 'object' && Object.values(tags).every(isIds)
      ? { all, tags: own(tags) }
      : undefined
  } catch {
    return undefined
  }
}

/** The epoch after some changes. */
export function epochAfter(epoch: Epoch | undefined, changes: readonly Change[]): Epoch {
  const of = (tag: string | undefined): string[] =>
    changes.filter(change => change.tag === tag).map(({ id }) => id)
  const tags = own(epoch?.tags ?? {})
  for (const { tag } of changes) if (tag !== undefined) tags[tag] = joined(of(tag), epoch?.tags[tag] ?? [])
  // Never empty: the stamp of an entry must contain an id that a lost epoch no longer has.
  const before = epoch?.all ?? [newChange(undefined).id]
  return { all: joined(of(undefined), before), tags }
}

/** Whether an epoch contains a change. */
export function knows(epoch: Epoch | undefined, { id, tag }: Change): boolean {
  return (tag === undefined ? epoch?.all : epoch?.tags[tag])?.includes(id) ?? false
}

/** Tags changed between two epochs by changes that are not in `own`; `undefined` among them stands for everything. */
export function changedTags(
  before: Epoch,
  after: Epoch,
  own: (id: string) => boolean,
): Set<string | undefined> {
  const changed = new Set<string | undefined>()
  const foreign = (old: readonly string[], ids: readonly string[]): boolean =>
    ids.some(id => !old.includes(id) && !own(id))
  if (foreign(before.all, after.all)) changed.add(undefined)
  for (const [tag, ids] of Object.entries(after.tags))
    if (foreign(before.tags[tag] ?? [], ids)) changed.add(tag)
  return changed
}

/** The ids that must be unchanged for an entry with these tags to be valid. */
export function stampOf(epoch: Epoch, tags: readonly string[]): string {
  return [epoch.all[0], ...[...new Set(tags)].sort().map(tag => epoch.tags[tag]?.[0] ?? '-')].join(' ')
}

function joined(ids: readonly string[], before: readonly string[]): string[] {
  return [...ids, ...before].slice(0, KEPT)
}

/** Without inherited members: `constructor` is a possible tag. */
function own(tags: Epoch['tags']): Record<string, readonly string[]> {
  return Object.assign(Object.create(null) as Record<string, readonly string[]>, tags)
}

function isIds(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every(id => typeof id === 'string')
}
