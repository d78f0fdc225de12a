import { loadConfigFile } from '../config/load/load.ts'
import type { CommonOptions } from './common-options.ts'
import { storedUsage, type StoredUsage } from '../quota/stored.ts'
import { assertClient } from './clients.ts'
import { alignColumns } from './table.ts'
import { refuseUnshared, withStore } from './with-store.ts'

export interface UsageOptions extends CommonOptions {
  readonly json?: boolean
}

/**
 * `usage`: shows the used and remaining amounts of all limits, or of those of one client, from the state store. Starts
 * nothing.
 * @throws GatewayError `config` when there is no such client, or the state is only in the memory of a running gateway
 */
export async function runUsage(
  client: string | undefined,
  { config: file, log, json }: UsageOptions,
): Promise<void> {
  const config = await loadConfigFile({ file })
  if (client !== undefined) assertClient(client, config)
  const rows = await withStore(
    config,
    store => storedUsage(config, store, client),
    refuseUnshared(
      'only the running gateway knows what is used. Its clients read it in the resource manifold://usage.',
    ),
    log,
  )
  process.stdout.write(json ? `${JSON.stringify(rows, undefined, 2)}\n` : `${table(rows).join('\n')}\n`)
}

function table(rows: readonly StoredUsage[]): string[] {
  if (rows.length === 0) return ['Nothing is limited.']
  return alignColumns([
    ['of', 'limit', 'used', 'left', 'at most', 'resets at'],
    ...rows.map(({ of, name, used, limit, left, resetsAt }) => [
      of,
      name,
      String(used),
      left === undefined ? '-' : String(left),
      limit === undefined ? '-' : String(limit),
      resetsAt ?? '-',
    ]),
  ])
}
