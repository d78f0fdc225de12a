import { readFileSync } from 'node:fs'
import { Agent } from 'node:http'
import { setTimeout as later } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { startBalancer } from '../helpers/balancer.ts'
import { makeScratch, type Scratch } from '../helpers/scratch.ts'
import { freePort, serveGateway, type Served } from '../helpers/served.ts'
import { failureOf, startStdio, textOf, type Answer } from '../helpers/stdio-client.ts'
import {
  answerOf,
  http,
  JSON_HEADERS,
  LegacySession,
  ModernHttp,
  requestText,
  withEnvelope,
  type WireResponse,
} from '../helpers/wire-clients.ts'

/** A gateway that is told to stop answers what it was asked. `npm run shutdown` is the long form. */

const ROUNDS = Number(process.env['SHUTDOWN_ROUNDS'] ?? 1)
const CALLS = Number(process.env['SHUTDOWN_CALLS'] ?? 40)
/** How long a call takes: long enough that all are sent before the first is answered. */
const CALL_MS = CALLS > 100 ? 5000 : 3000
const LONG_MS = 60_000 + ROUNDS * 20_000

const SLOW = fileURLToPath(new URL('../fixtures/servers/slow.js', import.meta.url))

function configure(scratch: Scratch, more: object = {}): [string, { env: Record<string, string> }] {
  const config = scratch.write('servers.json', {
    mcpServers: { slow: { command: process.execPath, args: [SLOW], maxConcurrentCalls: 1000 } },
    gateway: {
      http: { port: 0 },
      state: 'memory',
      maxConcurrentCalls: 1000,
      audit: { file: 'audit.jsonl' },
      ...more,
    },
  })
  return [config, { env: { HOME: scratch.path, XDG_STATE_HOME: scratch.path } }]
}

interface AuditLine {
  readonly event: string
  readonly method: string
  readonly code?: string
}

/** Lines about calls of tools. */
function audited(scratch: Scratch): AuditLine[] {
  return readFileSync(`${scratch.path}/audit.jsonl`, 'utf8')
    .trimEnd()
    .split('\n')
    .map(line => JSON.parse(line) as AuditLine)
    .filter(({ method }) => method === 'tools/call')
}

const wait = (n: number): string => `{"name":"slow__wait","arguments":{"n":${n},"ms":${CALL_MS}}}`
const hang = '{"name":"slow__hang"}'
const numbers = Array.from({ length: CALLS }, (_, n) => n)
const isStopping = (answer: Answer): void => {
  expect(answer.error ?? failureOf(answer)).toMatchObject(
    answer.error ? { data: { code: 'shutting_down' } } : { code: 'shutting_down' },
  )
}

interface Readiness {
  readonly ready: boolean
  readonly servers: readonly { readonly replicas: readonly { readonly inFlight: number }[] }[]
}

async function ready(served: Served, matches: (state: Readiness) => boolean): Promise<void> {
  for (;;) {
    const response = await http(`${served.origin}/readyz`, { method: 'GET' })
    if (matches(JSON.parse(await response.body) as Readiness)) return
    await later(5)
  }
}

const inFlight = (served: Served, calls: number): Promise<void> =>
  ready(served, ({ servers }) => servers[0]?.replicas[0]?.inFlight === calls)

/** Sends a call when the gateway has begun to stop, and shows what came of it. */
async function refusedAfterSignal(served: Served, send: () => Promise<WireResponse>): Promise<void> {
  await ready(served, ({ ready: is }) => !is)
  const refused = await send()
  expect(refused.status).toBe(503)
  expect(refused.headers['retry-after']).toBe('1')
  expect(refused.headers.connection).toBe('close')
  const answer = JSON.parse(await refused.body) as Answer
  expect(answer.id).toBe(-1)
  isStopping(answer)
}

