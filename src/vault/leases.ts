import { setTimeout as sleep } from 'node:timers/promises'
import { backoffMs, jittered } from '../core/backoff.ts'
import { monotonicNow } from '../core/clock.ts'
import { shuttingDown } from '../core/shutting-down.ts'
import { within } from '../core/timeout.ts'
import type { Store } from '../state/store.ts'
import { fromStore, vaultFailure } from './failures.ts'
import { RecordLease } from './record-lease.ts'
import { digestOfName, recordKey } from './record.ts'
import { KeyTurns, type NoTurn } from './key-turns.ts'
import type { RecordName } from './vault.ts'

/** How long a claim lasts that is not renewed: after a crash, or while a process stands still. */
const TTL_MS = 5000
/** Longer than a request to an authorization server may take. */
const WAIT_MS = 30_000
/** Between requests to the store for a lease that another process has. */
const ASK_AGAIN = { firstMs: 25, mostMs: 400 }
/** What a run under way gets at the end of the gateway, so that tokens it was just given are saved. */
const GRACE_MS = 3000

export interface LeasesOptions {
  readonly store: Store
  /** Default 5 s. */
  readonly ttlMs?: number | undefined
  /** Default 30 s. */
  readonly waitMs?: number | undefined
}

/** One run at a time for each record, over all processes that share the store. */
export class Leases {
  readonly #store: Store
  readonly #ttlMs: number
  readonly #waitMs: number
  readonly #turns: KeyTurns
  readonly #held = new Map<string, RecordLease>()
  readonly #runs = new Set<Promise<unknown>>()
  readonly #closed = new AbortController()

  constructor({ store, ttlMs = TTL_MS, waitMs = WAIT_MS }: LeasesOptions) {
    this.#store = store
    this.#ttlMs = ttlMs
    this.#waitMs = waitMs
    this.#turns = new KeyTurns(store)
  }

  /** The lease of the run of this process that is under way for the name. */
  of(name: RecordName): RecordLease | undefined {
    return this.#held.get(recordKey(name))
  }

  /** @throws GatewayError (as a rejection) when it is not its turn in time, or the gateway closes */
  async run<T>(name: RecordName, run: (lease: RecordLease) => Promise<T>): Promise<T> {
    this.#assertOpen(name)
    const key = recordKey(name)
    const until = monotonicNow() + this.#waitMs
    const endTurn = await this.#turns.take(key, this.#waitMs).catch((error: NoTurn) => {
      throw this.#refusal(name, error.why)
    })
    try {
      const lease = await this.#taken(name, until)
      const running = this.#run(key, lease, run)
      this.#runs.add(running)
      try {
        return await running
      } finally {
        this.#runs.delete(running)
      }
    } finally {
      endTurn()
    }
  }

  /** Runs under way may end. Those that wait get an error. */
  async close(): Promise<void> {
    this.#closed.abort()
    this.#turns.close()
    const ended = (): Promise<boolean> => within(Promise.allSettled(this.#runs), GRACE_MS)
    if (this.#runs.size === 0 || (await ended())) return
    for (const lease of this.#held.values()) lease.end()
    await ended()
  }

  async #run<T>(key: string, lease: RecordLease, run: (lease: RecordLease) => Promise<T>): Promise<T> {
    this.#held.set(key, lease)
    try {
      return await run(lease)
    } finally {
      this.#held.delete(key)
      await lease.release()
    }
  }

  async #taken(name: RecordName, until: number): Promise<RecordLease> {
    const claim = `vault/lease/${digestOfName(name)}`
    const lease = new RecordLease({ store: this.#store, claim, key: recordKey(name), ttlMs: this.#ttlMs })
    for (let round = 0; ; round++) {
      this.#assertOpen(name)
      if (await fromStore(name.server, lease.tryTake())) return lease
      const waitMs = Math.min(jittered(backoffMs(round, ASK_AGAIN), Math.random()), until - monotonicNow())
      if (waitMs <= 0) throw this.#refusal(name, 'late')
      await sleep(waitMs, undefined, { signal: this.#closed.signal }).catch(() => undefined)
    }
  }

  #assertOpen(name: RecordName): void {
    if (this.#closed.signal.aborted) throw this.#refusal(name, 'closed')
  }

  #refusal({ server }: RecordName, why: NoTurn['why']): Error {
    if (why === 'closed') return shuttingDown(server)
    const seconds = Math.ceil(this.#waitMs / 1000)
    return vaultFailure(
      server,
      why === 'many'
        ? 'too many requests wait for them at once. Fix: try again in a moment.'
        : `another login or renewal for this server did not end within ${seconds} s. Fix: try again; if it lasts, see that its authorization server answers.`,
    )
  }
}
