/** What has become outdated: all a server said, or what has one of these tags. */
export type Invalidation = 'server' | readonly string[]

/** How long a server may still be changing something after the gateway has stopped waiting for it. */
export const LINGER_MS = 60_000
/** Tags that are told apart; with more, all count as one. */
const MAX_TAGS = 10_000

/** Of a server, or of one tag. */
class Mark {
  /** Number of the last moment at which it became outdated. */
  at = 0
  /** When that was, in Unix milliseconds. */
  time = -1
  /** Calls under way that change it. */
  writes = 0
  /** Until when such a call may go on that nobody waits for any more. */
  lingersUntil = 0
}

/**
 * When what one server says became outdated. Whoever reads takes a number first; what was read is as good as long as nothing it depends on has changed
 * since then. A change that is under way has no one moment, so nothing that is read meanwhile is kept.
 */
export class Invalidations {
  #count = 0
  readonly #server = new Mark()
  readonly #tags = new Map<string, Mark>()

  /** The number of now. */
  get now(): number {
    return this.#count
  }

  /** Whether what was read since `epoch` still holds. */
  isCurrent(epoch: number, tags: readonly string[]): boolean {
    if (epoch === this.#count) return true
    if (this.#server.at > epoch) return false
    if (this.#tags.size > 0) for (const tag of tags) if ((this.#tags.get(tag)?.at ?? 0) > epoch) return false
    return true
  }

  /** Whether nothing is changing what has these tags, nor may have been at the time `since`. */
  isQuiet(tags: readonly string[], since: number): boolean {
    if (!quiet(this.#server, since)) return false
    if (this.#tags.size > 0)
      for (const tag of tags) {
        const mark = this.#tags.get(tag)
        if (mark && !quiet(mark, since)) return false
      }
    return true
  }

  /** When something with these tags last became outdated, in Unix milliseconds; -1 for never. */
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

  /** A call begins that changes something. */
  begin(what: Invalidation, time: number): void {
    this.outdate(what, time)
    for (const mark of this.#marks(what)) mark.writes++
  }

  /** It has ended. `lingers`: for the gateway, but perhaps not at the server. */
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

  /** Everything is taken for outdated as late as the latest; only what is changing at this moment is still told apart. */
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
