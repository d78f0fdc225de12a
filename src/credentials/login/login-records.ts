import { createHash, timingSafeEqual } from 'node:crypto'
import type { Vault } from '../../vault/vault.ts'
import type { PendingAuthorization } from '../oauth/authorization.ts'
import type { LoginAbout } from './pages.ts'

/** How far a login has come. Only `begun` can go on to `taken`, once. */
export type LoginStage = 'begun' | 'taken' | 'done' | 'failed'

/** A login under way, as every node that shares the vault reads it. */
export interface LoginRecord {
  readonly server: string
  readonly owner: string
  readonly about: LoginAbout
  /** Where the authorization server asks the person. */
  readonly url: string
  readonly pending: PendingAuthorization
  /** Wall clock, since other machines read it. */
  readonly expiresAt: number
  readonly stage: LoginStage
  /** Whether its callback has to come from the browser that began it. */
  readonly hosted: boolean
  /** Digest of the cookie of that browser, once it has begun. */
  readonly browser?: string
  /** Why it failed: one sentence that is safe to show. */
  readonly reason?: string
}

/** A record stays longer than its login, so that a late or repeated callback is told apart from a foreign one. */
const KEPT_MS = 10 * 60_000

/**
 * Id of the login with this `state`. It is in the link that the principal gets; the state, which is only in the address
 * of the authorization server, cannot be computed from it.
 */
export function loginIdOf(state: string): string {
  return digestOf(`login ${state}`)
}

export function digestOf(text: string): string {
  return createHash('sha256').update(text).digest('base64url')
}

export function isEqual(a: string, b: string): boolean {
  const [left, right] = [Buffer.from(a), Buffer.from(b)]
  return left.length === right.length && timingSafeEqual(left, right)
}

const ID = /^[\w-]{43}$/

/** The logins under way, sealed in the vault. */
export class LoginRecords {
  readonly #vault: Vault

  constructor(vault: Vault) {
    this.#vault = vault
  }

  /** `undefined` for an id that has none, also for a text that is no id. */
  async get(id: string): Promise<LoginRecord | undefined> {
    if (!ID.test(id)) return undefined
    return (await this.#vault.read<LoginRecord>(nameOf(id)))?.value
  }

  put(id: string, login: LoginRecord): Promise<void> {
    const ttlMs = Math.max(1, login.expiresAt - Date.now()) + KEPT_MS
    return this.#vault.write(nameOf(id), { issuer: login.pending.issuer, value: login }, ttlMs)
  }

  /**
   * Changes a login alone over all nodes. `change` gets it as it is then; what it returns is stored.
   * @returns the stored login; `undefined` where there is none, or `change` returned none
   */
  async change(
    id: string,
    change: (login: LoginRecord) => LoginRecord | undefined,
  ): Promise<LoginRecord | undefined> {
    if (!ID.test(id)) return undefined
    return await this.#vault.exclusively(nameOf(id), async () => {
      const login = await this.get(id)
      const changed = login && change(login)
      if (changed) await this.put(id, changed)
      return changed
    })
  }

  /** Calls the listener after the login was changed, here or by another process. Returns what ends it. */
  onChanged(id: string, listener: () => void): () => void {
    return this.#vault.onChanged(nameOf(id), listener)
  }

  async remove(id: string): Promise<void> {
    await this.#vault.remove(nameOf(id))
  }

  /** The port to which browsers of a server's logins were sent last. */
  async portOf(server: string): Promise<number | undefined> {
    const port = (await this.#vault.read<unknown>(portName(server)))?.value
    return typeof port === 'number' && Number.isInteger(port) && port > 0 && port < 65_536 ? port : undefined
  }

  setPort(server: string, port: number): Promise<void> {
    return this.#vault.write(portName(server), { issuer: '', value: port })
  }
}

/**
 * Server and owner of a login are unknown to its callback, so they are no part of its name. Names are readable in the
 * store, and the id is a part of the link that only its principal gets: a digest of it stands there.
 */
function nameOf(id: string) {
  return { kind: 'login', server: '', owner: digestOf(`record ${id}`) } as const
}

function portName(server: string) {
  return { kind: 'login', server, owner: 'port' } as const
}
