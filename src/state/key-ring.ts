import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto'

export const KEY_BYTES = 32
/** Of 32 bytes, also in the alphabet for addresses. */
const BASE64_KEY = /^[\w+/-]{43}=?$/
const ID_BYTES = 4
const IV_BYTES = 12
const TAG_BYTES = 16
const OVERHEAD_BYTES = ID_BYTES + IV_BYTES + TAG_BYTES

interface Key {
  readonly id: Buffer
  readonly key: Buffer
}

/**
 * Keys of AES-256-GCM, of which the first seals and all open. What was sealed begins with the id of its key, so that
 * keys can be replaced one after the other.
 */
export class KeyRing {
  readonly #keys: readonly Key[]

  /** @param keys at least one, of `KEY_BYTES` each */
  constructor(keys: readonly Buffer[]) {
    this.#keys = keys.map(key => ({ id: createIdOf(key), key }))
  }

  /** Id of the key that seals, as `keyIdOf` gives it for what was sealed. */
  get sealingId(): string {
    return this.#first.id.toString('hex')
  }

  has(id: string): boolean {
    return this.#keys.some(key => key.id.toString('hex') === id)
  }

  /** `context` is authenticated: what was sealed opens with the same context only. */
  seal(context: string, text: string): Buffer {
    const { id, key } = this.#first
    const iv = randomBytes(IV_BYTES)
    const cipher = createCipheriv('aes-256-gcm', key, iv).setAAD(Buffer.from(context))
    const sealed = Buffer.concat([cipher.update(text, 'utf8'), cipher.final()])
    return Buffer.concat([id, iv, cipher.getAuthTag(), sealed])
  }

  /** `undefined` for what was changed, or sealed with another key or context. */
  open(context: string, bytes: Buffer): string | undefined {
    if (bytes.length < OVERHEAD_BYTES) return undefined
    const found = this.#keys.find(({ id }) => id.equals(bytes.subarray(0, ID_BYTES)))
    if (!found) return undefined
    const iv = bytes.subarray(ID_BYTES, ID_BYTES + IV_BYTES)
    try {
      const decipher = createDecipheriv('aes-256-gcm', found.key, iv, { authTagLength: TAG_BYTES })
        .setAAD(Buffer.from(context))
        .setAuthTag(bytes.subarray(ID_BYTES + IV_BYTES, OVERHEAD_BYTES))
      const opened = Buffer.concat([decipher.update(bytes.subarray(OVERHEAD_BYTES)), decipher.final()])
      return opened.toString('utf8')
    } catch {
      return undefined
    }
  }

  get #first(): Key {
    return this.#keys[0] as Key
  }
}

/** Id of the key that sealed the bytes; `''` for bytes that are too short. */
export function keyIdOf(bytes: Buffer): string {
  return bytes.length < OVERHEAD_BYTES ? '' : bytes.subarray(0, ID_BYTES).toString('hex')
}

export function createSealingKey(): Buffer {
  return randomBytes(KEY_BYTES)
}

/** `undefined` for a text that is no key in Base64. */
export function toKey(text: string): Buffer | undefined {
  return BASE64_KEY.test(text) ? Buffer.from(text, 'base64') : undefined
}

function createIdOf(key: Buffer): Buffer {
  // The tag of an empty message identifies the key without revealing it.
  const cipher = createCipheriv('aes-256-gcm', key, Buffer.alloc(IV_BYTES)).setAAD(Buffer.from('id'))
  cipher.final()
  return cipher.getAuthTag().subarray(0, ID_BYTES)
}
