import { jsonObjectIn } from '../core/json-object.ts'
import type { CallRecord } from '../observe/activity/call-record.ts'
import { gatewaysFor, queryOf, rowOf, type CallsOptions } from './calls.ts'
import { readLines } from './read-lines.ts'
import { tableLines } from './table.ts'

/**
 * `tail`: the calls of the running gateways of this configuration as they end, until Ctrl+C or until the gateways end.
 * @throws GatewayError `config` when there is no such server, or no gateway runs
 */
export async function runTail(options: CallsOptions): Promise<void> {
  const gateways = await gatewaysFor(options)
  const query = queryOf(options)
  query.set('follow', 'true')
  const path = `/admin/calls?${query.toString()}`
  const show = (line: string): boolean => process.stdout.write(`${options.json ? line : lineOf(line)}\n`)
  await Promise.all(gateways.map(gateway => readLines(gateway, { path, what: 'list of calls' }, show)))
}

function lineOf(line: string): string {
  const call = jsonObjectIn(line) as unknown as CallRecord | undefined
  return call ? (tableLines([rowOf(call)])[0] ?? '') : ''
}
