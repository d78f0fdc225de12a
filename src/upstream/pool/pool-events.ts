import { CLOCK } from '../../core/clock.ts'
import type { EventSink } from '../../core/event-bus.ts'
import type { Replica } from '../replica/replica.ts'
import type { Link } from '../link/link.ts'
import type { SlotListener } from './link-slot.ts'

/** Emits events for the links and replicas of one server. */
export class PoolEvents {
  readonly #events: EventSink
  readonly #server: string
  /** Links that were opened and neither lost nor closed. */
  readonly #open = new Set<Link>()

  constructor(events: EventSink, server: string) {
    this.#events = events
    this.#server = server
  }

  /** A replica went out or was ejected, with the cause, or is back, without one. */
  turned({ name: replica }: Replica, cause: string | undefined): void {
    const { heard } = this.#events
    if (cause === undefined) {
      if (heard['replica.returned']) this.#events.emit({ type: 'replica.returned', ...this.#about(replica) })
    } else if (heard['replica.ejected'])
      this.#events.emit({ type: 'replica.ejected', ...this.#about(replica), cause })
  }

  drained({ name }: Replica): void {
    if (this.#events.heard['replica.drained'])
      this.#events.emit({ type: 'replica.drained', ...this.#about(name) })
  }

  resumed({ name }: Replica): void {
    if (this.#events.heard['replica.resumed'])
      this.#events.emit({ type: 'replica.resumed', ...this.#about(name) })
  }

  /** Wraps a listener: each event is emitted before it is passed on. */
  links(listener: SlotListener): SlotListener {
    const events = this.#events
    const { heard } = events
    return {
      ...listener,
      onOpen: (slot, link, before) => {
        this.#open.add(link)
        const { era } = link.peer
        if (heard['link.opened'])
          events.emit({
            type: 'link.opened',
            ...this.#about(slot.replica.name),
            era,
            reopened: slot.reopened,
          })
        listener.onOpen(slot, link, before)
      },
      onLost: (link, error) => {
        if (this.#open.delete(link) && heard['link.lost'])
          events.emit({ type: 'link.lost', ...this.#about(link.replica.name), error })
        listener.onLost(link, error)
      },
      onClose: link => {
        if (this.#open.delete(link) && heard['link.closed'])
          events.emit({ type: 'link.closed', ...this.#about(link.replica.name) })
        listener.onClose?.(link)
      },
      onUnreachable: (slot, error) => {
        if (heard['link.failed'])
          events.emit({ type: 'link.failed', ...this.#about(slot.replica.name), error })
        listener.onUnreachable(slot, error)
      },
    }
  }

  #about(replica: string): { time: number; server: string; replica: string } {
    return { time: CLOCK.wall(), server: this.#server, replica }
  }
}
