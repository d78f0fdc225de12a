import { monotonicNow } from '../core/clock.ts'
import { describeError } from '../core/errors.ts'
import type { Logger } from '../core/logger.ts'
import type { KeyRing } from '../state/key-ring.ts'
import type { Store } from '../state/store.ts'
import { RecordChanges } from './record-changes.ts'
import { fromStore, unreadable, vaultFailure } from './failures.ts'
import type { RecordLease } from './record-lease.ts'
import { Leases, type LeasesOptions } from './leases.ts'
import {
  openRecord,
  recordKey,
  recordPrefix,
  sealedBy,
  sealRecord,
  toSealedRecord,
  type SealedRecord,
} from './record.ts'
import type { ExclusiveRun, ListedRecord, RecordKind, RecordName, Vault, VaultRecord } from './vault.ts'

/** Most records of a kind: thousands of clients with dozens of servers each. */
const MAX_RECORDS = 100_000
/** Records are counted again after so many new ones, or so long. */
const COUNT_EVERY = 1000
const COUNT_EVERY_MS = 60_000
/** Records read at once. */
const CHUNK = 256
/** Keys that the log has named; more are not told apart. */
const MAX_SAID = 100

export interface SealedVaultOptions extends LeasesOptions {
  readonly store: Store
  readonly logger: Logger
  readonly keys: { ring(): Promise<KeyRing> }
  /** Of a kind; default 100,000. */
  readonly maxRecords?: number
}

/** What `rotate` has done. */
export interface Rotation {
  /** Records that were sealed anew. */
  readonly sealed: number
  /** Records that no key of this gateway opens. */
  readonly unopened: number
}

/** The vault over a state store. */
export class SealedVault implements Vault {
  readonly isShared: boolean
  readonly #store: Store
  readonly #logger: Logger
  readonly #keys: SealedVaultOptions['keys']
  readonly #leases: Leases
  readonly #changes: RecordChanges
  readonly #maxRecords: number
  /** How many more may be written until the records of a kind are counted again. */
  readonly #room = new Map<RecordKind, { readonly until: number; left: number }>()
  readonly #said = new Set<string>()

  constructor(options: SealedVaultOptions) {
    this.isShared = options.store.shared
    this.#store = options.store
    this.#logger = options.logger
    this.#keys = options.keys
    this.#maxRecords = options.maxRecords ?? MAX_RECORDS
    this.#leases = new Leases(options)
    this.#changes = new RecordChanges(options.store, options.logger)
  }

  async read<T>(name: RecordName): Promise<VaultRecord<T> | undefined> {
    const text = await this.#text(name)
    this.#changes.read(recordKey(name), text)
    return text === undefined ? undefined : ((await this.#open(name, text)) as VaultRecord<T> | undefined)
  }

  async write<T>(name: RecordName, record: VaultRecord<T>, ttlMs?: number): Promise<void> {
    const ring = await this.#ring(name)
    const until = ttlMs === undefined ? undefined : Date.now() + ttlMs
    const text = sealRecord(ring, name, record, until)
    await this.#alone(name, async lease => {
      const before = await this.#text(name)
      if (before === undefined) await this.#assertRoom(name)
      else this.#sayReplaced(ring, name, before)
      await this.#set(name, lease, text, ttlMs)
    })
  }

