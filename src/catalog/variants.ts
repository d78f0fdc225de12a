import { inOtherEra, type ClientKind } from '../protocol/client-kind.ts'
import { sameCaching } from './freshness.ts'
import { ListBudget } from './list-budget.ts'
import { sameLists, sharingLists, sizeOfSnapshots, type ServerSnapshot, type VariantOf } from './snapshot.ts'

/**
 * Maximum number of snapshots of one server. Most servers list the same for every client, and all snapshots are then
 * one.
 */
export const MAX_VARIANTS = 8

/**
 * The lists of one server for each kind of client. A variant is the kind whose capabilities the server received, in the
 * era of the link. A kind of client that is served as another one shares the variant of that one.
 */
export class Variants {
  /** Variant → snapshot, the last listed one at the end. */
  readonly #listed = new Map<ClientKind, ServerSnapshot>()
  /** Kind of client → variant, for clients that were served as another kind. */
  readonly #servedAs = new Map<ClientKind, ClientKind>()
  /** Variants that may have changed since they were listed. */
  readonly #outdated = new Set<ClientKind>()
  /** Raw JSON of the client capabilities that the server received, by variant. */
  readonly #told = new Map<ClientKind, string>()
  readonly #server: string
  readonly #budget: ListBudget
  #base: ServerSnapshot | undefined

  /** @param budget bounds of the lists of all servers */
  constructor(server: string, budget: ListBudget = new ListBudget()) {
    this.#server = server
    this.#budget = budget
  }

  /**
   * The snapshot of the least capable variant. Used where no client is concerned, and for clients whose own lists are
   * not known yet.
   */
  get base(): ServerSnapshot | undefined {
    return this.#base
  }

  /** Each variant with its snapshot. */
  get all(): Iterable<readonly [ClientKind, ServerSnapshot]> {
    return this.#listed
  }

  /** The distinct snapshots of all variants. */
  get shown(): readonly ServerSnapshot[] {
    return [...new Set(this.#listed.values())]
  }

  /** The snapshot of exactly this variant. */
  listed(variant: ClientKind): ServerSnapshot | undefined {
    return this.#listed.get(variant)
  }

  told(variant: ClientKind): string {
    return this.#told.get(variant) ?? '{}'
  }

  /** The table of variants that is stored with the base: which exist, and which of them are equal to the base. */
  get index(): readonly VariantOf[] {
    return [...this.#listed].map(([variant, snapshot]) => ({
      variant,
      told: this.told(variant),
      same: snapshot === this.#base,
    }))
  }

  /** The lists for a client of this kind, or those of the base where they are not known or are the same. */
  seenBy(kind: ClientKind | undefined): ServerSnapshot | undefined {
    const variant = kind === undefined ? undefined : this.#variantOf(kind)
    return (variant !== undefined && this.#listed.get(variant)) || this.#base
  }

  /** Whether lists shown to a client of this kind are available, even if they may be outdated. */
  hasShown(kind: ClientKind): boolean {
    return this.#variantOf(kind) !== undefined
  }

  /** Whether the current lists for a client of this kind are available. */
  isKnown(kind: ClientKind): boolean {
    const variant = this.#variantOf(kind)
    return variant !== undefined && !this.#outdated.has(variant)
  }

  /**
   * Sets the lists of a variant. `kind` is that of the client for which they were fetched. Returns whether any client
   * may see something else now.
   * @throws GatewayError `too_large` where the budget has no room for it, and nothing changes
   */
  set(variant: ClientKind, told: string, listed: ServerSnapshot, kind: ClientKind | undefined): boolean {
    const dropped = this.#droppedFor(variant)
    const shared = sharingLists(listed, this.#listed.values())
    this.#budget.take(this.#server, sizeOfSnapshots([...this.#allBut(variant, dropped), shared]))
    return this.#set(variant, told, shared, kind, dropped)
  }

  /** Restores lists that an earlier run has fetched. @throws as `set` */
  restore(variant: ClientKind, told: string, listed: ServerSnapshot): void {
    const dropped = this.#droppedFor(variant)
    const others = this.#allBut(variant, dropped)
    const shared = sharingLists(listed, others)
    this.#budget.restore(this.#server, sizeOfSnapshots([...others, shared]))
    this.#set(variant, told, shared, undefined, dropped)
  }

  #allBut(variant: ClientKind, dropped: ClientKind | undefined): ServerSnapshot[] {
    return [...this.#listed].flatMap(([other, snapshot]) =>
      other === variant || other === dropped ? [] : snapshot,
    )
  }

  #set(
    variant: ClientKind,
    told: string,
    listed: ServerSnapshot,
    kind: ClientKind | undefined,
    dropped: ClientKind | undefined,
  ): boolean {
    if (dropped !== undefined) this.#forget(dropped)
    this.#told.set(variant, told)
    const before = this.#listed.get(variant)
    const wasKnown = kind === undefined || this.isKnown(kind)
    if (kind !== undefined && kind !== variant) this.#servedAs.set(kind, variant)
    else this.#servedAs.delete(variant)
    this.#outdated.delete(variant)
    this.#listed.delete(variant)
    this.#listed.set(variant, listed)
    this.#share()
    return !before || !wasKnown || !sameLists(before, listed) || !sameCaching(before, listed)
  }

