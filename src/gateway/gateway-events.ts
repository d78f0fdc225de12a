import { CLOCK } from '../core/clock.ts'
import { EventBus } from '../core/event-bus.ts'
import type { AdminActed, GatewayEvent } from '../core/events.ts'
import type { Conversation } from '../core/exchange.ts'
import type { Audit } from '../observe/audit.ts'
import type { DebugTrace } from '../observe/debug-trace.ts'

/** A write over the admin API. */
export type AdminNote = Omit<AdminActed, 'type' | 'time'>

/** Of an event: everything but its time. */
type Untimed<E> = E extends GatewayEvent ? Omit<E, 'time'> : never

/** What a gateway tells of itself, apart from what its parts tell of theirs. */
export class GatewayEvents extends EventBus {
  #listeners: (() => void)[] = []

  /** Lets what the configuration asks for listen, until `unlisten`. */
  listen(listeners: readonly (Audit | DebugTrace | undefined)[]): void {
    for (const listener of listeners) if (listener) this.#listeners.push(listener.listen(this))
  }

  unlisten(): void {
    for (const end of this.#listeners) end()
    this.#listeners = []
  }

  sessionOpened(conversation: Conversation): void {
    this.tell({ type: 'session.opened', conversation })
  }

  sessionClosed(conversation: Conversation): void {
    this.tell({ type: 'session.closed', conversation })
  }

  accessRefused(status: number, reason: string, address: string | undefined): void {
    this.tell({ type: 'access.refused', status, reason, address })
  }

  adminActed(write: AdminNote): void {
    this.tell({ ...write, type: 'admin.acted' })
  }

  /** Emits what happens now, if anything listens. Not for the way of a call, where the event would be built in vain. */
  tell(event: Untimed<GatewayEvent>): void {
    if (this.heard[event.type]) this.emit({ ...event, time: CLOCK.wall() } as GatewayEvent)
  }
}