  async remove(name: RecordName, isIt?: (record: VaultRecord<unknown>) => boolean): Promise<boolean> {
    return await this.#alone(name, async lease => {
      const text = await this.#text(name)
      if (text === undefined) return false
      if (isIt) {
        const record = await this.#open(name, text)
        if (!record || !isIt(record)) return false
      }
      await this.#set(name, lease, undefined)
      return true
    })
  }

  async list(): Promise<readonly ListedRecord[]> {
    const ring = await this.#keys.ring().catch(() => undefined)
    const found: ListedRecord[] = []
    for await (const record of this.#all()) {
      const { kind, server, owner, issuer } = record
      found.push({ kind, server, owner, issuer, opens: ring?.has(sealedBy(record)) ?? false })
    }
    return found
  }

  async exclusively<T>(name: RecordName, run: (own: ExclusiveRun) => Promise<T>): Promise<T> {
    return await this.#leases.run(name, ({ signal }) => run({ signal }))
  }

  onChanged(name: RecordName, listener: () => void): () => void {
    return this.#changes.on(recordKey(name), listener)
  }

  /** Seals anew with the first key what an older one has sealed. */
  async rotate(): Promise<Rotation> {
    const ring = await this.#keys.ring()
    let [sealed, unopened] = [0, 0]
    for await (const record of this.#all()) {
      if (sealedBy(record) === ring.sealingId) continue
      if (await this.#sealAnew(ring, record)) sealed++
      else unopened++
    }
    return { sealed, unopened }
  }

  async close(): Promise<void> {
    await Promise.all([this.#leases.close(), this.#changes.close()])
  }

  /** In the run of this process that is under way for the name, or in one of its own. */
  async #alone<T>(name: RecordName, run: (lease: RecordLease) => Promise<T>): Promise<T> {
    const lease = this.#leases.of(name)
    return await (lease ? run(lease) : this.#leases.run(name, run))
  }

  async #set(name: RecordName, lease: RecordLease, text: string | undefined, ttlMs?: number): Promise<void> {
    if (!(await fromStore(name.server, lease.set(text, ttlMs))))
      throw vaultFailure(
        name.server,
        'this gateway stood still for so long that another one took over, so nothing was stored. Fix: try again.',
      )
    await this.#changes.changed(recordKey(name), text)
  }

  async #sealAnew(ring: KeyRing, name: SealedRecord): Promise<boolean> {
    return await this.#alone(name, async lease => {
      const text = await this.#text(name)
      const found = text === undefined ? undefined : toSealedRecord(text)
      // It was removed, or sealed anew, meanwhile.
      if (!found || sealedBy(found) === ring.sealingId) return true
      const record = openRecord(ring, name, found)
      if (!record) return false
      const ttlMs = found.until === undefined ? undefined : Math.max(1, found.until - Date.now())
      await this.#set(name, lease, sealRecord(ring, name, record, found.until), ttlMs)
      return true
    })
  }

  async #text(name: RecordName): Promise<string | undefined> {
    return await fromStore(name.server, this.#store.get(recordKey(name)))
  }

  async *#all(): AsyncGenerator<SealedRecord> {
    try {
      const keys = await this.#store.keys(recordPrefix())
      for (let at = 0; at < keys.length; at += CHUNK)
        for (const text of await this.#store.getMany(keys.slice(at, at + CHUNK))) {
          const record = text === undefined ? undefined : toSealedRecord(text)
          if (record) yield record
        }
    } catch (error) {
      throw unreadable(this.#store.name, error)
    }
  }

  async #ring({ server }: RecordName): Promise<KeyRing> {
    try {
      return await this.#keys.ring()
    } catch (error) {
      const cause = describeError(error)
      if (this.#isNew(cause)) this.#logger.error(cause)
      throw vaultFailure(
        server,
        'the key that seals them cannot be used. Fix: the log of the gateway names the key and what to do.',
        error,
      )
    }
  }

  async #open(name: RecordName, text: string): Promise<VaultRecord<unknown> | undefined> {
    const found = toSealedRecord(text)
    const ring = await this.#ring(name)
    const record = found && openRecord(ring, name, found)
    if (record) return record
    const id = found ? sealedBy(found) : ''
    if (found && !ring.has(id)) this.#sayMissing(id, name.server)
    else if (this.#isNew(recordKey(name)))
      this.#logger.warn(
        `A record of the vault for "${name.server}" was changed outside of the gateway and is not used. Fix: log in to "${name.server}" anew.`,
      )
    return undefined
  }

  #sayMissing(id: string, server: string): void {
    if (!this.#isNew(id)) return
    this.#logger.warn(
      `Logins in the vault, among them that of "${server}", are sealed with the key ${id}, which this gateway does not have. They are not used. Fix: bring the key back (in "gateway.vault.keys", the keyring or the key file), or log in to the servers anew.`,
      { server },
    )
  }

  /** A new login takes the place of one that another gateway may be able to open. */
  #sayReplaced(ring: KeyRing, { server }: RecordName, before: string): void {
    const found = toSealedRecord(before)
    const id = found ? sealedBy(found) : ''
    if (ring.has(id) || !this.#isNew(`replaced ${id}`)) return
    this.#logger.warn(
      `A record of the vault for "${server}", sealed with the key ${id || 'of another version'}, which this gateway does not have, is replaced. Gateways with that key lose it. Fix: give all gateways that share the state the same "gateway.vault.keys".`,
      { server },
    )
  }

  async #assertRoom({ kind, server }: RecordName): Promise<void> {
    let room = this.#room.get(kind)
    if (!room || room.left <= 0 || monotonicNow() > room.until) {
      const keys = await fromStore(server, this.#store.keys(recordPrefix(kind)))
      const left = Math.min(COUNT_EVERY, this.#maxRecords - keys.length)
      this.#room.set(kind, (room = { until: monotonicNow() + COUNT_EVERY_MS, left }))
    }
    if (room.left <= 0)
      throw vaultFailure(
        server,
        `the vault holds ${this.#maxRecords} records of this kind, which is the most. Fix: revoke logins that are no longer used.`,
      )
    room.left--
  }

  #isNew(about: string): boolean {
    if (this.#said.has(about) || this.#said.size >= MAX_SAID) return false
    this.#said.add(about)
    return true
  }
}
