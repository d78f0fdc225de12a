import type { Catalog } from './catalog/catalog.ts'
import type { ServerConfig } from './config/types.ts'
import type { Pool } from './upstream/pool.ts'

/** How one server stands, for people. */
export interface ServerStatus {
  readonly name: string
  readonly transport: string
  readonly era: 'legacy' | 'modern' | undefined
  /**
   * `idle`: not running, started by the next call. `failed`: the last start failed, `error` says why. `stopped`: so many failed or did not last that it is tried every
   * few minutes only.
   */
  readonly state: 'idle' | 'starting' | 'ready' | 'failed' | 'stopped' | 'closed'
  readonly required: boolean
  /** Whether its lists are known, from now or from an earlier run. */
  readonly listed: boolean
  readonly tools: number
  readonly resources: number
  readonly resourceTemplates: number
  readonly prompts: number
  readonly error: string | undefined
}

export function statusOf(server: ServerConfig, pool: Pool, catalog: Catalog): ServerStatus {
  const snapshot = catalog.snapshot(server.name)
  const { state, current } = pool
  const error =
    state.kind === 'failed' || state.kind === 'stopped' ? state.error : catalog.failure(server.name)
  return {
    name: server.name,
    transport: current?.transport.kind ?? snapshot?.transport ?? server.replicas[0]?.endpoint.kind ?? '',
    era: current?.peer.era ?? snapshot?.era,
    state: state.kind,
    required: server.required,
    listed: snapshot !== undefined,
    tools: snapshot?.lists.tools.length ?? 0,
    resources: snapshot?.lists.resources.length ?? 0,
    resourceTemplates: snapshot?.lists.resourceTemplates.length ?? 0,
    prompts: snapshot?.lists.prompts.length ?? 0,
    error: error?.message,
  }
}

/** Whether every required server is there or known, and how each one stands. */
export function readinessOf(statuses: readonly ServerStatus[]): {
  ready: boolean
  servers: Pick<ServerStatus, 'name' | 'state' | 'required' | 'error'>[]
} {
  return {
    ready: statuses.every(
      ({ required, state, listed }) => !required || state === 'ready' || (state === 'idle' && listed),
    ),
    servers: statuses.map(({ name, state, required, error }) => ({ name, state, required, error })),
  }
}
