import {
  assertKey,
  assertRoom,
  assertValue,
  closedError,
  expiryOf,
  machineNow,
  type StoreOptions,
} from './entry.ts'
import { openDatabase, type Database } from './lmdb-database.ts'
import { writeError } from './lmdb-errors.ts'
import { identityOf } from './lmdb-folder.ts'
import { expiryIn, expiryKey, recordOf, textOf, valueKey, VALUES } from './lmdb-records.ts'
import { sweep } from './lmdb-sweep.ts'
import { enter, isZoned, leave, sizeOfZone } from './lmdb-zones.ts'
import { attempt, hold, isHeld, take, type Step, type WaitingStep } from './amounts.ts'
import type {
  Held,
  HeldWrite,
  HoldRequest,
  SetOptions,
  Store,
  Taken,
  TakeRequest,
  ZoneSize,
} from './store.ts'

/** Minimum interval between removals of expired values, which run along with a write. */
const SWEEP_EVERY_MS = 60_000
/** How far the wall clock may be set ahead before claims and sliding windows are lost. */
const STEADY_KEPT_MS = 24 * 60 * 60 * 1000

/** Interval at which a store checks that its file is still the one in the folder. */
const LOOK_EVERY_MS = 1000

export interface LmdbStoreOptions extends StoreOptions {
  /** Called with a sentence for the log after each repair of the folder. */
  readonly onRepaired?: (what: string) => void
  /** Changes nothing in the folder, whose file has to be there. */
  readonly readsOnly?: boolean
}

/**
 * Opens a store in the folder `path` (absolute), created with mode 0700. It survives a crash at any point; several
 * processes may share a folder. The folder must be on a local disk, because LMDB maps its file into memory. A damaged
 * file is moved aside, and a deleted or replaced file is opened anew.
 * @throws Error when the folder or its file cannot be used, or the native part of `lmdb` is not installed.
 */
export function openLmdbStore(path: string, options: LmdbStoreOptions = {}): Store {
  return new LmdbStore(path, options)
}

class LmdbStore implements Store {
  readonly name: string
  readonly shared = true
  lostAt: number | undefined
  readonly #path: string
  readonly #onRepaired: (what: string) => void
  readonly #readsOnly: boolean
  #database: Database
  /** Identity of the open file. */
  #identity: string | undefined
  #lookedAt = performance.now()
  /** Resolves when the databases of deleted or replaced files are closed. */
  #retired: Promise<void> = Promise.resolve()
  readonly #now: () => number
  readonly #steady: () => number
  readonly #writes = new Set<Promise<unknown>>()
  #closing: Promise<void> | undefined
  /** Keys in zones that are being written, with the number of writes. */
  readonly #entering = new Map<string, number>()
  #sweptAt = -Infinity
  readonly #steps: WaitingStep[] = []
  #stepping: Promise<void> | undefined

