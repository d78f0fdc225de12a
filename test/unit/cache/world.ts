import { Cache, type CacheOptions } from '../../../src/cache/cache.ts'
import type { ServerSnapshot } from '../../../src/catalog/snapshot.ts'
import type { CacheRule, ServerConfig, ToolConfig } from '../../../src/config/types.ts'
import { compose, type CallHandler } from '../../../src/core/compose.ts'
import { Deadlines } from '../../../src/core/deadlines.ts'
import { GatewayError } from '../../../src/core/errors.ts'
import type { Exchange, JsonObject, Outcome } from '../../../src/core/exchange.ts'
import { SILENT } from '../../../src/core/logger.ts'
import type { Route } from '../../../src/core/route.ts'
import { cacheStore, cacheLookup } from '../../../src/middleware/cache.ts'
import { coalesce } from '../../../src/middleware/coalesce/coalesce.ts'
import { deferred, type Deferred } from '../../helpers/deferred.ts'
import { serverConfig } from '../../helpers/fake-transport.ts'

/** The part of the pipeline that this is about, with a server that the test plays and a clock that it sets. */

export function rule(changes: Partial<CacheRule> = {}): CacheRule {
  return {
    ttlMs: 1000,
    scope: 'client',
    staleWhileRevalidateMs: 0,
    staleIfErrorMs: 0,
    ignoreArgs: [],
    maxBytes: 100_000,
    tags: [],
    ...changes,
  }
}

export function tool(glob: string, changes: Partial<ToolConfig> = {}): ToolConfig {
  return {
    glob,
    hidden: false,
    cost: undefined,
    cache: undefined,
    invalidates: 'server',
    readOnly: undefined,
    retry: undefined,
    fallback: undefined,
    quota: { rate: undefined, concurrency: undefined, budgets: [] },
    ...changes,
  }
}

export function snapshotOf(
  server: string,
  tools: readonly string[],
  era: 'legacy' | 'modern' = 'legacy',
): ServerSnapshot {
  return {
    server,
    fetchedAt: 0,
    era,
    spoken: {},
    eraAt: 0,
    transport: 'http',
    protocolVersion: era === 'modern' ? '2026-07-28' : '2025-11-25',
    capabilities: { tools: {}, resources: {} },
    instructions: undefined,
    caching: {},
    lists: {
      tools: tools.map(text => ({ key: (JSON.parse(text) as { name: string }).name, text })),
      resources: [],
      resourceTemplates: [],
      prompts: [],
    },
  }
}

/** A call that has reached the server. */
export interface Reached extends Deferred<Outcome> {
  readonly exchange: Exchange
  readonly route: Route
}

export interface World {
  readonly cache: Cache
  readonly deadlines: Deadlines
  readonly reached: Reached[]
  readonly snapshots: Map<string, ServerSnapshot>
  now: number
  readonly call: CallHandler
  /** Lets everything go on that can. */
  settle(): Promise<void>
}

export function world(
  servers: readonly ServerConfig[],
  snapshots: readonly ServerSnapshot[],
  options: Partial<CacheOptions> & { timeoutMs?: number } = {},
): World {
  const { timeoutMs = 0, ...rest } = options
  const deadlines = new Deadlines()
  const known = new Map(snapshots.map(snapshot => [snapshot.server, snapshot]))
  const reached: Reached[] = []
  const cache = new Cache({
    servers,
    bounds: { maxBytes: 1_000_000, maxBytesPerClient: 1_000_000 },
    snapshot: name => known.get(name),
    shown: name => [known.get(name)].filter(one => one !== undefined),
    onLinks: () => undefined,
    serverInfo: '{"name":"gateway"}',
    now: () => made.now,
    ...rest,
  })
  const server: CallHandler = (exchange, route) => {
    exchange.trace.sent('a', performance.now())
    const call = { ...deferred<Outcome>(), exchange, route }
    reached.push(call)
    // As a link does; the server may go on all the same.
    exchange.cancellation.onCancel(() =>
      call.reject(new GatewayError('cancelled', 'cancelled', { delivery: 'unknown' })),
    )
    return call.promise
  }
  const made: World = {
    cache,
    deadlines,
    reached,
    snapshots: known,
    now: 1_000_000,
    call: compose(
      [
        cacheLookup({ cache, logger: SILENT, urisKey: () => '' }),
        coalesce({ deadlines, timeoutMs: () => timeoutMs }),
        cacheStore({ cache }),
      ],
      server,
    ),
    settle: () => new Promise(resolve => setImmediate(resolve)),
  }
  return made
}

export const S = (tools: readonly ToolConfig[], changes: Partial<ServerConfig> = {}): ServerConfig =>
  serverConfig({ name: 's', tools, ...changes })

export function result(value: JsonObject, modern = false): Outcome {
  return { kind: 'result', text: JSON.stringify(value), value, modern }
}

/** The result that a client gets, where it needs no more framing. */
export function valueOf(outcome: Outcome): JsonObject {
  if (outcome.kind === 'cached') return JSON.parse(outcome.head + outcome.text.toString()) as JsonObject
  if (outcome.kind !== 'result' && outcome.kind !== 'error') throw new Error(outcome.kind)
  return outcome.value as JsonObject
}

export function markOf(value: JsonObject): { ageMs: number; tier: string; stale: boolean } | undefined {
  return (value._meta as JsonObject | undefined)?.['io.github.mcp-manifold/cache'] as never
}
