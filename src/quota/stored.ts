import type { Config, Period } from '../config/types.ts'
import type { Store } from '../state/store.ts'
import { QUOTA_KEY_PREFIX, limitsOf, parseKey, SPANS, type Limit } from './limits.ts'
import { calendar } from './period.ts'

/** More than any real use, and exact to three decimals: the use is this minus the rest. */
const PLENTY = 2 ** 42

/** The use of one limit by all processes together, as stored. */
export interface StoredUsage {
  /** `client:ci`, `server:github`, `user:<issuer> <subject>` … */
  readonly of: string
  /** `calls/day`, followed by the pattern of a limited part. */
  readonly name: string
  /** Includes what running processes hold in advance. */
  readonly used: number
  /** `undefined`: the configuration has no such limit, or none for a known name. */
  readonly limit: number | undefined
  readonly left: number | undefined
  /** ISO 8601. */
  readonly resetsAt: string | undefined
}

/**
 * The use of every limit: of configured clients, servers and tools, and of every other identity with some use.
 * `client`: only that client and the identities counted by its limits, as far as can be determined.
 */
export async function storedUsage(config: Config, store: Store, client?: string): Promise<StoredUsage[]> {
  const limits = new Map(configured(config).map(limit => [limit.key, limit]))
  const keys = new Set([...limits.keys(), ...(await store.keys(QUOTA_KEY_PREFIX))])
  const rows: StoredUsage[] = []
  for (const key of keys) {
    const parsed = parseKey(key)
    if (!parsed) continue
    const limit = limits.get(key)
    const of = limit?.owner.id ?? parsed.id
    if (client !== undefined && of !== `client:${client}`) continue
    const state = await stateOf(config, store, key, parsed.name)
    if (!state) continue
    const { used, resetsAt } = state
    const left = limit && Math.max(0, Math.round((limit.limit - used) * 1000) / 1000)
    rows.push({ of, name: limit?.name ?? parsed.name, used, limit: limit?.limit, left, resetsAt })
  }
  return rows
}

function configured({ clients, servers }: Config): Limit[] {
  return [
    ...clients.flatMap(({ name, quota, limits }) => {
      const owner = { id: `client:${name}`, label: name }
      return [
        ...limitsOf(owner, quota),
        ...limits.flatMap(({ match, quota: ofPart }) => limitsOf({ ...owner, part: match }, ofPart)),
      ]
    }),
    ...servers.flatMap(({ name, quota, tools }) => [
      ...limitsOf({ id: `server:${name}`, label: name }, quota),
      ...tools.flatMap(tool => limitsOf({ id: `tool:${name}/${tool.glob}`, label: name }, tool.quota)),
    ]),
  ]
}

async function stateOf(
  config: Config,
  store: Store,
  key: string,
  name: string,
): Promise<{ used: number; resetsAt: string | undefined } | undefined> {
  const what = name.split(' ')[0] as string
  if (what === 'concurrency') {
    const { left } = await store.hold({ key, holder: '', want: 0, limit: PLENTY, ttlMs: 1 })
    return { used: PLENTY - left, resetsAt: undefined }
  }
  const [measure, span = ''] = what.split('/')
  const asked = { key, limit: PLENTY, want: 0, atLeast: 0, spend: 0 }
  if (measure === 'rate') {
    const slidingMs = SPANS[span]
    if (slidingMs === undefined) return undefined
    const { left } = await store.take({ ...asked, window: { slidingMs } })
    return { used: PLENTY - left, resetsAt: undefined }
  }
  const until = calendar(span as Period, config.gateway.timeZone)(Date.now())
  const { left } = await store.take({ ...asked, window: { until } })
  return { used: PLENTY - left, resetsAt: new Date(until).toISOString() }
}
