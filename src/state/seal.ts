import { createSealingKey, KEY_BYTES, KeyRing, toKey } from './key-ring.ts'
import type { Store } from './store.ts'

/** Key of the key ring: Base64 keys, of which the first seals and all open. */
const KEY_RING = 'seal/keys'

/**
 * Seals state for clients, which can neither read nor change it: AES-256-GCM under a key in the gateway's store, so
 * that another process, or the next run, can open it. The key is random, not derived from a password.
 */
export class Seal {
  readonly #store: Store
  #ring: Promise<KeyRing> | undefined

  constructor(store: Store) {
    this.#store = store
  }

  /** `purpose` separates uses: a text sealed for one purpose cannot be opened for another. */
  async seal(purpose: string, value: unknown): Promise<string> {
    const ring = await this.#keys()
    return ring.seal(purpose, JSON.stringify(value)).toString('base64url')
  }

  /** The sealed value; `undefined` for a text that was not sealed here for this purpose. */
  async open(purpose: string, text: string): Promise<unknown> {
    const ring = await this.#keys()
    const opened = ring.open(purpose, Buffer.from(text, 'base64url'))
    return opened === undefined ? undefined : (JSON.parse(opened) as unknown)
  }

  #keys(): Promise<KeyRing> {
    const ring = (this.#ring ??= this.#load())
    // After a failure, the store is read again the next time.
    ring.catch(() => {
      if (this.#ring === ring) this.#ring = undefined
    })
    return ring
  }

  async #load(): Promise<KeyRing> {
    // Processes that start at once use one ring.
    const fresh = JSON.stringify([createSealingKey().toString('base64')])
    return new KeyRing(keysOf(await this.#store.setIfAbsent(KEY_RING, fresh)))
  }
}

/** @throws Error for a ring that cannot seal and open, without its content */
function keysOf(text: string): readonly Buffer[] {
  let ring: unknown
  try {
    ring = JSON.parse(text)
  } catch {
    throw unusable('is not JSON')
  }
  if (!Array.isArray(ring) || ring.length === 0) throw unusable('is no list with a key')
  return ring.map((encoded: unknown, at) => {
    const key = typeof encoded === 'string' ? toKey(encoded) : undefined
    if (!key) throw unusable(`has as key ${at + 1} no ${KEY_BYTES} bytes in Base64`)
    return key
  })
}

function unusable(why: string): Error {
  return new Error(
    `The key "${KEY_RING}" in the state store ${why}, so that nothing can be sealed or opened. Delete it; the gateway then makes a new one, and what was sealed before is lost.`,
  )
}
