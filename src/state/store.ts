/**
 * Durable state of the gateway: the catalogue, eras of upstreams, later quotas and caches. Off the hot path.
 * Implementations: memory, LMDB; one contract suite runs over all.
 */
export interface Store {
  /** For logs: `memory`, `lmdb:<path>`. */
  readonly name: string
  /** `undefined` when there is no value or it has expired. */
  get(key: string): Promise<string | undefined>
  /** Values of several keys in the order of the keys, from one consistent snapshot. */
  getMany(keys: readonly string[]): Promise<(string | undefined)[]>
  /** Durable when the promise resolves. `ttlMs`: how long the value lives; without it, for ever. */
  set(key: string, value: string, options?: { ttlMs?: number }): Promise<void>
  /** Resolves also when there was no such key. */
  delete(key: string): Promise<void>
  /** Keys that start with `prefix`, in byte order; expired ones are left out. */
  keys(prefix: string): Promise<string[]>
  /** Idempotent. Later calls reject. */
  close(): Promise<void>
}

/** Bounds of keys and values, the same for every implementation: longer ones are refused with a `RangeError`. */
export const MAX_KEY_BYTES = 1024
export const MAX_VALUE_BYTES = 64 * 1024 * 1024
