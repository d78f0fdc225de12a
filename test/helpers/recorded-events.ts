import { expect } from 'vitest'
import type { EventOf, EventType, GatewayEvent } from '../../src/core/events.ts'
import type { RunningGateway } from '../../src/gateway/gateway.ts'

/** The events of a gateway. */
export class RecordedEvents {
  readonly all: GatewayEvent[] = []

  constructor(gateway?: Pick<RunningGateway, 'on'>) {
    if (gateway) this.listenTo(gateway)
  }

  listenTo(gateway: Pick<RunningGateway, 'on'>): void {
    gateway.on('*', event => void this.all.push(event))
  }

  of<T extends EventType>(type: T): EventOf<T>[] {
    return this.all.filter((event): event is EventOf<T> => event.type === type)
  }

  /** Resolves when there is an event of this type. */
  async until(type: EventType): Promise<void> {
    await expect.poll(() => this.all.map(event => event.type), { timeout: 5000 }).toContain(type)
  }
}
