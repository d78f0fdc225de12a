import { GatewayError } from '../core/errors.ts'
import { isJsonObject } from '../core/json-object.ts'
import { askGateway, detailOf } from '../admin/client.ts'
import { longestStage, type CallRecord, type CallStage } from '../observe/activity/call-record.ts'
import type { CommonOptions } from './common-options.ts'
import { assertServer, loadForCommand } from './reach.ts'
import { answeringGateways, noneRuns, type AnsweringGateway } from './running-gateways.ts'
import { tableLines, type Cell } from './table.ts'

export interface CallsOptions extends CommonOptions {
  readonly client?: string
  readonly server?: string
  readonly tool?: string
  readonly failed?: boolean
  readonly slow?: boolean
  readonly limit?: string
  readonly json?: boolean
}

const ASK_TIMEOUT_MS = 5000
const DEFAULT_LIMIT = 20

/**
 * `calls`: the last calls of the running gateways of this configuration, or the slowest of the last hour, each with
 * where its time went.
 * @throws GatewayError `config` when there is no such server, or no gateway runs
 */
export async function runCalls(options: CallsOptions): Promise<void> {
  const gateways = await gatewaysFor(options)
  const limit = limitIn(options.limit)
  const query = queryOf(options)
  query.set('slow', String(options.slow ?? false))
  query.set('limit', String(limit))
  const all: CallRecord[] = []
  for (const { socket, pid } of gateways) {
    const path = `/admin/calls?${query.toString()}`
    const { status, body } = await askGateway(socket, { method: 'GET', path, timeoutMs: ASK_TIMEOUT_MS })
    if (status !== 200 || !isJsonObject(body))
      throw new GatewayError('config', `The gateway ${pid} does not show its calls: ${detailOf(body)}`)
    all.push(...(body['calls'] as CallRecord[]))
  }
  const order = options.slow
    ? (a: CallRecord, b: CallRecord) => b.durationMs - a.durationMs
    : (a: CallRecord, b: CallRecord) => b.time - a.time
  const calls = all.sort(order).slice(0, limit)
  if (options.json) process.stdout.write(`${JSON.stringify(calls, undefined, 2)}\n`)
  else if (calls.length === 0)
    process.stdout.write('There were no such calls since the start of the gateway.\n')
  else process.stdout.write(`${tableLines([HEAD, ...calls.map(rowOf)]).join('\n')}\n`)
}

/** The running gateways of the configuration. @throws GatewayError `config` */
export async function gatewaysFor(options: CallsOptions): Promise<readonly AnsweringGateway[]> {
  const loaded = await loadForCommand(options)
  const { config } = loaded
  if (options.server !== undefined) assertServer(options.server, loaded)
  const gateways = await answeringGateways(config.file ?? '')
  if (gateways.length > 0) return gateways
  throw noneRuns(
    config.file ?? '',
    'Only a running gateway knows its calls. The audit log has those of earlier runs.',
  )
}

/** What the admin API is asked for. */
export function queryOf({ client, server, tool, failed }: CallsOptions): URLSearchParams {
  const query = new URLSearchParams()
  for (const [name, value] of Object.entries({ client, server, tool }))
    if (value !== undefined) query.set(name, value)
  if (failed) query.set('failed', 'true')
  return query
}

/** @throws GatewayError `config` */
function limitIn(text: string | undefined): number {
  const limit = Number(text ?? DEFAULT_LIMIT)
  if (Number.isInteger(limit) && limit >= 1 && limit <= 1000) return limit
  throw new GatewayError(
    'config',
    `--limit is a whole number from 1 to 1000, and not ${JSON.stringify(text)}.`,
  )
}

const HEAD = ['time', 'client', 'call', 'result', 'took', 'most of it']

/** What to do about a stage that is long. */
const ADVICE: Readonly<Record<CallStage, string>> = {
  queue: 'waited for its turn: raise "maxConcurrentCalls", or add replicas',
  store: 'waited for the state store',
  link: 'waited for the server to start or to connect',
  upstream: 'at the server',
  client: 'waited for its client, which was asked',
  gateway: 'in the gateway: it has too little CPU',
}

/** A shorter time needs no advice. */
const LONG_MS = 100

/** The cells of a call, as a table or a line shows them. */
export function rowOf(call: CallRecord): Cell[] {
  const { time, client, method, server, name, result, code, durationMs, cache } = call
  const what = name === '' ? method : server === '' ? `${method} ${name}` : `${server}.${name}`
  const failed = result !== 'ok'
  const outcome = failed ? (code ?? result) : (cache ?? 'ok')
  return [
    new Date(time).toTimeString().slice(0, 8),
    client,
    what,
    failed ? { text: outcome, colour: 'red' } : outcome,
    `${durationMs.toFixed(durationMs < 10 ? 1 : 0)} ms`,
    stageText(call),
  ]
}

function stageText(call: CallRecord): string {
  const stage = longestStage(call)
  const ms = call.stages[stage]
  if (ms < LONG_MS) return stage
  return `${stage} ${ms.toFixed(0)} ms: ${ADVICE[stage]}`
}
