import { createHmac, randomBytes } from 'node:crypto'
import type { ServerConfig } from '../config/types.ts'
import { monotonicNow } from '../core/clock.ts'
import { SlicedWork } from '../core/slices.ts'
import type { Store } from '../state/store.ts'
import { fromStored, storing, type ServerSnapshot } from './snapshot.ts'
import { SnapshotKeys } from './snapshot-keys.ts'
import type { Variants } from './variants.ts'

/** Identity of a stored snapshot. */
export interface KeptOf {
  /**
   * Only the identity of the server and the roots it receives count. Names, visibility and limits of this gateway do
   * not change raw lists.
   */
  readonly server: Pick<ServerConfig, 'name' | 'fingerprint' | 'roots'>
  /** The variant to which the server showed these lists. `''`: the lists are for all clients. */
  readonly variant: string
}

/** Key of the secret for the digests. */
const SECRET_KEY = 'catalog-secret'
const SECRET_BYTES = 32

/** Time after which a snapshot that no gateway has renewed expires: its configuration is gone. */
const KEPT_MS = 90 * 24 * 60 * 60 * 1000

/** Minimum interval between two writes of unchanged lists to the store. */
const UNCHANGED_EVERY_MS = 10 * 60_000

/**
 * Key of a stored snapshot: one for each configured identity of a server, so that gateways with different
 * configurations share a store without sharing lists. The digest is keyed, because the identity contains secrets
 * (variables, headers) that must not be found by guessing.
 */
export function storedKey(secret: string, { server, variant }: KeptOf): string {
  const identity = JSON.stringify([server.fingerprint, server.roots ?? null, variant])
  return `catalog/${server.name}/${createHmac('sha256', secret).update(identity).digest('base64url')}`
}

/** Key of the mark for a server that did not answer. */
function silentKey(secret: string, server: KeptOf['server']): string {
  return storedKey(secret, { server, variant: 'silent' }).replace('catalog/', 'catalog-silent/')
}

/** Snapshots in the state store, which outlive the process. */
export class StoredSnapshots {
  readonly #store: Store
  /** Stores snapshots in the order of their arrival. */
  readonly #work = new SlicedWork()
  /** Server → time at which all its snapshots were last saved. */
  readonly #savedAt = new Map<string, number>()
  readonly #keys = new SnapshotKeys()
  #secret: string | undefined

  constructor(store: Store) {
    this.#store = store
  }

  /**
   * The stored snapshots, in the order of `of`. `undefined`: nothing usable is stored. @throws when the store cannot be
   * reached
   */
  async load(of: readonly KeptOf[]): Promise<readonly (ServerSnapshot | undefined)[]> {
    const secret = (this.#secret ??= await this.#store.get(SECRET_KEY))
    if (secret === undefined) return of.map(() => undefined)
    const keys = of.map(kept => storedKey(secret, kept))
    const texts = await this.#store.getMany(keys)
    return texts.map((text, at) => {
      if (text === undefined) return undefined
      this.#keys.stored((of[at] as KeptOf).server.name, keys[at] as string)
      return fromStored(text)
    })
  }

  /** @throws when the store cannot be reached, or the snapshot is too large for it */
  async save(of: KeptOf, snapshot: ServerSnapshot): Promise<void> {
    const secret = (this.#secret ??= await this.#createSecret())
    const text = await this.#work.do(() => storing(snapshot))
    const key = storedKey(secret, of)
    await this.#store.set(key, text, { ttlMs: KEPT_MS })
    this.#keys.stored(of.server.name, key)
  }

  /**
   * Saves all snapshots of a server: the base with a table of the variants, and the variants that differ from it.
   * Unchanged lists are not saved with every fetch. @throws as `save`
   */
  async saveAll(server: KeptOf['server'], { base, index, all }: Variants, changed: boolean): Promise<void> {
    const now = monotonicNow()
    if (!changed && now - (this.#savedAt.get(server.name) ?? 0) < UNCHANGED_EVERY_MS) return
    // Copied now, because the server may be listed again while this is stored.
    const others = [...all].filter(([, snapshot]) => snapshot !== base)
    if (base) await this.save({ server, variant: '' }, { ...base, variants: index })
    for (const [variant, snapshot] of others) await this.save({ server, variant }, snapshot)
    this.#savedAt.set(server.name, now)
  }

  /** The name of a server stands for another one from now on, or for none. */
  forget(server: string): void {
    this.#savedAt.delete(server)
    void this.#delete(this.#keys.replaced(server))
  }

  /** What cannot be deleted expires. */
  async #delete(keys: readonly string[]): Promise<void> {
    try {
      for (const key of keys) await this.#store.delete(key)
    } catch {}
  }

  /** Names of those servers that did not answer when they were last tried. @throws when the store cannot be reached */
  async silent(servers: readonly KeptOf['server'][]): Promise<readonly string[]> {
    const secret = (this.#secret ??= await this.#store.get(SECRET_KEY))
    if (secret === undefined || servers.length === 0) return []
    const marks = await this.#store.getMany(servers.map(server => silentKey(secret, server)))
    return servers.flatMap(({ name }, at) => (marks[at] === undefined ? [] : name))
  }

  /** @throws when the store cannot be reached */
  async setSilent(server: KeptOf['server'], silent: boolean): Promise<void> {
    const secret = (this.#secret ??= await this.#createSecret())
    const key = silentKey(secret, server)
    if (!silent) return await this.#store.delete(key)
    await this.#store.set(key, '1', { ttlMs: KEPT_MS })
    this.#keys.stored(server.name, key)
  }

  /** Servers that are listed at once, also by several processes, use one secret. */
  #createSecret(): Promise<string> {
    return this.#store.setIfAbsent(SECRET_KEY, randomBytes(SECRET_BYTES).toString('base64url'))
  }
}
