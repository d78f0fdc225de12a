import { setTimeout as sleep } from 'node:timers/promises'
import { loadConfigFile } from '../config/load/load.ts'
import { monotonicNow } from '../core/clock.ts'
import { shellWord } from '../core/shell-word.ts'
import { DRAIN_POLL_MS, deleteDrained, includes, readReports, writeDrained } from '../state/drained.ts'
import { notThere } from './not-there.ts'
import { refuseUnshared, withStore } from './with-store.ts'
import type { Config } from '../config/types.ts'
import type { CommonOptions } from './common-options.ts'
import type { Store } from '../state/store.ts'

export interface DrainOptions extends CommonOptions {
  readonly undo?: boolean
  /** Default true. */
  readonly wait?: boolean
  readonly json?: boolean
}

/** What has become of it. */
interface DrainOutcome {
  readonly server: string
  readonly replica: string | undefined
  readonly drained: boolean
  /** Running gateways and calls in flight, when they were last seen; `undefined`: not waited for. */
  readonly gateways?: number
  readonly calls?: number
}

/** Time for writing a report, in addition to the time for detecting the drain. */
const SLACK_MS = 1000
const LOOK_MS = 300

/**
 * `drain`: takes a replica, or a whole server, out of use in all gateways that share the state, and waits until nothing
 * is in flight there; with `undo`, it is used again. Exit code 1 when calls are still in flight after
 * `gateway.drainTimeout`.
 * @throws GatewayError `config` when there is no such server or replica, or the state is only in the memory of a
 * running gateway
 */
export async function runDrain(
  server: string,
  replica: string | undefined,
  { config: file, log, undo = false, wait = true, json }: DrainOptions,
): Promise<void> {
  const config = await loadConfigFile({ file })
  check(config, server, replica)
  const what = replica === undefined ? `server "${server}"` : `replica "${replica}" of server "${server}"`
  const change = async (store: Store): Promise<DrainOutcome> => {
    const done = { server, replica, drained: !undo }
    if (undo) {
      const undone = await deleteDrained(store, server, replica)
      say(
        undone.length === 0
          ? `Nothing of ${what} was drained.`
          : `${capital(what)} takes calls again; running gateways read that within a second.`,
      )
      return done
    }
    const version = await writeDrained(store, server, replica ?? '')
    const until = `mcp-manifold drain ${[server, replica]
      .filter(word => word !== undefined)
      .map(word => shellWord(word))
      .join(' ')} --undo`
    say(`${capital(what)} is drained: it takes no new calls until: ${until}`)
    return wait ? { ...done, ...(await waitForCalls(store, config, { server, replica, version })) } : done
  }
  const done = await withStore(
    config,
    change,
    refuseUnshared('only a change of its file reaches a running gateway.'),
    log,
  )
  if (json) process.stdout.write(`${JSON.stringify(done)}\n`)
}

interface Drain {
  readonly server: string
  readonly replica: string | undefined
  readonly version: string
}

async function waitForCalls(
  store: Store,
  config: Config,
  drain: Drain,
): Promise<Pick<DrainOutcome, 'gateways' | 'calls'>> {
  const { drainTimeoutMs } = config.gateway
  await sleep(DRAIN_POLL_MS + SLACK_MS)
  const until = monotonicNow() + drainTimeoutMs
  let said: string | undefined
  let seen: { gateways: number; calls: number }
  for (;;) {
    seen = await inFlight(store, drain)
    const { gateways, calls } = seen
    if (gateways === 0) {
      say('No running gateway shares this state; a gateway that starts later reads it.')
      return seen
    }
    const where = `in ${gateways} running ${gateways === 1 ? 'gateway' : 'gateways'}`
    if (calls === 0) {
      say(`Nothing is in flight any more ${where}.`)
      return seen
    }
    if (monotonicNow() >= until) break
    const now = `${calls} ${calls === 1 ? 'call is' : 'calls are'} in flight ${where}; waiting.`
    if (now !== said) say((said = now))
    await sleep(LOOK_MS)
  }
  process.exitCode = 1
  say(
    `Calls are still in flight after ${drainTimeoutMs / 1000} s ("gateway.drainTimeout"); gateways end them.`,
  )
  return seen
}

async function inFlight(
  store: Store,
  { server, replica, version }: Drain,
): Promise<{ gateways: number; calls: number }> {
  let calls = 0
  let gateways = 0
  for (const report of await readReports(store)) {
    gateways++
    // Another drain may have begun in the meantime; a gateway that has seen it has also seen this one.
    if (!includes(report.version, version)) calls++
    for (const [name, count] of Object.entries(report.inFlight[server] ?? {}))
      if (replica === undefined || name === replica || name.startsWith(`${replica}/`)) calls += count
  }
  return { gateways, calls }
}

function check({ servers, file }: Config, server: string, replica: string | undefined): void {
  const found = servers.find(({ name }) => name === server)
  const where = file ?? 'the configuration'
  if (!found)
    throw notThere(
      quoted => `There is no server ${quoted} in ${where}`,
      server,
      servers.map(({ name }) => name),
    )
  const names = found.replicas.map(({ name }) => name)
  // The name of a replica from DNS begins with the name of its entry.
  if (replica === undefined || names.some(name => replica === name || replica.startsWith(`${name}/`))) return
  throw notThere(quoted => `Server "${server}" has no replica ${quoted} in ${where}`, replica, names)
}

function capital(text: string): string {
  return text.slice(0, 1).toUpperCase() + text.slice(1)
}

function say(line: string): void {
  process.stderr.write(`${line}\n`)
}
