/** What is invalidated: all results of a server, or those with one of these tags. */
export type Invalidation = 'server' | readonly string[]

/** How long a server may still be changing something after the gateway has stopped waiting for it. */
export const LINGER_MS = 60_000
/** Maximum number of separate tags. Beyond it, all tags are merged. */
const MAX_TAGS = 10_000

/** Mark of a server, or of one tag. */
class Mark {
  /** Epoch of the last invalidation. */
  at = 0
  /** Time of the last invalidation, in Unix milliseconds. */
  time = -1
  /** Number of running calls that change it. */
  writes = 0
  /** Time until which a cancelled call may still change it. */
  lingersUntil = 0
}

/**
 * Invalidations of the results of one server. A reader first takes the current epoch. A result is valid if nothing it
 * depends on has been invalidated since then. A running change has no single moment, so no result that is fetched
 * during one is stored.
 */
export class Invalidations {
  #count = 0
  readonly #server = new Mark()
  readonly #tags = new Map<string, Mark>()

  /** The current epoch. */
  get now(): number {
    return this.#count
  }

  /** Whether a result that was requested in `epoch` is still valid. */
  isCurrent(epoch: number, tags: readonly string[]): boolean {
    if (epoch === this.#count) return true
    if (this.#server.at > epoch) return false
    if (this.#tags.size > 0) for (const tag of tags) if ((this.#tags.get(tag)?.at ?? 0) > epoch) return false
    return true
  }

  /** Whether no call is changing anything with these tags, or could have been at the time `since`. */
  isQuiet(tags: readonly string[], since: number): boolean {
    if (!quiet(this.#server, since)) return false
    if (this.#tags.size > 0)
      for (const tag of tags) {
        const mark = this.#tags.get(tag)
        if (mark && !quiet(mark, since)) return false
      }
    return true
  }

  /** When something with these tags was last invalidated, in Unix milliseconds; -1: never. */
  outdatedAt(tags: readonly string[]): number {
    return tags.reduce((last, tag) => Math.max(last, this.#tags.get(tag)?.time ?? -1), this.#server.time)
  }

  outdate(what: Invalidation, time: number): void {
    this.#count++
    for (const mark of this.#marks(what)) {
      mark.at = this.#count
      mark.time = time
    }
  }

  /** Records the start of a call that changes something. */
  begin(what: Invalidation, time: number): void {
    this.outdate(what, time)
    for (const mark of this.#marks(what)) mark.writes++
  }

  /** Records its end. `lingers`: the server may still be working on it. */
  end(what: Invalidation, time: number, lingers: boolean): void {
    this.outdate(what, time)
    for (const mark of this.#marks(what)) {
      mark.writes--
      if (lingers) mark.lingersUntil = time + LINGER_MS
    }
  }

  #marks(what: Invalidation): readonly Mark[] {
    if (what === 'server') return [this.#server]
    if (this.#tags.size + what.length > MAX_TAGS && what.some(tag => !this.#tags.has(tag))) this.#collapse()
    return what.map(tag => {
      const known = this.#tags.get(tag)
      if (known) return known
      const mark = new Mark()
      this.#tags.set(tag, mark)
      return mark
    })
  }

  /**
   * Merges all tags: everything counts as invalidated at the time of the latest one. Only running changes stay
   * separate.
   */
  #collapse(): void {
    this.#server.at = this.#count
    for (const [tag, mark] of this.#tags) {
      this.#server.time = Math.max(this.#server.time, mark.time)
      this.#server.lingersUntil = Math.max(this.#server.lingersUntil, mark.lingersUntil)
      if (mark.writes === 0) this.#tags.delete(tag)
    }
  }
}

function quiet({ writes, lingersUntil }: Mark, since: number): boolean {
  return writes === 0 && since >= lingersUntil
}
