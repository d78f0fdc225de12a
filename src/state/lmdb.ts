import { createRequire } from 'node:module'
import type * as Lmdb from 'lmdb'
import {
  assertKey,
  assertRoom,
  assertValue,
  closedError,
  expiryOf,
  machineNow,
  type StoreOptions,
} from './entry.ts'
import { writeError } from './lmdb-errors.ts'
import { identityOf, prepareFolder, protectFiles } from './lmdb-folder.ts'
import { EXPIRIES, expiryKey, HEADER_BYTES, recordOf, textOf, valueKey, VALUES } from './lmdb-records.ts'
import { enter, isZoned, leave, sizeOf } from './lmdb-zones.ts'
import { attempt, hold, take, type Step, type WaitingStep } from './amounts.ts'
import type { Held, HoldRequest, SetOptions, Store, Taken, TakeRequest, ZoneSize } from './store.ts'

/** Expired values are removed at most this often, along with a write. */
const SWEEP_EVERY_MS = 60_000
/** How far the wall clock may be set ahead before claims and sliding windows are forgotten. */
const STEADY_KEPT_MS = 24 * 60 * 60 * 1000
/** A sweep holds the write lock that all processes share; what is left waits for the next one. */
const SWEEP_ENTRIES = 1000

type Database = Lmdb.RootDatabase<Buffer, Buffer>

/** How often a store looks whether its file is still the one in the folder. */
const LOOK_EVERY_MS = 1000

export interface LmdbStoreOptions extends StoreOptions {
  /** Hears what was done to the folder besides opening it: a sentence for the log. */
  readonly onRepaired?: (what: string) => void
}

/**
 * A store in the folder `path` (absolute), created with mode 0700. Survives a crash at any point; several processes share one folder. The
 * folder must be on a local disk: LMDB maps its file into memory. A damaged file is set aside, and one that is deleted or replaced is opened anew.
 * @throws Error when the folder or the file in it cannot be used, or the native part of `lmdb` is not installed.
 */
export function openLmdbStore(path: string, options: LmdbStoreOptions = {}): Store {
  return new LmdbStore(path, options)
}

function openDatabase(path: string, onRepaired: (what: string) => void): Database {
  // `lmdb` and what it needs in one file, made by the build; see `bin/bundle-lmdb.js`.
  const { open } = createRequire(import.meta.url)('#lmdb') as typeof Lmdb
  const aside = prepareFolder(path)
  if (aside)
    onRepaired(
      `The state in "${path}" was damaged (${aside.damage}). Its file is set aside as "${aside.file}", and a new one is used: lists are fetched again, keys have to be made again, and what was used up of quotas is not known.`,
    )
  const database = open<Buffer, Buffer>({
    path,
    // Without it, a path with a dot would be taken for a file.
    noSubdir: false,
    encoding: 'binary',
    keyEncoding: 'binary',
    compression: false,
    cache: false,
    maxDbs: 1,
    // A commit is flushed before its promise resolves, and nothing is left to do at exit.
    overlappingSync: false,
    // With it, a commit that fails (disk full) rejects an inner promise that no code can catch.
    eventTurnBatching: false,
  })
  protectFiles(path)
  return database
}

class LmdbStore implements Store {
  readonly name: string
  readonly shared = true
  lostAt: number | undefined
  readonly #path: string
  readonly #onRepaired: (what: string) => void
  #database: Database
  /** Of the file that is open. */
  #identity: string | undefined
  #lookedAt = performance.now()
  /** Databases whose file was deleted or replaced, on their way out. */
  #retired: Promise<void> = Promise.resolve()
  readonly #now: () => number
  readonly #steady: () => number
  readonly #writes = new Set<Promise<unknown>>()
  #closing: Promise<void> | undefined
  /** Keys in zones that are being written, and how often. */
  readonly #entering = new Map<string, number>()
  #sweptAt = -Infinity
  readonly #steps: WaitingStep[] = []
  #stepping: Promise<void> | undefined

  constructor(path: string, { now = Date.now, steady, onRepaired = () => {} }: LmdbStoreOptions) {
    this.name = `lmdb:${path}`
    this.#path = path
    this.#now = now
    // Whatever is repaired has lost its content.
    this.#onRepaired = what => {
      this.lostAt = this.#now()
      onRepaired(what)
    }
    this.#steady = steady ?? (now === Date.now ? machineNow : now)
    this.#database = openDatabase(path, this.#onRepaired)
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
    // The index first: an entry without a value is harmless, a value without an entry would stay for ever.
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
      writes.push(database.transaction(() => this.#sweep(now)))
    }
    await this.#written(Promise.all(writes))
  }

