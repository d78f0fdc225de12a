import { createHash } from 'node:crypto'
import { resolveSection, section } from '../options/option.ts'
import { REPLICA } from '../options/resilience.ts'
import type { ReplicaEntry, ServerEntry } from '../options/file.ts'
import type { Endpoint, ReplicaConfig } from '../replica-types.ts'

/** Resolves the replicas of a server (docs/resilience.md). */

const SETTINGS = section('mcpServers.*.replicas.*', REPLICA)

/**
 * One replica for each entry, or the server itself. `resolve` makes the endpoint of an entry that includes all
 * inherited values.
 */
export function resolveReplicas(
  entry: ServerEntry,
  resolve: (source: ReplicaEntry) => Endpoint,
): readonly ReplicaConfig[] {
  const sources = entry.replicas?.map(replica => withReplica(entry, replica)) ?? [entry]
  const taken = new Set<string>()
  return sources.map((source, index): ReplicaConfig => {
    const endpoint = resolve(source)
    const settings: Partial<ReplicaEntry> = entry.replicas ? source : {}
    const wanted = settings.name ?? nameOf(endpoint, index)
    const unique = taken.has(wanted) ? `${wanted}-${index + 1}` : wanted
    taken.add(unique)
    const section = resolveSection(SETTINGS, settings)
    return { name: unique, location: locationOf(unique, endpoint, section.service), endpoint, ...section }
  })
}

function locationOf(name: string, endpoint: Endpoint, service: string | undefined): string {
  const parts =
    endpoint.url === undefined
      ? [name, endpoint.command, endpoint.args, endpoint.cwd]
      : [name, endpoint.url, endpoint.headers.host ?? null, service ?? null]
  return createHash('sha256').update(JSON.stringify(parts)).digest('base64url').slice(0, 22)
}

function nameOf(endpoint: Endpoint, index: number): string {
  return endpoint.url === undefined ? String(index + 1) : new URL(endpoint.url).host
}

/** Merges the settings of a server with those of one of its replicas. */
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
