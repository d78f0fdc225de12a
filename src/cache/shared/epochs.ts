import { monotonicNow } from '../../core/clock.ts'
import { describeError } from '../../core/errors.ts'
import type { Logger } from '../../core/logger.ts'
import type { Store } from '../../state/store.ts'
import {
  changedTags,
  epochKey,
  knows,
  newChange,
  parseEpoch,
  stampOf,
  epochAfter,
  type Change,
  type Epoch,
} from './epoch.ts'

export interface SharedEpochsOptions {
  readonly store: Store
  /** Servers whose results may be cached. */
  readonly servers: readonly string[]
  /** Servers with results in memory. Nothing is read for the others. */
  readonly cached: () => Iterable<string>
  /**
   * Called when another process has invalidated something, or an operator has cleared it. Without tags: everything of
   * the server.
   */
  readonly onForeignChange: (server: string, tags: readonly string[] | undefined) => void
  readonly logger: Logger
}

/** How long the memory of a process may lag behind changes of others. */
export const POLL_MS = 1000
/** Delay that combines several changes in one write. */
const FLUSH_MS = 10
/** How long a change is checked for having been overwritten by another process that wrote at the same moment. */
const WATCHED_MS = 10_000
/** Rounding error of the clock. */
const SLACK_MS = 2
/** Number of own ids that are recognised when they are read again. */
const OWN_IDS = 256

interface Known {
  /** As last read or written, with the changes still to be written. `undefined` before that. */
  epoch: Epoch | undefined
  text: string | undefined
  /** Unix milliseconds of the last change. An answer requested before it has an unknown age. */
  changedAt: number
  /** Incremented with every change, so that a read that began before one is recognised. */
  version: number
  pending: Change[]
  written: { readonly change: Change; readonly at: number }[]
}

/**
 * Shares invalidations between the processes that use the same store. A change applies here at once, is written a
 * moment later, and is read by others within a second. While the store is unreachable, own changes wait here, and
 * changes of others are read afterwards.
 */
export class SharedEpochs {
  readonly #options: SharedEpochsOptions
  readonly #servers = new Map<string, Known>()
  readonly #ids = new Set<string>()
  #poll: NodeJS.Timeout | undefined
  #flush: NodeJS.Timeout | undefined
  /** Reads and writes of epochs, one after the other. */
  #busy: Promise<unknown> = Promise.resolve()
  #polling: Promise<void> | undefined
  #failed = false
  #closed = false

  constructor(options: SharedEpochsOptions) {
    this.#options = options
    for (const server of options.servers) this.#known(server)
  }

