import { deleteDrained, readDrained, writeDrained, type Drained } from '../state/drained.ts'
import { StoreAway } from '../core/store-away.ts'
import type { KeptLogins } from '../credentials/login/kept-logins.ts'
import type { LoggedOut } from '../credentials/login/logout.ts'
import type { PendingLogin } from '../credentials/login/pending-login.ts'
import type { Store } from '../state/store.ts'
import type { AdminNote, GatewayEvents } from './gateway-events.ts'
import type { ServerLogins } from './server-logins.ts'
import type { Pool } from '../upstream/pool/pool.ts'

/** Of a running gateway: the parts that operators act on. */
export interface Operated {
  poolOf(server: string): Pool
  drain(drained: Drained): void
  readonly serverLogins: ServerLogins
}

/** What operators do to a running gateway, besides giving it another configuration. */
export class Operations {
  readonly #parts: Operated
  readonly #store: Store
  readonly #events: GatewayEvents

  constructor(parts: Operated, store: Store, events: GatewayEvents) {
    this.#parts = parts
    this.#store = store
    this.#events = events
  }

  /**
   * Takes a server, or one replica, out of use in all gateways that share the store, or uses it again. In effect here
   * when it resolves, elsewhere within a second.
   * @throws StoreAway when the store does not answer
   */
  async drain(server: string, replica: string | undefined, drained: boolean): Promise<void> {
    let all: Drained
    try {
      if (drained) await writeDrained(this.#store, server, replica ?? '')
      else await deleteDrained(this.#store, server, replica)
      all = await readDrained(this.#store)
    } catch (error) {
      throw new StoreAway(this.#store.name, error)
    }
    this.#parts.drain(all)
  }

  /** Calls in flight at a server, or at one replica, of those that are drained or on their way out as well. */
  inFlight(server: string, replica: string | undefined): number {
    let calls = 0
    for (const { name, load } of this.#parts.poolOf(server).membership.all)
      if (replica === undefined || name === replica || name.startsWith(`${replica}/`)) calls += load.inFlight
    return calls
  }

  /** Gives a server new links for new calls; calls in flight end on the old ones. Returns their number. */
  restart(server: string): number {
    const pool = this.#parts.poolOf(server)
    const { length } = pool.links
    pool.membership.renew()
    return length
  }

  /** Begins the login of a server, or joins the one under way. @throws GatewayError that says why it cannot begin */
  async beginLogin(server: string, owner: string): Promise<PendingLogin> {
    const { server: config } = this.#parts.poolOf(server)
    return await this.#parts.serverLogins.logins.begin(config, owner)
  }

  /** Forgets a login in all gateways that share the store. */
  logOut(server: string, owner: string): Promise<LoggedOut> {
    return this.#parts.serverLogins.logOut(server, owner)
  }

  /** The logins at servers, without anything secret. */
  credentials(): Promise<KeptLogins> {
    return this.#parts.serverLogins.list()
  }

  /** Tells the listeners of events, as the audit log, of a write over the admin API. */
  noteAdmin(write: AdminNote): void {
    this.#events.adminActed(write)
  }
}
