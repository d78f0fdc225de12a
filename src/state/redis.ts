import { setTimeout as sleep } from 'node:timers/promises'
import type { RedisClientType } from '@redis/client'
import { backoffMs, jittered } from '../core/backoff.ts'
import { describeError } from '../core/errors.ts'
import { AlreadySaid } from '../core/already-said.ts'
import type { Logger } from '../core/logger.ts'
import { withTimeout } from '../core/timeout.ts'
import {
  assertKey,
  assertRoom,
  assertValue,
  closedError,
  expiryOf,
  inByteOrder,
  type StoreOptions,
} from './entry.ts'
import { heldWriteArguments, takeArguments } from './redis-arguments.ts'
import { toAddress, type Address } from './redis-address.ts'
import { connected } from './redis-connecting.ts'
import { RedisEpoch, EPOCH } from './redis-epoch.ts'
import { SCRIPTS, type Script } from './redis-evaluated.ts'
import {
  type Held,
  type HeldWrite,
  type HoldRequest,
  type SetOptions,
  type Store,
  type Taken,
  type TakeRequest,
  type ZoneSize,
} from './store.ts'

export interface RedisStoreOptions extends StoreOptions {
  readonly logger: Logger
  /** For tests. Without it, the clock of Redis counts, and Redis expires values. */
  readonly now?: () => number
}

const CONNECT_TIMEOUT_MS = 2000
/** Timeout for quota commands, on which a call may be waiting. */
const QUICK_MS = 2000
/** Timeout for values, in addition to the transfer time on a slow connection. */
const SLOW_MS = 5000
const BYTES_PER_MS = 5000
const RECONNECT = { firstMs: 100, mostMs: 5000 }
const SCAN_COUNT = 1000

type Client = RedisClientType

/**
 * Opens a store in Redis or Valkey: `redis://` or `rediss://` with user, password, port and database as usual, and
 * `?prefix=` for its keys. Resolves when the first connection attempt has succeeded or failed. While there is no
 * connection, calls reject immediately and the store keeps reconnecting.
 * @throws Error for an invalid address
 */
export async function openRedisStore(url: string, options: RedisStoreOptions): Promise<Store> {
  const address = toAddress(url)
  const { createClient } = await import('@redis/client')
  const create = (): Client =>
    createClient({
      url: address.url,
      RESP: 2,
      disableOfflineQueue: true,
      disableClientInfo: true,
      maintNotifications: 'disabled',
      // The store reconnects itself, with its own timeouts and without a timer that outlives `close`.
      socket: { connectTimeout: CONNECT_TIMEOUT_MS, reconnectStrategy: false },
    }) as unknown as Client
  const store = new RedisStore(address, create, options)
  await store.opened
  return store
}

class RedisStore implements Store {
  readonly name: string
  readonly shared = true
  /** Resolves when the first connection attempt has ended. */
  readonly opened: Promise<void>
  readonly #prefix: string
  readonly #create: () => Client
  readonly #logger: Logger
  readonly #clock: (() => number) | undefined
  readonly #running = new Set<Promise<unknown>>()
  readonly #closed = new AbortController()
  #client: Client | undefined
  #lost: Error | undefined
  /** Why the store was reported as unavailable; `undefined` while it is available. */
  #away: string | undefined
  #closing: Promise<void> | undefined
  readonly #epoch: RedisEpoch

  constructor({ name, prefix }: Address, create: () => Client, options: RedisStoreOptions) {
    this.name = name
    this.#prefix = prefix
    this.#create = create
    this.#logger = options.logger
    this.#clock = options.now
    this.#epoch = new RedisEpoch(name, options.logger, options.now)
    let ended = (): void => undefined
    this.opened = new Promise(resolve => (ended = resolve))
    void this.#connect(ended)
  }

  get lostAt(): number | undefined {
    return this.#epoch.lostAt
  }

  async get(key: string): Promise<string | undefined> {
    return (await this.getMany([key]))[0]
  }