  /** Servers whose results may be cached. */
  get servers(): string[] {
    return [...this.#servers.keys()]
  }

  /** Shares invalidations of these servers from now on. What is known of them, and what is to be written, stays. */
  reconfigure(servers: readonly string[]): void {
    for (const [server, { pending }] of this.#servers)
      if (pending.length === 0 && !servers.includes(server)) this.#servers.delete(server)
    for (const server of servers) this.#known(server)
  }

  /** Reads the epoch of every server, and again once a second. Never rejects. */
  async start(): Promise<void> {
    this.#poll ??= setInterval(() => void this.poll(), POLL_MS)
    this.#poll.unref()
    await this.#read([...this.#servers.keys()])
    await this.flush()
  }

  /**
   * Records that a call that changes something has begun or ended here: everything of the server, or what has one of
   * these tags, is invalidated.
   */
  changed(server: string, tags?: readonly string[]): void {
    if (!this.#servers.has(server)) return
    for (const tag of tags ?? [undefined]) this.#change(server, newChange(tag))
  }

  /** The mark of a read that is about to begin, to be passed to `seen`. */
  mark(server: string): number {
    return this.#known(server).version
  }

  /**
   * Takes an epoch that was read together with something else. Returns the epoch of the server; `undefined` if it is
   * unknown or has changed since the read began.
   */
  seen(server: string, text: string | undefined, mark: number, begunAt: number): Epoch | undefined {
    const known = this.#known(server)
    if (known.version !== mark)
      return text !== undefined && text === known.text && known.pending.length === 0 ? known.epoch : undefined
    this.#take(server, text, begunAt)
    return known.version === mark || known.pending.length === 0 ? known.epoch : undefined
  }

  /**
   * The stamp for an answer that was requested at `begunAt` (Unix milliseconds). `undefined`: it may be outdated
   * already.
   */
  stamp(server: string, tags: readonly string[], begunAt: number): string | undefined {
    const { epoch, changedAt } = this.#known(server)
    return epoch && changedAt <= begunAt + SLACK_MS ? stampOf(epoch, tags) : undefined
  }

  /** Reads changes of other processes. Never rejects. */
  poll(): Promise<void> {
    const cached = [...new Set(this.#options.cached())]
    if (this.#hasPending()) void this.flush()
    if (cached.length === 0) return Promise.resolve()
    this.#polling ??= this.#read(cached).finally(() => (this.#polling = undefined))
    return this.#polling
  }

  /** Writes the waiting changes. Resolves with whether none is left. Never rejects. */
  flush(): Promise<boolean> {
    clearTimeout(this.#flush)
    this.#flush = undefined
    return this.#next(async () => {
      const dirty = [...this.#servers].filter(([, { pending }]) => pending.length > 0)
      if (dirty.length === 0) return
      const begunAt = monotonicNow()
      const texts = await this.#options.store.getMany(dirty.map(([server]) => epochKey(server)))
      await Promise.all(dirty.map(([server, known], at) => this.#write(server, known, texts[at], begunAt)))
    }).then(() => !this.#hasPending())
  }

  /** Writes the waiting changes if the store can be reached. Idempotent. */
  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    clearInterval(this.#poll)
    await this.flush()
  }

  #change(server: string, change: Change): void {
    const known = this.#known(server)
    // A later change replaces an unwritten one of the same tag.
    known.pending = [...known.pending.filter(({ tag }) => tag !== change.tag), change]
    known.epoch &&= epochAfter(known.epoch, [change])
    known.changedAt = monotonicNow()
    known.version++
    this.#remember(change.id)
    if (this.#closed) return
    this.#flush ??= setTimeout(() => void this.flush(), FLUSH_MS)
    this.#flush.unref()
  }

  #read(servers: readonly string[]): Promise<void> {
    return this.#next(async () => {
      if (servers.length === 0) return
      const begunAt = monotonicNow()
      const marks = servers.map(server => this.mark(server))
      const texts = await this.#options.store.getMany(servers.map(epochKey))
      servers.forEach((server, at) => this.seen(server, texts[at], marks[at] as number, begunAt))
    })
  }

  async #write(server: string, known: Known, text: string | undefined, begunAt: number): Promise<void> {
    const { pending } = known
    this.#take(server, text, begunAt)
    const next = epochAfter(parseEpoch(text), pending)
    for (const id of next.all) if (!parseEpoch(text)) this.#remember(id)
    const value = JSON.stringify(next)
    await this.#options.store.set(epochKey(server), value)
    const at = monotonicNow()
    known.written = [...known.written, ...pending.map(change => ({ change, at }))].filter(
      ({ at: since }) => at - since < WATCHED_MS,
    )
    // More changes may have been added in the meantime.
    known.pending = known.pending.filter(change => !pending.includes(change))
    known.epoch = epochAfter(next, known.pending)
    known.text = value
    known.version++
  }

  /** Takes a read epoch of a server, and reports changes of other processes. */
  #take(server: string, text: string | undefined, begunAt: number): void {
    const known = this.#known(server)
    if (text !== undefined && text === known.text) return
    const epoch = parseEpoch(text)
    const { epoch: before } = known
    if (!epoch) {
      // Nothing was ever written, or the epoch is lost: then no stored entry can be trusted.
      if (before && known.text !== undefined) this.#options.onForeignChange(server, undefined)
      known.epoch = known.text = undefined
      if (known.pending.length === 0) this.#change(server, newChange(undefined))
      return
    }
    known.text = text
    known.epoch = epochAfter(epoch, known.pending)
    this.#repeatLost(server, known, epoch)
    if (!before) {
      known.changedAt = Math.max(known.changedAt, begunAt)
      if ([...this.#options.cached()].includes(server)) this.#options.onForeignChange(server, undefined)
      return
    }
    const changed = changedTags(before, epoch, id => this.#ids.has(id))
    if (changed.size === 0) return
    known.changedAt = monotonicNow()
    known.version++
    const tags = [...changed].filter(tag => tag !== undefined)
    this.#options.onForeignChange(server, changed.has(undefined) ? undefined : tags)
  }

  /** Two processes that write at the same moment overwrite each other: a lost change is written again. */
  #repeatLost(server: string, known: Known, epoch: Epoch): void {
    const now = monotonicNow()
    const lost = known.written.filter(({ change, at }) => now - at < WATCHED_MS && !knows(epoch, change))
    if (lost.length === 0) return
    known.written = known.written.filter(one => !lost.includes(one))
    for (const tag of new Set(lost.map(({ change }) => change.tag))) this.#change(server, newChange(tag))
  }

  #known(server: string): Known {
    let known = this.#servers.get(server)
    if (!known) {
      known = { epoch: undefined, text: undefined, changedAt: 0, version: 0, pending: [], written: [] }
      this.#servers.set(server, known)
    }
    return known
  }

  #hasPending(): boolean {
    return [...this.#servers.values()].some(({ pending }) => pending.length > 0)
  }

  #remember(id: string): void {
    this.#ids.add(id)
    if (this.#ids.size > OWN_IDS) for (const oldest of this.#ids) return void this.#ids.delete(oldest)
  }

  #next(step: () => Promise<void>): Promise<void> {
    const done = this.#busy.then(step).then(
      () => {
        this.#failed = false
      },
      (error: unknown) => {
        // Once, not every second: the store itself logs that it is unreachable.
        if (!this.#failed)
          this.#options.logger.debug('The epochs of the cache could not be read or written.', {
            cause: describeError(error),
          })
        this.#failed = true
      },
    )
    this.#busy = done
    return done
  }
}