describe('SIGTERM over HTTP', () => {
  test(
    'with calls of both eras in flight: all are answered, new ones are sent elsewhere',
    { timeout: LONG_MS },
    async () => {
      for (let round = 0; round < ROUNDS; round++) {
        await using scratch = makeScratch()
        await using served = await serveGateway(...configure(scratch))
        const modern = new ModernHttp(served.origin)
        const legacy = await LegacySession.open(served.origin)
        await legacy.request('"first"', 'tools/call', '{"name":"slow__wait","arguments":{"n":0,"ms":0}}')
        const standalone = await legacy.listen()
        const listening = await modern.post(
          '"listen"',
          'subscriptions/listen',
          withEnvelope('{"notifications":{"toolsListChanged":true}}'),
        )
        await listening.events.take()
        const calls = numbers.flatMap(n => [
          modern.request(String(n), 'tools/call', wait(n)),
          legacy.request(String(n), 'tools/call', wait(n)),
        ])
        await inFlight(served, 2 * CALLS)
        process.kill(served.pid, 'SIGTERM')
        const greeting = {
          headers: JSON_HEADERS,
          body: requestText('-1', 'initialize', '{"protocolVersion":"2025-11-25","capabilities":{}}'),
        }
        await Promise.all([
          refusedAfterSignal(served, () => modern.post('-1', 'tools/call', withEnvelope(wait(0)))),
          refusedAfterSignal(served, () => legacy.post(requestText('-1', 'tools/call', wait(0)))),
          refusedAfterSignal(served, () => http(`${served.origin}/mcp`, greeting)),
        ])
        expect(await standalone.body).toContain('retry: 1000\n\n')
        await listening.body
        expect(JSON.parse(listening.events.all.at(-1)?.data ?? '{}')).toMatchObject({
          id: 'listen',
          result: { resultType: 'complete' },
        })
        const answers = await Promise.all(calls)
        expect(answers.map(text => textOf(JSON.parse(text) as Answer))).toEqual(
          numbers.flatMap(n => [String(n), String(n)]),
        )
        expect(await served.exited).toBe(0)
        expect(audited(scratch).filter(({ event }) => event === 'allow')).toHaveLength(2 * CALLS + 1)
      }
    },
  )

  test('with calls that do not end: each gets one error when the time is over', async () => {
    await using scratch = makeScratch()
    await using served = await serveGateway(...configure(scratch, { shutdownTimeout: '500ms' }))
    const modern = new ModernHttp(served.origin)
    const legacy = await LegacySession.open(served.origin)
    await legacy.request('"first"', 'tools/call', '{"name":"slow__wait","arguments":{"n":0,"ms":0}}')
    const calls = numbers.flatMap(n => [
      modern.request(String(n), 'tools/call', hang),
      legacy.request(String(n), 'tools/call', hang),
    ])
    await inFlight(served, 2 * CALLS)
    process.kill(served.pid, 'SIGTERM')
    for (const text of await Promise.all(calls)) {
      const answer = JSON.parse(text) as Answer
      expect(failureOf(answer)).toMatchObject({ code: 'shutting_down', delivery: 'unknown' })
      expect(textOf(answer)).toContain('It is unknown whether it was run')
    }
    expect(await served.exited).toBe(0)
    expect(audited(scratch).filter(({ code }) => code === 'shutting_down')).toHaveLength(2 * CALLS)
  })

  test('a request on a connection that is kept is answered, and the connection ends', async () => {
    await using scratch = makeScratch()
    await using served = await serveGateway(...configure(scratch))
    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    const modern = new ModernHttp(served.origin, '/mcp', { agent })
    await modern.request('1', 'tools/call', '{"name":"slow__wait","arguments":{"n":0,"ms":0}}')
    process.kill(served.pid, 'SIGTERM')
    await refusedAfterSignal(served, () => modern.post('-1', 'tools/call', withEnvelope(wait(0))))
    expect(await served.exited).toBe(0)
    agent.destroy()
  })

  test('an answer is fetched over a stream that is taken up again', async () => {
    await using scratch = makeScratch()
    await using served = await serveGateway(...configure(scratch))
    const legacy = await LegacySession.open(served.origin)
    const params = `{"name":"slow__wait","arguments":{"n":7,"ms":7000},"_meta":{"progressToken":1}}`
    const stream = await legacy.post(requestText('1', 'tools/call', params))
    // The first event may come after the headers.
    await expect.poll(() => stream.lastId).toBeDefined()
    const { lastId } = stream
    stream.destroy()
    process.kill(served.pid, 'SIGTERM')
    await later(300)
    const again = await legacy.listen(lastId)
    expect(textOf(JSON.parse(await answerOf(again)) as Answer)).toBe('7')
    expect(await served.exited).toBe(0)
  })
})

