import { estimatedTokens } from '../../core/estimated-tokens.ts'
import { addUsage, noUsage, type UsageCounts, type UsageKey } from './usage-counts.ts'
import type { DayUsage } from './usage-store.ts'

/** What usage is shown by. */
export const USAGE_DIMENSIONS = ['day', 'client', 'server', 'tool'] as const
export type UsageDimension = (typeof USAGE_DIMENSIONS)[number]

/** What a line says of it, in this order. */
export const USAGE_MEASURES = [
  'calls',
  'errors',
  'hits',
  'upstreamMs',
  'bytesIn',
  'bytesOut',
  'tokensOut',
  'cost',
] as const satisfies readonly (keyof UsageLine)[]

export function isUsageDimension(text: string): text is UsageDimension {
  return (USAGE_DIMENSIONS as readonly string[]).includes(text)
}

/** One line of a report: what it is of, and what that has used. */
export interface UsageLine extends Readonly<UsageCounts> {
  readonly of: Readonly<Partial<Record<UsageDimension, string>>>
  /** Estimate of what the results cost a model. */
  readonly tokensOut: number
}

export interface UsageQuery {
  readonly by: readonly UsageDimension[]
  /** Only what is of these. */
  readonly client?: string | undefined
  readonly server?: string | undefined
  readonly tool?: string | undefined
}

/** Sums usage by what is asked for: by day, then the largest first. */
export function usageLines(days: readonly DayUsage[], query: UsageQuery): UsageLine[] {
  const lines = days.flatMap(({ day, rows }) =>
    rows
      .filter(row => isAsked(row, query))
      .map(({ client, server, tool, ...counts }) => {
        const values = { day, client, server, tool }
        return { ...counts, of: Object.fromEntries(query.by.map(by => [by, values[by]])) }
      }),
  )
  return summedLines(lines)
}

/** Makes one line of those of the same. */
export function summedLines(lines: readonly (UsageCounts & Pick<UsageLine, 'of'>)[]): UsageLine[] {
  const sums = new Map<string, { readonly of: UsageLine['of']; readonly counts: UsageCounts }>()
  for (const line of lines) {
    const id = JSON.stringify(line.of)
    let sum = sums.get(id)
    if (!sum) sums.set(id, (sum = { of: line.of, counts: noUsage({ client: '', server: '', tool: '' }) }))
    addUsage(sum.counts, line)
  }
  return [...sums.values()]
    .sort((a, b) => (a.of.day ?? '').localeCompare(b.of.day ?? '') || b.counts.calls - a.counts.calls)
    .map(({ of, counts: { calls, errors, hits, upstreamMs, bytesIn, bytesOut, cost } }) => ({
      of,
      calls,
      errors,
      hits,
      upstreamMs,
      bytesIn,
      bytesOut,
      tokensOut: estimatedTokens(bytesOut),
      cost,
    }))
}

function isAsked(row: UsageKey, { client, server, tool }: UsageQuery): boolean {
  return (
    (client === undefined || row.client === client) &&
    (server === undefined || row.server === server) &&
    (tool === undefined || row.tool === tool)
  )
}
