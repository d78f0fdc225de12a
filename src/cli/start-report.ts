import { within } from '../core/timeout.ts'
import type { RunningGateway } from '../gateway/gateway.ts'
import type { ServerStatus } from '../gateway/status.ts'
import { alignColumns } from './columns.ts'

/** Maximum wait of the report for servers; slower ones are reported on a line of their own. */
const REPORT_AFTER_MS = 3000

/**
 * Starts the servers that were never listed and prints the state of each: all in one report after at most three
 * seconds, then each slower server on its own line when it is ready or has failed. `report` provides the text around
 * the rows.
 */
export async function reportStart(
  gateway: Pick<RunningGateway, 'warmUp' | 'status' | 'statusOf'>,
  report: (rows: readonly string[]) => readonly string[],
  print: (lines: readonly string[]) => void,
): Promise<void> {
  const settled = new Set<string>()
  let reported = false
  const warmUp = gateway.warmUp(server => {
    settled.add(server)
    const status = reported ? gateway.statusOf(server) : undefined
    // Nothing is reported while the gateway closes.
    if (status && status.state !== 'closed') print(alignColumns([row(status, true)]))
  })
  await within(warmUp, REPORT_AFTER_MS)
  print(report(alignColumns(gateway.status().map(status => row(status, settled.has(status.name))))))
  reported = true
  await warmUp
}

function row(status: ServerStatus, settled: boolean): string[] {
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
  return [name, transport, era ?? '-', settled ? state : 'starting', settled ? (failure ?? counts) : waiting]
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
