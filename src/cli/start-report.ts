import { within } from '../core/timeout.ts'
import type { RunningGateway } from '../gateway/gateway.ts'
import type { ServerStatus } from '../gateway/status.ts'
import type { JsonObject } from '../core/exchange.ts'
import { alignColumns } from './table.ts'

/** Maximum wait of the report for servers; slower ones are reported on a line of their own. */
const REPORT_AFTER_MS = 3000

/** A server after the start. */
export interface StartedServer {
  readonly status: ServerStatus
  /** Whether it is listed, or has failed. */
  readonly isSettled: boolean
}

/** What becomes of a start. */
export interface StartReport {
  /** Of all servers, once, after at most three seconds. */
  all(servers: readonly StartedServer[]): void
  /** Of each slower one, when it is ready or has failed. */
  late(server: StartedServer): void
}

/** Starts the servers that were never listed and reports the state of each. */
export async function reportStart(
  gateway: Pick<RunningGateway, 'warmUp' | 'status' | 'statusOf'>,
  report: StartReport,
): Promise<void> {
  const settled = new Set<string>()
  let reported = false
  const warmUp = gateway.warmUp(server => {
    settled.add(server)
    const status = reported ? gateway.statusOf(server) : undefined
    // Nothing is reported while the gateway closes.
    if (status && status.state !== 'closed') report.late({ status, isSettled: true })
  })
  await within(warmUp, REPORT_AFTER_MS)
  report.all(gateway.status().map(status => ({ status, isSettled: settled.has(status.name) })))
  reported = true
  await warmUp
}

/** Lines for the person that has started the gateway. */
export function startLines(servers: readonly StartedServer[]): string[] {
  return alignColumns(servers.map(rowOf))
}

/** The same for programs. */
export function startJson({ status, isSettled }: StartedServer): JsonObject {
  const { name, transport, era, state, errorInFull: error, nextTry, tools, resources, prompts } = status
  return {
    name,
    transport,
    era,
    state: isSettled ? state : 'starting',
    tools,
    resources,
    prompts,
    ...(error !== undefined && { error, nextTry }),
  }
}

function rowOf({ status, isSettled }: StartedServer): string[] {
  const {
    name,
    transport,
    era,
    state,
    errorInFull: error,
    startTimeoutMs,
    tools,
    resources,
    prompts,
  } = status
  const counts = `${count(tools, 'tool')}, ${count(resources, 'resource')}, ${count(prompts, 'prompt')}`
  const waiting = `still starting${error === undefined ? `; a line follows when it is listed or has failed ("startTimeout" is ${startTimeoutMs / 1000} s)` : `. ${error}`}`
  const failure = error === undefined ? undefined : [error, ...next(status)].join(' ')
  return [
    name,
    transport,
    era ?? '-',
    isSettled ? state : 'starting',
    isSettled ? (failure ?? counts) : waiting,
  ]
}

/** When the next attempt to start a failed server takes place. */
function next({ nextTry }: ServerStatus): string[] {
  if (nextTry === undefined) return []
  if (nextTry === 'now') return ['It is being tried again now.']
  if (nextTry === 'call') return ['The next call tries again.']
  return [`The next try is in ${Math.max(1, Math.ceil((nextTry - Date.now()) / 1000))} s.`]
}

function count(amount: number, thing: string): string {
  return `${amount} ${thing}${amount === 1 ? '' : 's'}`
}
