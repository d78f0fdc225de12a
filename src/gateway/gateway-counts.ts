import type { Metrics } from '../observe/metrics/metrics.ts'
import { gatewayMetrics, type Counted } from './gateway-metrics.ts'
import { GatewayUsage } from './gateway-usage.ts'

/** Counts what passes through a gateway: for scrapers (docs/metrics.md), and by day (docs/usage.md). */
export class GatewayCounts {
  /** `undefined`: the configuration wants none. */
  readonly metrics: Metrics | undefined
  /** `undefined`: the configuration wants none. */
  readonly usage: GatewayUsage | undefined

  constructor(counted: Counted) {
    const { gateway, runtime, events } = counted
    const { store, logger } = runtime
    this.metrics = gatewayMetrics(counted)
    this.usage = GatewayUsage.of({ store, logger, events, config: () => gateway.config })
  }

  /** Ends the counting, with everything written. */
  async close(): Promise<void> {
    this.metrics?.unfollow()
    await this.usage?.close()
  }
}
