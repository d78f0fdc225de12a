import { join } from 'node:path'
import { describeError } from '../../core/errors.ts'
import type { Logger } from '../../core/logger.ts'
import { createSealingKey, KeyRing, toKey } from '../../state/key-ring.ts'
import type { Store } from '../../state/store.ts'
import { createKeyFile, readKeyFile } from './key-file.ts'

/** Name of the key file in its folder. */
export const KEY_FILE = 'vault.key'
/** Where the key of a store is that all its processes run on one machine for: `keyring` or `file`. */
export const KEY_SOURCE = 'vault/key-source'

export interface Keyring {
  /** `undefined` when there is no key. @throws Error (as a rejection) that says why it cannot be used */
  read(): Promise<string | undefined>
  /** @throws as `read` */
  write(key: string): Promise<void>
}

export interface DataKeySettings {
  /** Base64; the first seals, all open. Empty: the key is made and kept by the gateway. */
  readonly keys: readonly string[]
  readonly keySource: 'auto' | 'keyring' | 'file'
  /** Absolute path of the folder of a key file. */
  readonly folder: string
}

export interface DataKeysOptions extends DataKeySettings {
  readonly store: Store
  readonly logger: Logger
  readonly keyring: Keyring
}

/** The keys of the vault: configured ones, else one in the keyring of the system, else one in a file. */
export class DataKeys {
  readonly #options: DataKeysOptions
  #ring: Promise<KeyRing> | undefined

  constructor(options: DataKeysOptions) {
    this.#options = options
  }

  /** @throws Error (as a rejection) that says which key cannot be used, why, and the fix */
  ring(): Promise<KeyRing> {
    const ring = (this.#ring ??= this.#load())
    // The keyring may be unlocked, or the file mended, until the next time.
    ring.catch(() => {
      if (this.#ring === ring) this.#ring = undefined
    })
    return ring
  }

  async #load(): Promise<KeyRing> {
    const { keys, store } = this.#options
    if (keys.length > 0) return new KeyRing(keys.map((key, at) => configured(key, at)))
    // What such a store holds ends with the process.
    if (!store.shared) return new KeyRing([createSealingKey()])
    const key = await this.#made()
    if (isOfManyMachines(store))
      this.#options.logger.warn(
        `The logins in ${store.name} are sealed with a key of this machine, so other machines cannot use them. Fix: set "gateway.vault.keys" to the same key on all of them, such as "\${VAULT_KEY}" with 32 random bytes in Base64.`,
      )
    return new KeyRing([key])
  }

  /** The key that this machine has, or a new one. */
  async #made(): Promise<Buffer> {
    const { keySource, folder } = this.#options
    const file = join(folder, KEY_FILE)
    if (keySource === 'file') return (await readKeyFile(file)) ?? (await this.#newFile(file, undefined))
    if (keySource === 'keyring') return await this.#ofKeyring()
    const found = await readKeyFile(file)
    if (found) return found
    try {
      return await this.#ofKeyring()
    } catch (error) {
      if (await this.#isInKeyring()) throw error
      return await this.#newFile(file, error)
    }
  }

  async #ofKeyring(): Promise<Buffer> {
    const { keyring } = this.#options
    try {
      let text = await keyring.read()
      if (text === undefined) {
        await keyring.write(createSealingKey().toString('base64'))
        // Another process may have written at the same time.
        text = await keyring.read()
      }
      const key = toKey(text ?? '')
      if (!key) throw new Error('its entry "vault" of "mcp-manifold" is no key; delete the entry')
      await this.#remember('keyring')
      return key
    } catch (error) {
      throw new Error(
        `The key of the vault is to be in the keyring of the system, which cannot be used: ${describeError(error)}. Fix: unlock the keyring; or set "gateway.vault.keySource" to "file" and log in to the servers anew.`,
        { cause: error },
      )
    }
  }

  async #newFile(file: string, because: unknown): Promise<Buffer> {
    const fresh = createSealingKey()
    const key = await createKeyFile(file, fresh)
    await this.#remember('file')
    if (!key.equals(fresh)) return key
    const cause = because instanceof Error && because.cause instanceof Error ? because.cause : because
    const why = cause === undefined ? '' : ` The keyring of the system is not used: ${describeError(cause)}.`
    this.#options.logger.warn(
      `The key of the vault is in the file "${file}", which only this user can read.${why} A backup of the logins needs it too.`,
    )
    return key
  }

  async #isInKeyring(): Promise<boolean> {
    const { store } = this.#options
    return !isOfManyMachines(store) && (await store.get(KEY_SOURCE)) === 'keyring'
  }

  async #remember(source: 'keyring' | 'file'): Promise<void> {
    const { store } = this.#options
    if (!isOfManyMachines(store) && (await store.get(KEY_SOURCE)) !== source)
      await store.set(KEY_SOURCE, source)
  }
}

function configured(text: string, at: number): Buffer {
  const key = toKey(text)
  if (key) return key
  throw new Error(`"gateway.vault.keys[${at}]" is no key. Fix: set it to 32 random bytes in Base64.`)
}

function isOfManyMachines({ name }: Store): boolean {
  return name.startsWith('redis:')
}
