import { randomBytes } from 'node:crypto'

/**
 * What has happened to a server, as the state store has it: ids of the latest changes, newest first, of all it says and of what has a tag. Ids are never used
 * twice, so that a change is told from another without counting, and nothing has to be added up atomically.
 */
export interface Epoch {
  readonly all: readonly string[]
  readonly tags: Readonly<Record<string, readonly string[]>>
}

/** A change under way to the store. `tag`: `undefined` for everything. */
export interface Change {
  readonly id: string
  readonly tag: string | undefined
}

/** Ids that are kept of each: more than processes write in the time one of them needs to look. */
const KEPT = 8

export function epochKey(server: string): string {
  return `cache-epoch/${server}`
}

export function newChange(tag: string | undefined): Change {
  return { id: randomBytes(9).toString('base64url'), tag }
}

/** `undefined` for what cannot be read; whoever needs it writes a new one. */
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
export function withChanges(epoch: Epoch | undefined, changes: readonly Change[]): Epoch {
  const of = (tag: string | undefined): string[] =>
    changes.filter(change => change.tag === tag).map(({ id }) => id)
  const tags = own(epoch?.tags ?? {})
  for (const { tag } of changes) if (tag !== undefined) tags[tag] = joined(of(tag), epoch?.tags[tag] ?? [])
  // Never empty: an entry's stamp must name something that a lost epoch no longer has.
  const before = epoch?.all ?? [newChange(undefined).id]
  return { all: joined(of(undefined), before), tags }
}

/** Whether an epoch still knows of a change. */
export function knows(epoch: Epoch | undefined, { id, tag }: Change): boolean {
  return (tag === undefined ? epoch?.all : epoch?.tags[tag])?.includes(id) ?? false
}

/** Tags changed between two epochs by something that is not in `own`; `undefined` among them stands for everything. */
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

/** What has to be unchanged for an entry with these tags to be good. */
export function stampOf(epoch: Epoch, tags: readonly string[]): string {
  return [epoch.all[0], ...[...new Set(tags)].sort().map(tag => epoch.tags[tag]?.[0] ?? '-')].join(' ')
}

function joined(ids: readonly string[], before: readonly string[]): string[] {
  return [...ids, ...before].slice(0, KEPT)
}

/** Without what every object inherits: `constructor` is a possible tag. */
function own(tags: Epoch['tags']): Record<string, readonly string[]> {
  return Object.assign(Object.create(null) as Record<string, readonly string[]>, tags)
}

function isIds(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every(id => typeof id === 'string')
}
