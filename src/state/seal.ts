import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto'
import type { Store } from './store.ts'

/** Key of the key ring: Base64 keys, of which the first seals and all open. */
const KEY_RING = 'seal/keys'

const KEY_BYTES = 32
const ID_BYTES = 4
const IV_BYTES = 12
const TAG_BYTES = 16

interface Key {
  readonly id: Buffer
  readonly key: Buffer
}

/**
 * Seals state for clients, which can neither read nor change it: AES-256-GCM under a key in the gateway's store, so
 * that another process, or the next run, can open it. The key is random, not derived from a password.
 */
export class Seal {
  readonly #store: Store
  #ring: Promise<readonly Key[]> | undefined

  constructor(store: Store) {
    this.#store = store
  }

  /** `purpose` separates uses: a text sealed for one purpose cannot be opened for another. */
  async seal(purpose: string, value: unknown): Promise<string> {
    const [current] = await this.#keys()
    const { id, key } = current as Key
    const iv = randomBytes(IV_BYTES)
    const cipher = createCipheriv('aes-256-gcm', key, iv).setAAD(Buffer.from(purpose))
    const sealed = Buffer.concat([cipher.update(JSON.stringify(value), 'utf8'), cipher.final()])
    return Buffer.concat([id, iv, cipher.getAuthTag(), sealed]).toString('base64url')
  }

  /** The sealed value; `undefined` for a text that was not sealed here for this purpose. */
  async open(purpose: string, text: string): Promise<unknown> {
    const bytes = Buffer.from(text, 'base64url')
    if (bytes.length < ID_BYTES + IV_BYTES + TAG_BYTES) return undefined
    const id = bytes.subarray(0, ID_BYTES)
    const ring = await this.#keys()
    const key = ring.find(candidate => candidate.id.equals(id))
    if (!key) return undefined
    const iv = bytes.subarray(ID_BYTES, ID_BYTES + IV_BYTES)
    const tag = bytes.subarray(ID_BYTES + IV_BYTES, ID_BYTES + IV_BYTES + TAG_BYTES)
    try {
      const decipher = createDecipheriv('aes-256-gcm', key.key, iv, { authTagLength: TAG_BYTES })
        .setAAD(Buffer.from(purpose))
        .setAuthTag(tag)
      const opened = Buffer.concat([
        decipher.update(bytes.subarray(ID_BYTES + IV_BYTES + TAG_BYTES)),
        decipher.final(),
      ])
      return JSON.parse(opened.toString('utf8')) as unknown
    } catch {
      return undefined
    }
  }

  #keys(): Promise<readonly Key[]> {
    const ring = (this.#ring ??= this.#load())
    // After a failure, the store is read again the next time.
    ring.catch(() => {
      if (this.#ring === ring) this.#ring = undefined
    })
    return ring
  }

  async #load(): Promise<readonly Key[]> {
    // Processes that start at once use one ring.
    const fresh = JSON.stringify([randomBytes(KEY_BYTES).toString('base64')])
    const text = await this.#store.setIfAbsent(KEY_RING, fresh)
    return ringOf(text).map(key => ({ id: createIdOf(key), key }))
  }
}

/** @throws Error for a ring that cannot seal and open, without its content */
function ringOf(text: string): readonly Buffer[] {
  let ring: unknown
  try {
    ring = JSON.parse(text)
  } catch {
    throw unusable('is not JSON')
  }
  if (!Array.isArray(ring) || ring.length === 0) throw unusable('is no list with a key')
  return ring.map((encoded: unknown, at) => {
    const key = typeof encoded === 'string' ? Buffer.from(encoded, 'base64') : undefined
    if (key?.length !== KEY_BYTES) throw unusable(`has as key ${at + 1} no ${KEY_BYTES} bytes in Base64`)
    return key
  })
}

function unusable(why: string): Error {
  return new Error(
    `The key "${KEY_RING}" in the state store ${why}, so that nothing can be sealed or opened. Delete it; the gateway then makes a new one, and what was sealed before is lost.`,
  )
}

function createIdOf(key: Buffer): Buffer {
  // The tag of an empty message identifies the key without revealing it.
  const cipher = createCipheriv('aes-256-gcm', key, Buffer.alloc(IV_BYTES)).setAAD(Buffer.from('id'))
  cipher.final()
  return cipher.getAuthTag().subarray(0, ID_BYTES)
}