describe('a second signal ends the process at once over HTTP', () => {
  test.concurrent.each([
    ['SIGTERM', 'SIGTERM', 143],
    ['SIGTERM', 'SIGINT', 130],
    ['SIGINT', 'SIGTERM', 143],
    ['SIGINT', 'SIGINT', 130],
  ] as const)('%s, then %s: exit code %i', async (first, second, code) => {
    await using scratch = makeScratch()
    await using served = await serveGateway(...configure(scratch))
    const modern = new ModernHttp(served.origin)
    const call = modern.request('1', 'tools/call', hang).catch(() => '')
    await inFlight(served, 1)
    process.kill(served.pid, first)
    await ready(served, ({ ready: is }) => !is)
    process.kill(served.pid, second)
    expect(await served.exited).toBe(code)
    // Broken off, not answered.
    expect(await call).toBe('')
  })
})

describe('SIGINT alone', () => {
  test('over HTTP: calls in flight are answered, new ones are refused, the exit code is 0', async () => {
    await using scratch = makeScratch()
    await using served = await serveGateway(...configure(scratch))
    const modern = new ModernHttp(served.origin)
    const legacy = await LegacySession.open(served.origin)
    const calls = [modern.request('1', 'tools/call', wait(1)), legacy.request('2', 'tools/call', wait(2))]
    await inFlight(served, 2)
    process.kill(served.pid, 'SIGINT')
    await refusedAfterSignal(served, () => modern.post('-1', 'tools/call', withEnvelope(wait(0))))
    expect((await Promise.all(calls)).map(text => textOf(JSON.parse(text) as Answer))).toEqual(['1', '2'])
    expect(await served.exited).toBe(0)
    expect(audited(scratch).filter(({ event }) => event === 'allow')).toHaveLength(2)
  })

  test('with a call that does not end: it gets one error when the time is over, the exit code is 0', async () => {
    await using scratch = makeScratch()
    await using served = await serveGateway(...configure(scratch, { shutdownTimeout: '500ms' }))
    const call = new ModernHttp(served.origin).request('1', 'tools/call', hang)
    await inFlight(served, 1)
    process.kill(served.pid, 'SIGINT')
    isStopping(JSON.parse(await call) as Answer)
    expect(await served.exited).toBe(0)
  })

  test('on stdio: calls in flight are answered, new ones are refused, the exit code is 0', async () => {
    await using scratch = makeScratch()
    await using client = startStdio(...configure(scratch))
    await client.initialize()
    await client.call('slow__wait', { n: 0, ms: 0 })
    const call = client.call('slow__wait', { n: 1, ms: 2000 })
    await later(300)
    client.kill('SIGINT')
    await client.logged(/Calls in flight may take/)
    isStopping(await client.request('tools/call', { name: 'slow__hang' }))
    expect(await call).toBe('1')
    expect(await client.exited).toEqual({ code: 0, signal: null })
  })
})

