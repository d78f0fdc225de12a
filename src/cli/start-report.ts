import { within } from '../core/timeout.ts'
import type { Gateway } from '../gateway/gateway.ts'
import type { ServerStatus } from '../gateway/status.ts'
import { alignColumns } from './columns.ts'

/** The report does not wait longer for servers; a line follows for each that takes longer. */
const REPORT_AFTER_MS = 3000

/**
 * Starts what the gateway has never listed and prints how each server stands: all of them in one report after three seconds at
 * most, then each that was still starting in a line of its own when it is up or has failed. `report` says what stands around the rows.
 */
export async function reportStart(
  gateway: Pick<Gateway, 'warmUp' | 'status'>,
  report: (rows: readonly string[]) => readonly string[],
  print: (lines: readonly string[]) => void,
): Promise<void> {
  const settled = new Set<string>()
  let reported = false
  const warmUp = gateway.warmUp(server => {
    settled.add(server)
    const status = reported ? gateway.status().find(({ name }) => name === server) : undefined
    // At the end of the gateway nothing is to be told.
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

/** When one that has failed is tried again. */
function next({ nextTry }: ServerStatus): string[] {
  if (nextTry === undefined) return []
  if (nextTry === 'now') return ['It is being tried again now.']
  if (nextTry === 'call') return ['The next call tries again.']
  return [`The next try is in ${Math.max(1, Math.ceil((nextTry - Date.now()) / 1000))} s.`]
}

function count(amount: number, thing: string): string {
  return `${amount} ${thing}${amount === 1 ? '' : 's'}`
}