  async getMany(keys: readonly string[]): Promise<(string | undefined)[]> {
    this.#assertOpen()
    for (const key of keys) assertKey(key)
    if (keys.length === 0) return []
    const texts = await this.#run(SLOW_MS, client => client.mGet(keys.map(key => this.#prefix + key)))
    return texts.map(text => this.#read(text ?? undefined))
  }

  async set(key: string, value: string, { ttlMs, zone }: SetOptions = {}): Promise<void> {
    this.#assertOpen()
    assertKey(key)
    const bytes = assertValue(key, value)
    const timeoutMs = SLOW_MS + bytes / BYTES_PER_MS
    const expiresAt = expiryOf(ttlMs, this.#clock?.() ?? 0)
    const name = this.#prefix + key
    if (zone) {
      const room = assertRoom(key, bytes, zone)
      const text = this.#clock ? `${expiresAt} ${value}` : value
      const livesMs = ttlMs === undefined || ttlMs === Infinity ? '' : Math.ceil(ttlMs)
      const request = [this.#prefix, zone.name, zone.maxBytes, room, text, livesMs]
      await this.#evaluate(SCRIPTS.enter, key, request, timeoutMs)
      return
    }
    await this.#run<unknown>(timeoutMs, client => {
      if (this.#clock) return client.set(name, `${expiresAt} ${value}`)
      if (ttlMs === undefined || ttlMs === Infinity) return client.set(name, value)
      if (ttlMs <= 0) return client.del(name)
      return client.set(name, value, { expiration: { type: 'PX', value: Math.ceil(ttlMs) } })
    })
  }

  async setIfAbsent(key: string, value: string): Promise<string> {
    this.#assertOpen()
    assertKey(key)
    const timeoutMs = SLOW_MS + assertValue(key, value) / BYTES_PER_MS
    const current = await this.get(key)
    if (current !== undefined) return current
    const text = this.#clock ? `${Infinity} ${value}` : value
    await this.#run(timeoutMs, client => client.set(this.#prefix + key, text, { condition: 'NX' }))
    return (await this.get(key)) ?? value
  }

  async delete(key: string): Promise<void> {
    this.#assertOpen()
    assertKey(key)
    await this.#evaluate(SCRIPTS.delete, key, [this.#prefix])
  }

  async keys(prefix: string): Promise<string[]> {
    this.#assertOpen()
    const MATCH = `${(this.#prefix + prefix).replace(/[\\*?[\]]/g, '\\$&')}*`
    const found = new Set<string>()
    let cursor = '0'
    do {
      const at = cursor
      const page = await this.#run(SLOW_MS, client => client.scan(at, { MATCH, COUNT: SCAN_COUNT }))
      for (const key of page.keys) found.add(key.slice(this.#prefix.length))
      cursor = String(page.cursor)
    } while (cursor !== '0')
    // The epoch is not a value.
    found.delete(EPOCH)
    let keys = [...found]
    if (this.#clock) {
      const values = await this.getMany(keys)
      keys = keys.filter((_, at) => values[at] !== undefined)
    }
    return inByteOrder(keys)
  }

  async zone(name: string): Promise<ZoneSize> {
    const [entries, bytes] = await this.#evaluate(SCRIPTS.size, name, [this.#prefix])
    return { entries: Number(entries), bytes: Number(bytes) }
  }

  async take(request: TakeRequest): Promise<Taken> {
    const [granted, left, retryAt, at] = await this.#count(SCRIPTS.take, request.key, takeArguments(request))
    return { granted: Number(granted), left: Number(left), retryAt: Number(retryAt), at: Number(at) }
  }

  async hold({ key, holder, want, limit, ttlMs, renews = false }: HoldRequest): Promise<Held> {
    const request = [holder, want, limit, ttlMs, renews ? '1' : '']
    const [permits, left] = await this.#count(SCRIPTS.hold, key, request)
    return { permits: Number(permits), left: Number(left) }
  }

  async setHeld(request: HeldWrite): Promise<boolean> {
    const { claim, key } = request
    const given = heldWriteArguments(request, this.#clock?.())
    const [isSet] = await this.#count(SCRIPTS.setHeld, claim, given, [key])
    return isSet === '1'
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    await Promise.allSettled(this.#running)
    this.#closed.abort()
    this.#client?.destroy()
    this.#client = undefined
  }

  /** Results of a counting script, without the epoch. */
  async #count(
    counting: Script,
    key: string,
    rest: readonly (string | number)[],
    others: readonly string[] = [],
  ): Promise<string[]> {
    const answers = await this.#evaluate(counting, key, [...rest, this.#epoch.next()], QUICK_MS, others)
    this.#epoch.look(answers.pop())
    return answers
  }

  /** Reads the epoch right after connecting, so that a loss is detected before anything is counted. */
  async #begin(): Promise<void> {
    try {
      await this.#count(SCRIPTS.begin, EPOCH, [])
    } catch (error) {
      // The next counting script detects it.
      this.#logger.debug(`The state store ${this.name} could not report its epoch.`, {
        cause: describeError(error),
      })
    }
  }

  async #evaluate(
    { text, sha }: Script,
    key: string,
    rest: readonly (string | number)[],
    timeoutMs = QUICK_MS,
    others: readonly string[] = [],
  ): Promise<string[]> {
    this.#assertOpen()
    assertKey(key)
    const request = {
      keys: [key, EPOCH, ...others].map(each => this.#prefix + each),
      arguments: [this.#clock ? String(this.#clock()) : '', ...rest.map(String)],
    }
    try {
      return (await this.#run(timeoutMs, client => client.evalSha(sha, request))) as string[]
    } catch (error) {
      // Redis drops its scripts when it restarts.
      if (!describeError(error).includes('NOSCRIPT')) throw error
      return (await this.#run(timeoutMs, client => client.eval(text, request))) as string[]
    }
  }

  /** Applies the test clock, which Redis does not have, to the expiry of a value. */
  #read(text: string | undefined): string | undefined {
    if (text === undefined || !this.#clock) return text
    const space = text.indexOf(' ')
    return Number(text.slice(0, space)) > this.#clock() ? text.slice(space + 1) : undefined
  }

  /**
   * Runs one command for at most `timeoutMs`. A connection with an overdue answer is closed, because answers arrive in
   * order.
   */
  async #run<T>(timeoutMs: number, command: (client: Client) => Promise<T>): Promise<T> {
    const client = this.#client
    if (!client) throw this.#unreachable()
    const running = withTimeout(command(client), timeoutMs, () => {
      const error = new Error(`no answer in ${Math.round(timeoutMs)} ms`)
      this.#drop(client, error)
      throw error
    })
    this.#running.add(running)
    try {
      return await running
    } catch (error) {
      if (this.#client === client) throw error
      throw this.#unreachable(error)
    } finally {
      this.#running.delete(running)
    }
  }

  #unreachable(cause: unknown = this.#lost): Error {
    return new AlreadySaid(`The state store ${this.name} cannot be reached.`, { cause })
  }

  #drop(client: Client, error: Error): void {
    if (this.#client !== client) return
    this.#client = undefined
    this.#lost = error
    client.destroy()
    if (this.#closing !== undefined) return
    this.#say(error)
    void this.#connect(() => undefined)
  }

  /** Retries until it succeeds or the store is closed. `tried` is called after the first attempt. */
  async #connect(tried: () => void): Promise<void> {
    for (let failures = 0; !this.#closed.signal.aborted; failures++) {
      const client = this.#create()
      try {
        client.on('error', (error: Error) => this.#drop(client, error))
        client.on('end', () => this.#drop(client, new Error('the connection was closed')))
        await connected(client.connect(), CONNECT_TIMEOUT_MS, this.#closed.signal)
        if (this.#closed.signal.aborted) return client.destroy()
        this.#client = client
        if (this.#away !== undefined) this.#logger.info(`The state store ${this.name} can be reached again.`)
        this.#away = undefined
        this.#lost = undefined
        await this.#begin()
        return
      } catch (error) {
        client.destroy()
        this.#lost = error as Error
        if (!this.#closed.signal.aborted) this.#say(error)
      } finally {
        tried()
      }
      const signal = this.#closed.signal
      await sleep(jittered(backoffMs(failures, RECONNECT), Math.random()), undefined, {
        signal,
        ref: false,
      }).catch(() => undefined)
    }
  }

  /** Logs once when the store becomes unavailable, not for each attempt. */
  #say(error: unknown): void {
    const cause = describeError(error)
    if (this.#away !== undefined) return
    this.#away = cause
    this.#logger.warn(
      `The state store ${this.name} cannot be reached: ${cause}. The gateway keeps trying; until then lists and other state are neither read nor stored.`,
    )
  }

  #assertOpen(): void {
    if (this.#closing !== undefined) throw closedError(this.name)
  }
}