describe('the end on stdio', () => {
  test.each(['legacy', 'modern'])(
    'SIGTERM with calls of a %s client in flight: all are answered',
    { timeout: LONG_MS },
    async era => {
      for (let round = 0; round < ROUNDS; round++) {
        await using scratch = makeScratch()
        await using client = startStdio(...configure(scratch))
        const params = (text: string): object =>
          JSON.parse(era === 'modern' ? withEnvelope(text) : text) as object
        if (era === 'legacy') await client.initialize()
        await client.request('tools/call', params('{"name":"slow__wait","arguments":{"n":0,"ms":0}}'))
        const calls = numbers.map(n => client.request('tools/call', params(wait(n))))
        await later(CALL_MS / 3)
        client.kill('SIGTERM')
        await later(100)
        isStopping(await client.request('tools/call', params(wait(0))))
        expect((await Promise.all(calls)).map(textOf)).toEqual(numbers.map(String))
        expect((await client.exited).code).toBe(0)
        expect(audited(scratch)).toHaveLength(CALLS + 1)
      }
    },
  )

  test('SIGTERM with calls that do not end: each gets one error when the time is over', async () => {
    await using scratch = makeScratch()
    await using client = startStdio(...configure(scratch, { shutdownTimeout: '500ms' }))
    await client.initialize()
    await client.call('slow__wait', { n: 0, ms: 0 })
    const calls = numbers.map(() => client.request('tools/call', { name: 'slow__hang' }))
    await later(300)
    client.kill('SIGTERM')
    for (const answer of await Promise.all(calls)) isStopping(answer)
    expect((await client.exited).code).toBe(0)
  })

  test.each([
    ['SIGTERM', 'SIGINT', 130],
    ['SIGINT', 'SIGTERM', 143],
    ['SIGTERM', 'SIGHUP', 129],
  ] as const)('%s, then %s: the end comes at once, with exit code %i', async (first, second, code) => {
    await using scratch = makeScratch()
    await using client = startStdio(...configure(scratch))
    await client.initialize()
    await client.call('slow__wait', { n: 0, ms: 0 })
    const call = client.request('tools/call', { name: 'slow__hang' })
    const broken = expect(call).rejects.toThrow('The gateway has ended')
    await later(300)
    client.kill(first)
    await client.logged(/Calls in flight may take/)
    client.kill(second)
    expect(await client.exited).toEqual({ code, signal: null })
    await broken
  })

  test('the client closes its input: what it has asked for is answered', async () => {
    await using scratch = makeScratch()
    await using client = startStdio(...configure(scratch))
    await client.initialize()
    await client.call('slow__wait', { n: 0, ms: 0 })
    const calls = numbers.map(n =>
      client.request('tools/call', { name: 'slow__wait', arguments: { n, ms: 3000 } }),
    )
    expect(await client.leave()).toBe(0)
    expect((await Promise.all(calls)).map(textOf)).toEqual(numbers.map(String))
  })

  test('SIGTERM after the input was closed: what is owed is answered with an error at once', async () => {
    await using scratch = makeScratch()
    await using client = startStdio(...configure(scratch))
    await client.initialize()
    await client.call('slow__wait', { n: 0, ms: 0 })
    const calls = numbers.map(() => client.request('tools/call', { name: 'slow__hang' }))
    const left = client.leave()
    await later(300)
    client.kill('SIGTERM')
    for (const answer of await Promise.all(calls)) isStopping(answer)
    expect(await left).toBe(0)
  })

  test('SIGTERM, then the client closes its input: what ends in time is answered, the rest gets one error each', async () => {
    await using scratch = makeScratch()
    await using client = startStdio(...configure(scratch, { shutdownTimeout: '3s' }))
    await client.initialize()
    await client.call('slow__wait', { n: 0, ms: 0 })
    const short = client.call('slow__wait', { n: 1, ms: 1000 })
    const calls = numbers.map(() => client.request('tools/call', { name: 'slow__hang' }))
    await later(300)
    client.kill('SIGTERM')
    await client.logged(/Calls in flight may take/)
    const left = client.leave()
    expect(await short).toBe('1')
    for (const answer of await Promise.all(calls)) isStopping(answer)
    expect(await left).toBe(0)
    expect(audited(scratch)).toHaveLength(CALLS + 2)
  })
})

describe('two gateways behind a balancer', () => {
  test('are restarted in turn: no modern call fails', { timeout: LONG_MS }, async () => {
    await using scratch = makeScratch()
    await using other = makeScratch()
    const configs = await Promise.all(
      [scratch, other].map(async each => configure(each, { http: { port: await freePort() } })),
    )
    const nodes = await Promise.all(configs.map(config => serveGateway(...config)))
    try {
      await using balancer = await startBalancer(nodes.map(({ origin }) => origin))
      const over = new AbortController()
      let made = 0
      const failed: string[] = []
      const clients = numbers.slice(0, 20).map(async () => {
        const client = new ModernHttp(balancer.origin)
        while (!over.signal.aborted) {
          const n = ++made
          const ms = Math.floor(Math.random() * 300)
          const params = `{"name":"slow__wait","arguments":{"n":${n},"ms":${ms}}}`
          const text = await client.request(String(n), 'tools/call', params).catch(String)
          if (!text.includes(`"text":"${n}"`)) failed.push(text)
        }
      })
      for (let restart = 0; restart < 2 * ROUNDS; restart++) {
        await later(500)
        const at = restart % 2
        process.kill((nodes[at] as Served).pid, 'SIGTERM')
        expect(await (nodes[at] as Served).exited).toBe(0)
        nodes[at] = await serveGateway(...(configs[at] as ReturnType<typeof configure>))
      }
      over.abort()
      await Promise.all(clients)
      expect(failed).toEqual([])
      expect(made).toBeGreaterThan(20)
    } finally {
      await Promise.all(nodes.map(node => node.stop()))
    }
  })
})
