import {
  CRASHES,
  ERROR_RATE,
  HEALTH_EJECT,
  HEALTH_EVERY,
  HEALTH_FAILURES,
  HEALTH_SLOW_BY,
  HEALTH_SLOW_START,
  HEALTH_TIMEOUT,
  MAX_MEMORY,
  PANIC,
  REPLICA_WEIGHT,
  RETRIES,
  RETRY_BUDGET,
  SPARES,
  TIER,
} from '../defaults.ts'
import type { ReplicaEntry, ServerEntry } from '../schema/file.ts'
import type {
  Endpoint,
  FallbackConfig,
  HealthConfig,
  ReplicaConfig,
  ResilienceConfig,
} from '../replica-types.ts'
import { toBytes, toMs } from '../units.ts'

/** The parts of a server's configuration that are about its replicas and about what fails (docs/resilience.md). */
export function resolveResilience(entry: ServerEntry): ResilienceConfig {
  return {
    retry: entry.retry ?? false,
    retries: entry.retries ?? RETRIES.default,
    retryBudget: (entry.retryBudget ?? RETRY_BUDGET.default) / 100,
    hedge: entry.hedge ?? true,
    health: resolveHealth(entry.health ?? {}),
    fallback: resolveFallback(entry.fallback),
    crashes: entry.crashes ?? CRASHES.default,
    memoryBytes: toBytes(entry.memory ?? MAX_MEMORY.default),
    spares: entry.spares ?? SPARES.default,
  }
}

function resolveHealth(health: NonNullable<ServerEntry['health']>): HealthConfig {
  const { check } = health
  return {
    check:
      check === undefined || check === 'protocol' ? 'protocol' : { tool: check.tool, args: check.args ?? {} },
    everyMs: toMs(health.every ?? HEALTH_EVERY.default),
    timeoutMs: toMs(health.timeout ?? HEALTH_TIMEOUT.default),
    failures: health.failures ?? HEALTH_FAILURES.default,
    errorRate: (health.errorRate ?? ERROR_RATE.default) / 100,
    slowBy: health.slowBy ?? HEALTH_SLOW_BY.default,
    panic: (health.panic ?? PANIC.default) / 100,
    ejectMs: toMs(health.eject ?? HEALTH_EJECT.default),
    slowStartMs: toMs(health.slowStart ?? HEALTH_SLOW_START.default),
  }
}

export function resolveFallback(fallback: ServerEntry['fallback']): FallbackConfig | undefined {
  if (fallback === undefined) return undefined
  if (typeof fallback === 'string') return { server: fallback, tool: undefined, args: {} }
  return { server: fallback.server, tool: fallback.tool, args: fallback.args ?? {} }
}

/** One replica for each entry, or the server itself. `resolve` makes the endpoint of an entry that has everything it inherits. */
export function resolveReplicas(
  entry: ServerEntry,
  resolve: (source: ReplicaEntry) => Endpoint,
): readonly ReplicaConfig[] {
  const sources = entry.replicas?.map(replica => withReplica(entry, replica)) ?? [entry]
  const taken = new Set<string>()
  return sources.map((source, index): ReplicaConfig => {
    const endpoint = resolve(source)
    const { name, weight, tier, zone, service }: Partial<ReplicaEntry> = entry.replicas ? source : {}
    const wanted = name ?? nameOf(endpoint, index)
    const unique = taken.has(wanted) ? `${wanted}-${index + 1}` : wanted
    taken.add(unique)
    return {
      name: unique,
      endpoint,
      weight: weight ?? REPLICA_WEIGHT.default,
      tier: tier ?? TIER.default,
      zone,
      service,
    }
  })
}

function nameOf(endpoint: Endpoint, index: number): string {
  return endpoint.url === undefined ? String(index + 1) : new URL(endpoint.url).host
}

/** What a server says for all its replicas, and what one of them says itself. */
export function withReplica(entry: ServerEntry, replica: ReplicaEntry): ReplicaEntry {
  const { type, cwd, envFile, args } = entry
  const inherited = Object.entries({ type, cwd, envFile, args }).filter(([, value]) => value !== undefined)
  return {
    ...Object.fromEntries(inherited),
    ...replica,
    env: { ...entry.env, ...replica.env },
    headers: { ...lowerCaseKeys(entry.headers), ...lowerCaseKeys(replica.headers) },
  }
}

export function lowerCaseKeys(record: Readonly<Record<string, string>> = {}): Record<string, string> {
  return Object.fromEntries(Object.entries(record).map(([key, value]) => [key.toLowerCase(), value]))
}