  async delete(key: string): Promise<void> {
    this.#assertOpen()
    assertKey(key)
    const database = this.#database
    // Plain writes of one turn may overtake a transaction; transactions do not overtake each other.
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
    return found.filter(key => this.#expiryAt(key) > now).map(key => key.toString('utf8', VALUES.length))
  }

  async zone(name: string): Promise<ZoneSize> {
    this.#startReading()
    return sizeOf(this.#database, name)
  }

  take(request: TakeRequest): Promise<Taken> {
    return 'until' in request.window
      ? this.#step(request.key, (stored, now) => take(stored, request, now))
      : this.#steadyStep(request.key, (stored, now) => take(stored, request, now))
  }

  hold(request: HoldRequest): Promise<Held> {
    return this.#steadyStep(request.key, (stored, now) => hold(stored, request, now))
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

  /** A step on the clock of the machine. Its text outlives what it says by so much that a wall clock which is set ahead does not lose it. */
  #steadyStep<T>(key: string, decide: (stored: string | undefined, steady: number) => Step<T>): Promise<T> {
    return this.#step(key, (stored, now) => {
      const steady = this.#steady()
      const { expiresAt, ...step } = decide(stored, steady)
      return { ...step, expiresAt: expiresAt <= steady ? now : now + (expiresAt - steady) + STEADY_KEPT_MS }
    })
  }

  /**
   * Reads, decides and writes in a write transaction, of which there is one at a time over all processes. Those that come while one is being committed share the next:
   * a commit costs much more than what is written.
   */
  #step<T>(key: string, decide: (stored: string | undefined, now: number) => Step<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#assertOpen()
      assertKey(key)
      const step: WaitingStep = {
        run: now => {
          const record = this.#database.getBinary(valueKey(key))
          const next = decide(textOf(record, now), now)
          this.#put(key, next, record !== undefined, now)
          return () => resolve(next.answer)
        },
        reject,
      }
      this.#steps.push(step)
      this.#stepping ??= this.#takeSteps()
    })
  }

  async #takeSteps(): Promise<void> {
    // Others may have a step in this turn.
    await undefined
    while (this.#steps.length > 0) {
      const steps = this.#steps.splice(0)
      let settle: (() => void)[] = []
      try {
        await this.#written(
          this.#database.transaction(() => {
            const now = this.#now()
            // One that cannot read what is stored is no reason to refuse the others.
            settle = steps.map(step => attempt(step, now))
            // Windows come and go without a `set`.
            if (Math.abs(now - this.#sweptAt) >= SWEEP_EVERY_MS) {
              this.#sweptAt = now
              this.#sweep(now)
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

  /** Inside a transaction. What is there already has an entry in the index, and `#sweep` writes the next one: most writes are renewals. */
  #put(key: string, { text, expiresAt }: Step<unknown>, isThere: boolean, now: number): void {
    const database = this.#database
    if (expiresAt <= now) return void database.remove(valueKey(key))
    if (!isThere) void database.put(expiryKey(expiresAt, key), Buffer.alloc(0))
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

  /** Expiry of the value at the raw key; `-Infinity` when there is none that can be read. */
  #expiryAt(rawKey: Buffer): number {
    const record = this.#database.getBinaryFast(rawKey)
    if (record === undefined || record.length < HEADER_BYTES) return -Infinity
    return new DataView(record.buffer, record.byteOffset, HEADER_BYTES).getFloat64(0)
  }

  /** Runs inside a write transaction: a value that another process has renewed is seen renewed. */
  #sweep(now: number): void {
    const end = expiryKey(now, '')
    // Read to its end before the first removal.
    const due = Array.from(this.#database.getKeys({ start: EXPIRIES, end, limit: SWEEP_ENTRIES }))
    for (const entry of due) {
      const key = entry.toString('utf8', EXPIRIES.length + HEADER_BYTES)
      const expiresAt = this.#expiryAt(valueKey(key))
      if (expiresAt <= now) {
        void this.#database.remove(valueKey(key))
        leave(this.#database, key)
      } else if (expiresAt < Infinity) void this.#database.put(expiryKey(expiresAt, key), Buffer.alloc(0))
      void this.#database.remove(entry)
    }
  }

  /** The next read sees what any process has committed by now. */
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

  /** Opens the folder anew when its file was deleted or replaced: what others write is in the new one. */
  #look(): void {
    const now = performance.now()
    // What is being written belongs to the file that is open.
    if (now - this.#lookedAt < LOOK_EVERY_MS || this.#writes.size > 0) return
    if (identityOf(this.#path) !== this.#identity) {
      const old = this.#database
      this.#database = openDatabase(this.#path, this.#onRepaired)
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
