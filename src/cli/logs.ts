import { jsonObjectIn } from '../core/json-object.ts'
import { readLines } from './read-lines.ts'
import { assertServer, loadForCommand } from './reach.ts'
import { answeringGateways, noneRuns, type AnsweringGateway } from './running-gateways.ts'
import { oneLine, painted, type Colour } from './terminal.ts'
import type { CommonOptions } from './common-options.ts'

export interface LogsOptions extends CommonOptions {
  readonly follow?: boolean
  readonly json?: boolean
}

const COLOURS: Readonly<Record<string, Colour>> = { error: 'red', warn: 'yellow', debug: 'dim' }

/**
 * `logs`: the last records of the running gateways of this configuration, with what the programs of servers print to
 * stderr; with `follow`, also those that come, until Ctrl+C or until the gateways end.
 * @throws GatewayError `config` when there is no such server, or no gateway runs
 */
export async function runLogs(server: string | undefined, options: LogsOptions): Promise<void> {
  const loaded = await loadForCommand(options)
  const { config } = loaded
  if (server !== undefined) assertServer(server, loaded)
  const gateways = await answeringGateways(config.file ?? '')
  if (gateways.length === 0) throw noneRuns(config.file ?? '', 'Only a running gateway has a log.')
  const isSeveral = gateways.length > 1
  const show = ({ pid }: AnsweringGateway, line: string): boolean =>
    process.stdout.write(`${options.json ? line : recordText(line, isSeveral ? `[${pid}] ` : '')}\n`)
  const query = new URLSearchParams({
    follow: String(options.follow ?? false),
    ...(server !== undefined && { server }),
  })
  let shown = 0
  await Promise.all(
    gateways.map(gateway =>
      readLines(gateway, { path: `/admin/logs?${query.toString()}`, what: 'log' }, line => {
        shown++
        return show(gateway, line)
      }),
    ),
  )
  if (shown === 0 && !options.json)
    process.stderr.write(
      `There are no records${server === undefined ? '' : ` of "${server}"`}. At "log": "${config.gateway.log}", a gateway logs little; "debug" logs each call.\n`,
    )
}

function recordText(line: string, before: string): string {
  const { time, level, message, ...fields } = jsonObjectIn(line) ?? {}
  const clock = typeof time === 'string' ? new Date(time).toTimeString().slice(0, 8) : ''
  const more = Object.entries(fields).map(([name, value]) => `${name}=${fieldText(value)}`)
  const word = String(level).toUpperCase().padEnd(5)
  const text = oneLine([String(message), ...more].join(' '))
  return `${before}${clock} ${painted(word, COLOURS[String(level)])} ${text}`
}

function fieldText(value: unknown): string {
  return typeof value === 'object' ? JSON.stringify(value) : String(value)
}
