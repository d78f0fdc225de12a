import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { startDnsServer } from '../../../helpers/dns-server.ts'
import { openSession } from '../../../helpers/http-client.ts'
import { changeAt, type KeyTest, type KeyTests, type Look } from './change.ts'

/** What a change of each key does that says which replica gets a call, how often, and how its health is judged. */

/** A server that behaves by method: it answers late, never, or with a status. */
interface Replica extends AsyncDisposable {
  readonly url: string
  /** Method → milliseconds before the answer; `Infinity`: there is none. */
  readonly delays: Map<string, number>
  /** Method → status in place of an answer. */
  readonly statuses: Map<string, number>
  /** Number of calls so far. */
  readonly calls: number
}

const INITIALIZED =
  '{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":{"name":"r","version":"1"}}'
const TOOLS = '{"tools":[{"name":"t","inputSchema":{"type":"object"}}]}'

/** Its tool `t` answers with its name, and its tool `check` with an error. */
async function replica(name: string): Promise<Replica> {
  const delays = new Map<string, number>()
  const statuses = new Map<string, number>()
  let calls = 0
  const resultOf = ({ method, params }: Message): string | undefined => {
    if (method === 'initialize') return INITIALIZED
    if (method === 'ping') return '{}'
    if (method === 'tools/list') return TOOLS
    if (method !== 'tools/call') return undefined
    return `{"content":[{"type":"text","text":"${name}"}],"isError":${params?.name === 'check'}}`
  }
  const server = createServer((request, response) => {
    let body = ''
    request.setEncoding('utf8')
    request.on('data', (chunk: string) => (body += chunk))
    request.on('end', () => {
      if (request.method !== 'POST') return response.writeHead(405).end()
      const message = JSON.parse(body) as Message
      if (message.id === undefined) return response.writeHead(202).end()
      if (message.method === 'tools/call' && message.params?.name === 't') calls++
      const status = statuses.get(message.method)
      if (status !== undefined) return response.writeHead(status).end()
      const result = resultOf(message)
      const member = result ? `"result":${result}` : '"error":{"code":-32601,"message":"none"}'
      const text = `{"jsonrpc":"2.0","id":${JSON.stringify(message.id)},${member}}`
      const answer = (): void =>
        void response.writeHead(200, { 'content-type': 'application/json' }).end(text)
      const delay = delays.get(message.method) ?? 0
      if (delay === 0) answer()
      else if (delay < Infinity) setTimeout(answer, delay)
      return undefined
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/mcp`,
    delays,
    statuses,
    get calls() {
      return calls
    },
    async [Symbol.asyncDispose]() {
      server.close()
      server.closeAllConnections()
      await once(server, 'close')
    },
  }
}
interface Message {
  readonly id?: unknown
  readonly method: string
  readonly params?: { readonly name?: string }
}

interface Two extends AsyncDisposable {
  readonly first: Replica
  readonly second: Replica
}

/** Neither failures nor checks have an effect, unless a test says so. */
const CALM = {
  interval: 'never',
  timeout: '5s',
  failures: 1000,
  errorRate: 100,
  slowBy: 1000,
  baseEjectionTime: '5m',
  slowStart: 'never',
}

interface Entry {
  readonly health?: object
  readonly zones?: readonly string[]
  readonly [key: string]: unknown
}

/** A change of a server with two replicas. The second gets calls when the first cannot, or both if they are `equal`. */
function ofTwo(
  prepare: (servers: Two) => void,
  [before, after]: readonly [Entry, Entry],
  look: Look<Two>,
  seen: readonly [unknown, unknown],
  equal = false,
): KeyTest {
  const file =
    ({ health, zones = ['z', 'z'], ...entry }: Entry) =>
    ({ first, second }: Two) => ({
      mcpServers: {
        a: {
          replicas: [
            { url: first.url, name: 'first', zone: zones[0] },
            { url: second.url, name: 'second', zone: zones[1], priority: equal ? 0 : 1 },
          ],
          isolation: 'shared',
          health: { ...CALM, ...health },
          ...entry,
        },
      },
      gateway: { zone: 'z' },
    })
  const start = async (): Promise<Two> => {
    const [first, second] = [await replica('first'), await replica('second')]
    const servers = {
      first,
      second,
      async [Symbol.asyncDispose]() {
        await first[Symbol.asyncDispose]()
        await second[Symbol.asyncDispose]()
      },
    }
    prepare(servers)
    return servers
  }
  return changeAt(start, [file(before), file(after)], look, seen)
}

const allWell = (): void => {}
/** Calls of the first replica fail after it may have run them. */
const failing = ({ first }: Two): void => void first.statuses.set('tools/call', 500)

/** What answers so many calls, the last one counts. */
const answering =
  (calls = 1): Look<Two> =>
  async ({ origin }) => {
    const client = await openSession(origin)
    let text = ''
    for (let call = 0; call < calls; call++) text = await client.call('a__t')
    return /^(?:first|second)$/.exec(text)?.[0] ?? 'none'
  }

/** Whether the first replica gets any of many calls. */
const triesFirst: Look<Two> = async ({ origin, server }) => {
  const client = await openSession(origin)
  const before = server.first.calls
  for (let call = 0; call < 30; call++) await client.call('a__t')
  return server.first.calls > before
}

/** Whether all of many calls at once are answered. */
const allAnswered: Look<Two> = async ({ origin }) => {
  const client = await openSession(origin)
  const answers = await Promise.all(Array.from({ length: 60 }, async () => await client.call('a__t')))
  return answers.every(text => text === 'second')
}

/** State of the first replica, after a call. */
const stateOfFirst: Look<Two> = async scene => {
  await answering(25)(scene)
  return scene.gateway.status()[0]?.replicas.find(({ name }) => name === 'first')?.state
}

/** State of the first replica, after many calls at once, which both get. */
const stateAfterMany: Look<Two> = async scene => {
  await allAnswered(scene)
  return scene.gateway.status()[0]?.replicas.find(({ name }) => name === 'first')?.state
}

/** Whether the first replica is out of use for longer than a minute. */
const longAway: Look<Two> = async scene => {
  await answering()(scene)
  const { nextTry = 0 } = scene.gateway.status()[0]?.replicas[0] ?? {}
  return nextTry - Date.now() > 60_000
}

const QUICK = { interval: '100ms', baseEjectionTime: '5m' }

/** The records of a service lead to one of two replicas. */
function serviceTest(): KeyTest {
  const start = async () => {
    const dns = await startDnsServer()
    const [first, second] = [await replica('first'), await replica('second')]
    for (const [service, { url }] of Object.entries({ _one: first, _two: second })) {
      dns.services.set(`${service}._tcp.up.test`, [{ target: 'host.test', port: Number(new URL(url).port) }])
    }
    dns.addresses.set('host.test', ['127.0.0.1'])
    return {
      dns,
      first,
      second,
      async [Symbol.asyncDispose]() {
        for (const each of [first, second, dns]) await each[Symbol.asyncDispose]()
      },
    }
  }
  type Servers = Awaited<ReturnType<typeof start>>
  const file =
    (service: string) =>
    ({ dns }: Servers) => ({
      mcpServers: { a: { replicas: [{ url: 'http://up.test/mcp', service }], isolation: 'shared' } },
      gateway: { dns: { servers: [dns.address] } },
    })
  return changeAt(start, [file('_one._tcp'), file('_two._tcp')], answering() as Look<Servers>, [
    'first',
    'second',
  ])
}

export const REPLICA_KEYS: KeyTests = {
  'mcpServers.*.replicas.*.service': serviceTest(),
  'mcpServers.*.replicas.*.zone': ofTwo(
    allWell,
    [{ zones: ['z', 'other'] }, { zones: ['other', 'z'] }],
    triesFirst,
    [true, false],
    true,
  ),
  'mcpServers.*.retry': ofTwo(failing, [{ retry: false }, { retry: true }], answering(), ['none', 'second']),
  'mcpServers.*.tools.*.retry': ofTwo(failing, [{}, { tools: { t: { retry: true } } }], answering(), [
    'none',
    'second',
  ]),
  'mcpServers.*.retries': ofTwo(
    failing,
    [
      { retry: true, retries: 0 },
      { retry: true, retries: 1 },
    ],
    answering(),
    ['none', 'second'],
  ),
  'mcpServers.*.retryBudget': ofTwo(
    failing,
    [
      { retry: true, retryBudget: 0 },
      { retry: true, retryBudget: 100 },
    ],
    allAnswered,
    [false, true],
  ),
  'mcpServers.*.hedge': ofTwo(
    ({ first }) => void first.delays.set('tools/call', Infinity),
    [
      { retry: true, hedge: false, timeout: '1s' },
      { retry: true, hedge: true, timeout: '1s' },
    ],
    answering(),
    ['none', 'second'],
  ),
  'mcpServers.*.health.check': ofTwo(
    allWell,
    [{ health: QUICK }, { health: { ...QUICK, check: { tool: 'check' } } }],
    answering(),
    ['first', 'second'],
  ),
  'mcpServers.*.health.interval': ofTwo(
    ({ first }) => void first.statuses.set('ping', 500),
    [{ health: { interval: 'never' } }, { health: { interval: '100ms' } }],
    answering(),
    ['first', 'second'],
  ),
  'mcpServers.*.health.timeout': ofTwo(
    ({ first }) => void first.delays.set('ping', 400),
    [{ health: QUICK }, { health: { ...QUICK, timeout: '100ms' } }],
    answering(),
    ['first', 'second'],
  ),
  'mcpServers.*.health.failures': ofTwo(failing, [{}, { health: { failures: 1 } }], answering(), [
    'none',
    'second',
  ]),
  'mcpServers.*.health.errorRate': ofTwo(failing, [{}, { health: { errorRate: 1 } }], answering(25), [
    'none',
    'second',
  ]),
  'mcpServers.*.health.slowBy': ofTwo(
    ({ first }) => void first.delays.set('tools/call', 1000),
    [{ health: QUICK }, { health: { ...QUICK, slowBy: 2 } }],
    stateAfterMany,
    ['ready', 'ejected'],
    true,
  ),
  'mcpServers.*.health.panic': ofTwo(
    failing,
    [{ health: { failures: 1, panic: 100 } }, { health: { failures: 1, panic: 0 } }],
    triesFirst,
    [false, true],
    true,
  ),
  'mcpServers.*.health.baseEjectionTime': ofTwo(
    failing,
    [
      { health: { failures: 1, baseEjectionTime: '100ms' } },
      { health: { failures: 1, baseEjectionTime: '5m' } },
    ],
    longAway,
    [false, true],
  ),
  'mcpServers.*.health.slowStart': ofTwo(
    ({ first }) => {
      first.statuses.set('tools/call', 500)
      const mend = (): void => {
        if (first.calls === 0) setTimeout(mend, 20)
        else first.statuses.clear()
      }
      mend()
    },
    [
      { health: { failures: 1, baseEjectionTime: '100ms', slowStart: '1h' } },
      { health: { failures: 1, baseEjectionTime: '100ms', slowStart: 'never' } },
    ],
    stateOfFirst,
    ['degraded', 'ready'],
  ),
}
