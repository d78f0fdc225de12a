import { keptLists } from './kept-lists.ts'
import { loadForCommand } from './reach.ts'
import { runningGateways, type AnsweringGateway, type ShownServer } from './running-gateways.ts'
import { agoText, nextStep, stateCell } from './server-state.ts'
import { tableLines, type Cell } from './table.ts'
import { oneLine } from './terminal.ts'
import { typed } from './this-program.ts'
import { whileWaiting } from './waiting.ts'
import type { CommonOptions } from './common-options.ts'
import type { Loaded } from '../config/load/load.ts'

export interface StatusOptions extends CommonOptions {
  readonly json?: boolean
}

/** Exit codes: a gateway is not ready; none runs. */
const NOT_READY = 1
const NONE_RUNS = 3

/**
 * `status`: how each server stands in the running gateways of this configuration. Without one, what the configuration
 * and the kept lists say. Starts nothing.
 * @throws GatewayError `config`
 */
export async function runStatus(options: StatusOptions): Promise<void> {
  const loaded = await loadForCommand(options)
  const file = loaded.config.file ?? ''
  const running = await whileWaiting('Asking the running gateways', runningGateways(file))
  const { answering: gateways, silent } = running
  const isNone = gateways.length + silent.length === 0
  if (isNone) process.exitCode = NONE_RUNS
  else if (silent.length > 0 || gateways.some(({ status }) => !status.ready)) process.exitCode = NOT_READY
  if (options.json) {
    const shown = gateways.map(({ status }) => status)
    const servers = isNone ? await atRest(loaded) : undefined
    process.stdout.write(`${JSON.stringify({ file, gateways: shown, silent, servers }, undefined, 2)}\n`)
    return
  }
  const lines = isNone
    ? await restLines(loaded, file)
    : [...gateways.flatMap(gatewayLines), ...silent.map(pid => `Gateway ${pid} does not answer.`)]
  process.stdout.write(`${lines.join('\n')}\n`)
}

function gatewayLines({ pid, status }: AnsweringGateway): string[] {
  const { version, ready, startedAt, servers } = status
  const state = ready ? 'ready' : 'not ready: a required server is missing'
  const head = `Gateway ${pid}, version ${version}, up for ${agoText(startedAt)}: ${state}`
  if (servers.length === 0) return [head, '  no servers. Add one: mcp-manifold add <name> -- <command>']
  const rows: Cell[][] = servers.flatMap(serverRows)
  const steps = servers.flatMap(server => nextStep(server) ?? []).map(step => `  ${step}`)
  return [
    head,
    ...tableLines([['server', 'state', 'since', 'tools', 'cause'], ...rows]).map(line => `  ${line}`),
    ...(steps.length > 0 ? ['Next:', ...steps] : []),
  ]
}

function serverRows(server: ShownServer): Cell[][] {
  const { name, state, error, replicas, tools, listed } = server
  const [only] = replicas
  const since = replicas.length === 1 && only ? agoText(only.since) : ''
  const cause = [error ?? only?.cause ?? '', ...nextTryText(server)].filter(part => part !== '').join(' ')
  const own: Cell[] = [name, stateCell(state), since, listed ? String(tools) : '?', oneLine(cause)]
  if (replicas.length < 2) return [own]
  return [
    own,
    ...replicas.map((replica): Cell[] => [
      `  ${replica.name}`,
      stateCell(replica.drained ? 'drained' : replica.state),
      agoText(replica.since),
      '',
      oneLine(replica.cause ?? ''),
    ]),
  ]
}

function nextTryText({ nextTry }: ShownServer): string[] {
  if (nextTry === undefined) return []
  if (nextTry === 'now') return ['It is being tried again now.']
  if (nextTry === 'call') return ['The next call tries again.']
  return [`The next try is in ${Math.max(1, Math.ceil((nextTry - Date.now()) / 1000))} s.`]
}

interface AtRest {
  readonly name: string
  readonly transport: string
  /** `undefined`: it was never listed. */
  readonly tools: number | undefined
  /** Unix milliseconds. */
  readonly listedAt: number | undefined
  readonly problem: string | undefined
}

async function atRest({ config }: Loaded): Promise<readonly AtRest[]> {
  const kept = await keptLists(config)
  return config.servers.map(({ name, replicas, problem }) => {
    const lists = kept.get(name)
    const transport = replicas[0]?.endpoint.kind ?? lists?.transport ?? ''
    return { name, transport, tools: lists?.tools.length, listedAt: lists?.fetchedAt, problem }
  })
}

async function restLines(loaded: Loaded, file: string): Promise<string[]> {
  const servers = await atRest(loaded)
  const head = `No gateway of this user runs with ${file}.`
  const start = `Start one with: ${typed('serve', file)}`
  if (servers.length === 0)
    return [head, 'There are no servers in it. Add one: mcp-manifold add <name> -- <command>']
  const rows = servers.map(({ name, transport, tools, listedAt, problem }): Cell[] => [
    name,
    stateCell(problem === undefined ? 'not running' : 'left out'),
    transport,
    tools === undefined ? '?' : String(tools),
    problem === undefined
      ? listedAt === undefined
        ? 'never listed'
        : `listed ${agoText(listedAt)} ago`
      : oneLine(problem),
  ])
  return [
    head,
    ...tableLines([['server', 'state', 'transport', 'tools', ''], ...rows]).map(line => `  ${line}`),
    start,
  ]
}
