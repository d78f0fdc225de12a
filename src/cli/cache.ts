import { clear, type Cleared } from '../cache/shared/clear.ts'
import { readCounts, type CacheReports } from '../cache/shared/reports.ts'
import { loadConfigFile } from '../config/load/load.ts'
import { alignColumns } from './table.ts'
import { notThere } from './not-there.ts'
import { refuseUnshared, withStore } from './with-store.ts'
import type { Config } from '../config/types.ts'
import type { CommonOptions } from './common-options.ts'

export interface StatsOptions extends CommonOptions {
  readonly json?: boolean
}

/**
 * `cache clear`: drops the cached results of everything, of a server or of a tool (`server/tool`, with the server's own
 * name), also in running gateways.
 * @throws GatewayError `config` when there is no such server, or the state is only in the memory of a running gateway
 */
export async function clearCache(
  of: string | undefined,
  { config: file, json, log }: StatsOptions,
): Promise<void> {
  const config = await loadConfigFile({ file })
  const what = toCleared(of, config)
  const deleted = await withStore(
    config,
    (store, logger) => clear(store, what, logger),
    refuseUnshared('only the running gateway knows what it keeps, and only a restart clears it.'),
    log,
  )
  if (json) return void process.stdout.write(`${JSON.stringify({ of, cleared: deleted })}\n`)
  const entries = `${deleted} stored ${deleted === 1 ? 'result' : 'results'}`
  process.stderr.write(
    `Cleared ${of ?? 'everything'}: ${entries}, and what running gateways had in memory.\n`,
  )
}

/**
 * `cache stats`: shows the savings of the cache over all running gateways that share the state. Starts nothing.
 * @throws GatewayError `config`
 */
export async function showCacheStats({ config: file, log, json }: StatsOptions): Promise<void> {
  const config = await loadConfigFile({ file })
  const found = await withStore(
    config,
    readCounts,
    refuseUnshared('only the running gateway knows its counts.'),
    log,
  )
  const { maxStoredBytes } = config.gateway.cache
  const lines = (): string => [...toolTable(found), '', ...placeTable(found, maxStoredBytes)].join('\n')
  process.stdout.write(`${json ? JSON.stringify(found, undefined, 2) : lines()}\n`)
}

function toCleared(of: string | undefined, { servers, file }: Config): Cleared[] {
  if (of === undefined) return servers.map(({ name }) => ({ server: name, tool: undefined }))
  // Names of servers may contain slashes.
  const [server] = servers
    .map(({ name }) => name)
    .filter(name => of === name || of.startsWith(`${name}/`))
    .sort((a, b) => b.length - a.length)
  if (server === undefined)
    throw notThere(
      quoted => `There is no server ${quoted} in ${file ?? 'the configuration'}`,
      of,
      servers.map(({ name }) => name),
    )
  return [{ server, tool: of === server ? undefined : of.slice(server.length + 1) }]
}

function toolTable({ tools: rows }: CacheReports): string[] {
  if (rows.length === 0)
    return [
      'No running gateway that shares this state has counted anything yet. They report every few seconds.',
    ]
  return alignColumns([
    [
      'server',
      'tool',
      'hits',
      'of them stale',
      'misses',
      'hit rate',
      'stored',
      'coalesced',
      'bytes saved',
      'upstream saved',
    ],
    ...rows.map(row => [
      row.server,
      row.tool,
      String(row.hits),
      String(row.staleHits),
      String(row.misses),
      row.hits + row.misses > 0 ? `${Math.round((100 * row.hits) / (row.hits + row.misses))} %` : '-',
      String(row.stores),
      String(row.coalesced),
      String(row.bytesSaved),
      `${(row.upstreamMsSaved / 1000).toFixed(1)} s`,
    ]),
  ])
}

/** Where results are stored. */
function placeTable({ memory, stored }: CacheReports, maxStoredBytes: number): string[] {
  const { dropped, unstamped, refused } = stored
  return alignColumns([
    [
      'place',
      'results',
      'bytes',
      'at most',
      'hits',
      'misses',
      'unanswered',
      'outdated',
      'damaged',
      'written',
      'not written',
    ],
    ['memory', String(memory.entries), String(memory.bytes)],
    [
      'store',
      String(stored.entries),
      String(stored.bytes),
      String(maxStoredBytes),
      String(stored.hits),
      String(stored.misses),
      String(stored.unanswered),
      String(stored.outdated),
      String(stored.damaged),
      String(stored.written),
      String(dropped + unstamped + refused),
    ],
  ])
}