  delete(variant: ClientKind): void {
    this.#forget(variant)
    this.#share()
  }

  /** Marks the lists of this variant as possibly outdated until they are fetched again. */
  outdate(variant: ClientKind): void {
    this.#outdated.add(variant)
  }

  #variantOf(kind: ClientKind): ClientKind | undefined {
    if (this.#listed.has(kind)) return kind
    const other = this.#servedAs.get(kind) ?? (this.#lacksEraOf(kind) ? inOtherEra(kind) : undefined)
    return other !== undefined && this.#listed.has(other) ? other : undefined
  }

  #lacksEraOf(kind: ClientKind): boolean {
    const spoken = this.#base?.spoken
    return (kind.startsWith('m') ? spoken?.modern : spoken?.legacy) === false
  }

  /** Replaces snapshots that are equal to the base with that object, so that they use no memory and share its views. */
  #share(): void {
    const least = leastOf(this.#listed.keys())
    const base = least === undefined ? undefined : this.#listed.get(least)
    this.#base = base
    if (!base) return this.#budget.take(this.#server, sizeOfSnapshots([]))
    const same = [...this.#listed].filter(([, snapshot]) => snapshot === base || isSame(snapshot, base))
    let newest = base
    for (const [, snapshot] of same) if (snapshot.fetchedAt > newest.fetchedAt) newest = snapshot
    for (const [variant] of same) this.#listed.set(variant, newest)
    this.#base = newest
    // The size only decreases here.
    this.#budget.take(this.#server, sizeOfSnapshots(this.#listed.values()))
  }

  /** The variant that is dropped to make room for `added`: the one listed longest ago that is not the least capable. */
  #droppedFor(added: ClientKind): ClientKind | undefined {
    if (this.#listed.has(added) || this.#listed.size < MAX_VARIANTS) return undefined
    const least = leastOf([added, ...this.#listed.keys()])
    return [...this.#listed.keys()].find(variant => variant !== least)
  }

  #forget(variant: ClientKind): void {
    this.#listed.delete(variant)
    this.#outdated.delete(variant)
    this.#told.delete(variant)
    for (const [kind, other] of this.#servedAs) if (other === variant) this.#servedAs.delete(kind)
  }
}

function leastOf(variants: Iterable<ClientKind>): ClientKind | undefined {
  let least: ClientKind | undefined
  for (const variant of variants) if (least === undefined || isLess(variant, least)) least = variant
  return least
}

/** Orders kinds: fewer capabilities first, and with equally many the modern era first. */
function isLess(a: ClientKind, b: ClientKind): boolean {
  return a.length !== b.length ? a.length < b.length : a > b
}

function isSame(a: ServerSnapshot, b: ServerSnapshot): boolean {
  return a.era === b.era && sameLists(a, b) && sameCaching(a, b)
}
