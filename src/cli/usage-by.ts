import { CLOCK } from '../core/clock.ts'
import { calendarDays } from '../core/calendar-day.ts'
import { GatewayError } from '../core/errors.ts'
import { isJsonObject } from '../core/json-object.ts'
import { askGateway, detailOf } from '../admin/client.ts'
import { loadConfigFile } from '../config/load/load.ts'
import type { Config } from '../config/types.ts'
import {
  isUsageDimension,
  summedLines,
  USAGE_DIMENSIONS,
  USAGE_MEASURES,
  usageLines,
  type UsageDimension,
  type UsageLine,
  type UsageQuery,
} from '../observe/usage/usage-report.ts'
import { readUsage } from '../observe/usage/usage-store.ts'
import type { CommonOptions } from './common-options.ts'
import { answeringGateways } from './running-gateways.ts'
import { tableLines } from './table.ts'
import { refuseUnshared, withStore } from './with-store.ts'

export interface UsageByOptions extends CommonOptions {
  readonly by: string
  readonly since?: string
  readonly until?: string
  readonly server?: string
  readonly tool?: string
  readonly json?: boolean
  readonly csv?: boolean
}

const ASK_TIMEOUT_MS = 15_000
const DAY_MS = 86_400_000
const ALWAYS = { since: '0000-01-01', until: '9999-12-31' }

/**
 * `usage --by`: what clients have used, summed by day, client, server or tool. Asks the running gateways, which write
 * what they have counted first; without one it reads the state store.
 * @throws GatewayError `config` for an option that cannot be read, and where only a gateway that has ended knew it
 */
export async function runUsageBy(client: string | undefined, options: UsageByOptions): Promise<void> {
  const { config: file, log, json, csv } = options
  const config = await loadConfigFile({ file })
  const query: UsageQuery = {
    by: dimensionsIn(options.by),
    client,
    server: options.server,
    tool: options.tool,
  }
  const days = daysIn(options, config)
  const asked = config.file === undefined ? [] : await linesOfGateways(config.file, query, days)
  const lines =
    asked.length > 0
      ? summed(config, asked)
      : await withStore(
          config,
          async store => usageLines(await readUsage(store, days.since, days.until), query),
          refuseUnshared('what was used is known while the gateway runs, and none does.'),
          log,
        )
  if (json) process.stdout.write(`${JSON.stringify({ ...days, lines }, undefined, 2)}\n`)
  else if (csv) process.stdout.write(`${csvOf(query.by, lines).join('\r\n')}\r\n`)
  else process.stdout.write(`${textOf(query.by, lines, days).join('\n')}\n`)
}

/** @throws GatewayError `config` */
function dimensionsIn(text: string): UsageDimension[] {
  const by = text.split(',').map(each => each.trim())
  if (by.every(isUsageDimension)) return by
  throw new GatewayError(
    'config',
    `--by takes one or more of ${USAGE_DIMENSIONS.join(', ')}, with commas between, and not ${JSON.stringify(text)}.`,
  )
}

interface Days {
  readonly since: string
  readonly until: string
}

/** @throws GatewayError `config` */
function daysIn({ since, until }: UsageByOptions, { gateway: { timeZone } }: Config): Days {
  const dayOf = calendarDays(timeZone)
  const dayIn = (text: string | undefined, option: string, otherwise: string): string => {
    if (text === undefined) return otherwise
    if (/^\d{4}-\d\d-\d\d$/.test(text)) return text
    const [, days] = /^(\d{1,4})d$/.exec(text) ?? []
    // The day itself counts, so that "1d" is today.
    if (days !== undefined && days !== '0') return dayOf(CLOCK.wall() - (Number(days) - 1) * DAY_MS).day
    throw new GatewayError('config', `${option} is a number of days such as 7d, or a day such as 2026-11-28.`)
  }
  return {
    since: dayIn(since, '--since', ALWAYS.since),
    until: dayIn(until, '--until', ALWAYS.until),
  }
}

/** What each running gateway says. */
async function linesOfGateways(file: string, query: UsageQuery, days: Days): Promise<UsageLine[][]> {
  const search = new URLSearchParams({ ...days, by: query.by.join(',') })
  for (const name of ['client', 'server', 'tool'] as const) {
    const only = query[name]
    if (only !== undefined) search.set(name, only)
  }
  const lines: UsageLine[][] = []
  for (const { socket, pid } of await answeringGateways(file)) {
    const path = `/admin/usage?${search.toString()}`
    const { status, body } = await askGateway(socket, { method: 'GET', path, timeoutMs: ASK_TIMEOUT_MS })
    if (status !== 200 || !isJsonObject(body))
      throw new GatewayError('config', `The gateway ${pid} does not say what was used: ${detailOf(body)}`)
    lines.push(body['lines'] as UsageLine[])
  }
  return lines
}

/** Gateways that share their state all say the same, and the last one asked knows what the others have written. */
function summed({ gateway }: Config, lines: readonly UsageLine[][]): UsageLine[] {
  return gateway.state === 'memory' ? summedLines(lines.flat()) : (lines.at(-1) ?? [])
}

function csvOf(by: readonly UsageDimension[], lines: readonly UsageLine[]): string[] {
  return [
    [...by, ...USAGE_MEASURES].join(','),
    ...lines.map(line =>
      [
        ...by.map(each => csvCell(line.of[each] ?? '')),
        ...USAGE_MEASURES.map(measure => String(Math.round(line[measure] * 1000) / 1000)),
      ].join(','),
    ),
  ]
}

/** A spreadsheet would compute a text that begins like a formula. */
function csvCell(text: string): string {
  const plain = /^[=+\-@\t\r]/.test(text) ? `'${text}` : text
  return /[",\r\n]/.test(plain) ? `"${plain.replace(/"/g, '""')}"` : plain
}

function textOf(by: readonly UsageDimension[], lines: readonly UsageLine[], days: Days): string[] {
  if (lines.length === 0)
    return [
      `Nothing was used${days.since === ALWAYS.since ? '' : ` since ${days.since}`}. Calls are counted while a gateway runs.`,
    ]
  const shown = (line: Omit<UsageLine, 'of'>): string[] => [
    String(line.calls),
    String(line.errors),
    String(line.hits),
    `${(line.upstreamMs / 1000).toFixed(1)} s`,
    sizeText(line.bytesIn),
    sizeText(line.bytesOut),
    String(line.tokensOut),
    String(Math.round(line.cost * 1000) / 1000),
  ]
  const total = summedLines(lines.map(line => ({ ...line, of: {} })))[0]
  return tableLines([
    [...by, 'calls', 'errors', 'from cache', 'server time', 'in', 'out', '~tokens', 'cost'],
    ...lines.map(line => [...by.map(each => line.of[each] || '-'), ...shown(line)]),
    ...(total && lines.length > 1
      ? [[...by.map((_, at) => (at === 0 ? 'total' : '')), ...shown(total)]]
      : []),
  ])
}

function sizeText(bytes: number): string {
  if (bytes < 1024) return `${bytes} B`
  if (bytes < 1024 ** 2) return `${(bytes / 1024).toFixed(1)} KiB`
  return `${(bytes / 1024 ** 2).toFixed(1)} MiB`
}
