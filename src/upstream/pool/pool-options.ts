import type { GatewayConfig, ServerConfig } from '../../config/types.ts'
import type { EventSink } from '../../core/event-bus.ts'
import type { LinkCredentials } from '../link/link-credentials.ts'
import type { SlotListener } from './link-slot.ts'
import type { LinksPerClient } from './links-per-client.ts'
import type { ReplicaMembershipOptions } from './membership.ts'

export interface PoolOptions
  extends Pick<ReplicaMembershipOptions, 'dns' | 'drainTimeoutMs' | 'deadlines' | 'logger'>, LinkCredentials {
  readonly server: ServerConfig
  readonly listener: SlotListener
  readonly clientInfo: string
  /** Shared by all pools. */
  readonly clientLinks: LinksPerClient
  /** Zone of the gateway; replicas there are preferred. */
  readonly zone?: string | undefined
  /** Called when a replica has become unusable, or usable again: standing subscriptions may have to move. */
  readonly onReplicasChanged?: () => void
  /** Absent: no listener. */
  readonly events?: EventSink | undefined
}

/** Settings of the gateway that its pools use. */
export type PoolGatewaySettings = Pick<GatewayConfig, 'dns' | 'drainTimeoutMs' | 'zone'>