  constructor(
    path: string,
    { now = Date.now, steady, onRepaired = () => {}, readsOnly = false }: LmdbStoreOptions,
  ) {
    this.name = `lmdb:${path}`
    this.#path = path
    this.#now = now
    this.#readsOnly = readsOnly
    // A repaired folder has lost its content.
    this.#onRepaired = what => {
      this.lostAt = this.#now()
      onRepaired(what)
    }
    this.#steady = steady ?? (now === Date.now ? machineNow : now)
    this.#database = openDatabase(path, this.#onRepaired, readsOnly)
    this.#identity = identityOf(path)
  }

  async get(key: string): Promise<string | undefined> {
    this.#startReading()
    return this.#live(key, this.#now())
  }

  async getMany(keys: readonly string[]): Promise<(string | undefined)[]> {
    this.#startReading()
    const now = this.#now()
    // One turn of the event loop, hence one read transaction.
    return keys.map(key => this.#live(key, now))
  }

  async set(key: string, value: string, { ttlMs, zone }: SetOptions = {}): Promise<void> {
    this.#assertOpen()
    assertKey(key)
    const bytes = assertValue(key, value)
    const room = zone && assertRoom(key, bytes, zone)
    const now = this.#now()
    const expiresAt = expiryOf(ttlMs, now)
    const record = recordOf(value, expiresAt)
    const database = this.#database
    // The index is written first: an entry without a value is harmless, but a value without an entry would never
    // expire.
    const put = (): Promise<unknown>[] => [
      ...(expiresAt === Infinity ? [] : [database.put(expiryKey(expiresAt, key), Buffer.alloc(0))]),
      database.put(valueKey(key), record),
    ]
    const writes: Promise<unknown>[] = []
    if (zone && room !== undefined) {
      this.#entering.set(key, (this.#entering.get(key) ?? 0) + 1)
      const entered = database.transaction(() => {
        void put()
        for (const first of enter(database, zone, key, room)) void database.remove(valueKey(first))
      })
      writes.push(entered.finally(() => this.#entered(key)))
    } else writes.push(...put())
    if (expiresAt !== Infinity && Math.abs(now - this.#sweptAt) >= SWEEP_EVERY_MS) {
      this.#sweptAt = now
      writes.push(database.transaction(() => sweep(this.#database, now)))
    }
    await this.#written(Promise.all(writes))
  }

  async setIfAbsent(key: string, value: string): Promise<string> {
    assertValue(key, value)
    const current = await this.get(key)
    if (current !== undefined) return current
    return await this.#step(key, (stored = value) => ({ answer: stored, text: stored, expiresAt: Infinity }))
  }

  async delete(key: string): Promise<void> {
    this.#assertOpen()
    assertKey(key)
    const database = this.#database
    // Plain writes of one turn may overtake a transaction; transactions run in order.
    const zoned = this.#entering.has(key) || isZoned(database, key)
    await this.#written(
      zoned
        ? database.transaction(() => {
            void database.remove(valueKey(key))
            leave(database, key)
          })
        : database.remove(valueKey(key)),
    )
  }

  async keys(prefix: string): Promise<string[]> {
    this.#startReading()
    const start = valueKey(prefix)
    const found: Buffer[] = []
    for (const key of this.#database.getKeys({ start })) {
      if (!key.subarray(0, start.length).equals(start)) break
      found.push(key)
    }
    const now = this.#now()
    return found
      .filter(key => expiryIn(this.#database.getBinaryFast(key)) > now)
      .map(key => key.toString('utf8', VALUES.length))
  }

  async zone(name: string): Promise<ZoneSize> {
    this.#startReading()
    return sizeOfZone(this.#database, name)
  }

  take(request: TakeRequest): Promise<Taken> {
    return 'until' in request.window
      ? this.#step(request.key, (stored, now) => take(stored, request, now))
      : this.#steadyStep(request.key, (stored, now) => take(stored, request, now))
  }

  hold(request: HoldRequest): Promise<Held> {
    return this.#steadyStep(request.key, (stored, now) => hold(stored, request, now))
  }

  async setHeld({ key, value, ttlMs, claim, holder }: HeldWrite): Promise<boolean> {
    assertKey(key)
    if (value !== undefined) assertValue(key, value)
    return await this.#inStep(claim, (stored, now) => {
      if (!isHeld(stored, holder, this.#steady())) return false
      const isThere = this.#database.getBinary(valueKey(key)) !== undefined
      const expiresAt = value === undefined ? now : expiryOf(ttlMs, now)
      this.#put(key, { text: value ?? '', expiresAt }, isThere, now)
      return true
    })
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    await this.#stepping
    await Promise.allSettled(this.#writes)
    await this.#retired
    await this.#database.close()
  }

  /**
   * A step on the machine clock. Its text is kept longer than it is valid, so that a wall clock that is set ahead does
   * not drop it.
   */
  #steadyStep<T>(key: string, decide: (stored: string | undefined, steady: number) => Step<T>): Promise<T> {
    return this.#step(key, (stored, now) => {
      const steady = this.#steady()
      const { expiresAt, ...step } = decide(stored, steady)
      return { ...step, expiresAt: expiresAt <= steady ? now : now + (expiresAt - steady) + STEADY_KEPT_MS }
    })
  }

  /**
   * Reads, decides and writes in a write transaction, of which only one runs at a time across all processes. Steps that
   * arrive during a commit share the next one, because a commit costs much more than the writes in it.
   */
  #step<T>(key: string, decide: (stored: string | undefined, now: number) => Step<T>): Promise<T> {
    return this.#inStep(key, (stored, now, isThere) => {
      const next = decide(stored, now)
      this.#put(key, next, isThere, now)
      return next.answer
    })
  }

  /** Runs `act` in a write transaction with the text of a key. `isThere`: whether it has a text, if only an old one. */
  #inStep<T>(key: string, act: (stored: string | undefined, now: number, isThere: boolean) => T): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#assertOpen()
      assertKey(key)
      const step: WaitingStep = {
        run: now => {
          const record = this.#database.getBinary(valueKey(key))
          const answer = act(textOf(record, now), now, record !== undefined)
          return () => resolve(answer)
        },
        reject,
      }
      this.#steps.push(step)
      this.#stepping ??= this.#takeSteps()
    })
  }

  async #takeSteps(): Promise<void> {
    // Collects further steps of the same turn.
    await undefined
    while (this.#steps.length > 0) {
      const steps = this.#steps.splice(0)
      let settle: (() => void)[] = []
      try {
        await this.#written(
          this.#database.transaction(() => {
            const now = this.#now()
            // A step that cannot parse the stored text must not fail the others.
            settle = steps.map(step => attempt(step, now))
            // Windows expire without any `set`.
            if (Math.abs(now - this.#sweptAt) >= SWEEP_EVERY_MS) {
              this.#sweptAt = now
              sweep(this.#database, now)
            }
          }),
        )
        for (const done of settle) done()
      } catch (error) {
        for (const { reject } of steps) reject(error)
      }
    }
    this.#stepping = undefined
  }

  /**
   * Runs inside a transaction. An existing key already has an index entry, and `#sweep` writes the next one, because
   * most writes are renewals.
   */
  #put(key: string, { text, expiresAt }: Omit<Step<unknown>, 'answer'>, isThere: boolean, now: number): void {
    const database = this.#database
    if (expiresAt <= now) return void database.remove(valueKey(key))
    if (!isThere && expiresAt < Infinity) void database.put(expiryKey(expiresAt, key), Buffer.alloc(0))
    void database.put(valueKey(key), recordOf(text, expiresAt))
  }

  #live(key: string, now: number): string | undefined {
    assertKey(key)
    return textOf(this.#database.getBinary(valueKey(key)), now)
  }

  #entered(key: string): void {
    const left = (this.#entering.get(key) ?? 1) - 1
    if (left > 0) this.#entering.set(key, left)
    else this.#entering.delete(key)
  }

  /** The next read includes the commits of all processes up to now. */
  #startReading(): void {
    this.#assertOpen()
    this.#database.resetReadTxn()
  }

  async #written(write: Promise<unknown>): Promise<void> {
    this.#writes.add(write)
    try {
      await write
    } catch (error) {
      throw await writeError(this.name, error)
    } finally {
      this.#writes.delete(write)
    }
  }

  /** Reopens the folder when its file was deleted or replaced, because other processes write to the new file. */
  #look(): void {
    const now = performance.now()
    // Pending writes belong to the open file.
    if (now - this.#lookedAt < LOOK_EVERY_MS || this.#writes.size > 0) return
    if (identityOf(this.#path) !== this.#identity) {
      const old = this.#database
      this.#database = openDatabase(this.#path, this.#onRepaired, this.#readsOnly)
      this.#identity = identityOf(this.#path)
      this.#retired = Promise.all([this.#retired, old.close()]).then(() => undefined)
      this.#onRepaired(`The state in "${this.#path}" was deleted or replaced; what is there now is used.`)
    }
    this.#lookedAt = now
  }

  #assertOpen(): void {
    if (this.#closing !== undefined) throw closedError(this.name)
    this.#look()
  }
}
