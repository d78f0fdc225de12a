import { request } from 'node:http'
import { describeError, GatewayError } from '../core/errors.ts'
import { jsonObjectIn } from '../core/json-object.ts'
import { assertServer, loadForCommand } from './reach.ts'
import { answeringGateways, noneRuns, type AnsweringGateway } from './running-gateways.ts'
import { say } from './say.ts'
import { oneLine, painted, type Colour } from './terminal.ts'
import type { CommonOptions } from './common-options.ts'

export interface LogsOptions extends CommonOptions {
  readonly follow?: boolean
  readonly json?: boolean
}

/** No record is as long. */
const MAX_LINE_CHARS = 1024 * 1024
const COLOURS: Readonly<Record<string, Colour>> = { error: 'red', warn: 'yellow', debug: 'dim' }

/**
 * `logs`: the last records of the running gateways of this configuration, with what the programs of servers print to
 * stderr; with `follow`, also those that come, until Ctrl+C or until the gateways end.
 * @throws GatewayError `config` when there is no such server, or no gateway runs
 */
export async function runLogs(server: string | undefined, options: LogsOptions): Promise<void> {
  const { config } = await loadForCommand(options)
  if (server !== undefined) assertServer(server, config)
  const gateways = await answeringGateways(config.file ?? '')
  if (gateways.length === 0) throw noneRuns(config.file ?? '', 'Only a running gateway has a log.')
  const isSeveral = gateways.length > 1
  const show = ({ pid }: AnsweringGateway, line: string): boolean =>
    process.stdout.write(`${options.json ? line : recordText(line, isSeveral ? `[${pid}] ` : '')}\n`)
  let shown = 0
  await Promise.all(
    gateways.map(gateway =>
      readLog(gateway, server, options.follow ?? false, line => {
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

/**
 * Reads the log of a gateway to its end. One that is killed ends no other: it is said, and becomes the exit code.
 * @param onLine returns whether the output takes more. Until it does, the gateway keeps what comes, within its bound
 */
async function readLog(
  { socket, pid }: AnsweringGateway,
  server: string | undefined,
  follow: boolean,
  onLine: (line: string) => boolean,
): Promise<void> {
  const query = new URLSearchParams({ follow: String(follow), ...(server !== undefined && { server }) })
  const path = `/admin/logs?${query.toString()}`
  await new Promise<void>((resolve, reject) => {
    const cut = (error: Error): void => {
      say(`The log of the gateway ${pid} has ended early: ${describeError(error)}.`)
      process.exitCode = 1
      resolve()
    }
    const asked = request(
      { socketPath: socket, path, headers: { host: 'localhost' }, agent: false },
      response => {
        let rest = ''
        response.setEncoding('utf8')
        response.on('data', (chunk: string) => {
          const lines = (rest + chunk).split('\n')
          rest = lines.pop() ?? ''
          if (rest.length > MAX_LINE_CHARS) asked.destroy(new Error('a record is too long'))
          if (response.statusCode !== 200) return
          // All are written, since they are here.
          if (lines.map(onLine).every(isRoom => isRoom)) return
          response.pause()
          process.stdout.once('drain', () => response.resume())
        })
        response.on('error', cut)
        response.on('end', () => (response.statusCode === 200 ? resolve() : reject(refusalIn(rest))))
      },
    )
    asked.on('error', cut)
    asked.end()
  })
}

function refusalIn(text: string): Error {
  const { detail } = jsonObjectIn(text) ?? {}
  const why = typeof detail === 'string' ? detail : 'It is of an earlier version. Restart it.'
  return new GatewayError('config', `The gateway does not show its log: ${why}`)
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
