import { createHash, randomBytes } from 'node:crypto'
import type { Store } from '../state/store.ts'

/** Creation, naming and storage of API keys. Only the digest of a key is stored. */

/** Prefix by which leaked keys are recognized in logs, files and addresses. */
export const API_KEY_PREFIX = 'mfd_'
const KEY_BYTES = 32
/** Prefix of stored keys, followed by the digest. */
const PREFIX = 'keys/'
/**
 * Digits of the digest that form the public id of a key: enough to distinguish millions, and useless for finding the
 * key.
 */
const ID_DIGITS = 12

/** A key created by `keys create`. */
export interface KeyRecord {
  readonly client: string
  /** Unix milliseconds. */
  readonly created: number
  /** Unix milliseconds; `undefined`: never. */
  readonly expires: number | undefined
  readonly note: string | undefined
}

export interface StoredKey extends KeyRecord {
  readonly digest: string
}

/** A new key: `mfd_` and 32 random bytes in base64url. */
export function createKey(): string {
  return API_KEY_PREFIX + randomBytes(KEY_BYTES).toString('base64url')
}

/** SHA-256 in lower-case hexadecimal. One round suffices for a random secret. */
export function keyDigestOf(key: string): string {
  return createHash('sha256').update(key).digest('hex')
}

export function idOf(digest: string): string {
  return digest.slice(0, ID_DIGITS)
}

export async function storeKey(store: Store, { digest, ...record }: StoredKey): Promise<void> {
  const options = record.expires === undefined ? {} : { ttlMs: record.expires - Date.now() }
  await store.set(PREFIX + digest, JSON.stringify(record), options)
}

export async function readKeys(store: Store, digests: readonly string[]): Promise<(StoredKey | undefined)[]> {
  if (digests.length === 0) return []
  const texts = await store.getMany(digests.map(digest => PREFIX + digest))
  return texts.map((text, at) => (text === undefined ? undefined : parse(digests[at] as string, text)))
}

/** Every key that has not expired. */
export async function readAllKeys(store: Store): Promise<StoredKey[]> {
  const keys = await store.keys(PREFIX)
  const found = await readKeys(
    store,
    keys.map(key => key.slice(PREFIX.length)),
  )
  return found.filter(key => key !== undefined)
}

export async function removeKey(store: Store, digest: string): Promise<void> {
  await store.delete(PREFIX + digest)
}

/** A record that cannot be parsed identifies no client. */
function parse(digest: string, text: string): StoredKey | undefined {
  try {
    const record = JSON.parse(text) as Partial<Record<keyof KeyRecord, unknown>>
    const { client, created, expires, note } = record
    if (typeof client !== 'string' || typeof created !== 'number') return undefined
    if (expires !== undefined && typeof expires !== 'number') return undefined
    return { digest, client, created, expires, note: typeof note === 'string' ? note : undefined }
  } catch {
    return undefined
  }
}
