import type { Config } from '../config/types.ts'
import type { QueueOptions } from '../middleware/queue/queue.ts'
import type { PoolGatewaySettings } from '../upstream/pool/pool-options.ts'

/** What parts of the runtime get of a configuration, at the start and with each reload. */

export function poolSettings({ zone, dns, drainTimeoutMs }: PoolGatewaySettings): PoolGatewaySettings {
  return { zone, dns, drainTimeoutMs }
}

export function queueOptions({ servers, gateway, clients }: Config): Omit<QueueOptions, 'deadlines'> {
  return { servers, gateway, weights: new Map(clients.map(({ name, weight }) => [name, weight])) }
}
