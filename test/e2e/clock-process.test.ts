import { existsSync, readFileSync } from 'node:fs'
import { setTimeout as later } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { describe, test } from 'vitest'
import { startRawServer } from '../fixtures/servers/raw.js'
import { makeScratch, type Scratch } from '../helpers/scratch.ts'
import { scriptedHttp, toolText, type ScriptedServer } from '../helpers/scripted-servers.ts'
import { BIN, serve, type Served } from '../helpers/served.ts'
import { startIssuer } from '../helpers/issuer.ts'
import {
  answerOf,
  DeprecatedSession,
  http,
  LegacySession,
  ModernHttp,
  requestText,
  withEnvelope,
  type WireResponse,
} from '../helpers/wire-clients.ts'
import { bearer } from '../helpers/callers.ts'
import { rawAt } from '../../src/protocol/json-text.ts'
import { runProgram } from '../unit/cli/program.ts'

/**
 * A gateway in a process of its own, whose wall clock is set by two hours while it runs. What waits or has an age does not notice; what ends by the
 * calendar does.
 */

const HOUR_MS = 3_600_000
const SET_CLOCK = fileURLToPath(new URL('../fixtures/programs/set-clock.js', import.meta.url))
const SLOW = fileURLToPath(new URL('../fixtures/servers/slow.js', import.meta.url))
const OK = '"result":{"content":[]}'
const CALL = '{"name":"a__t"}'
const QUESTION = '{"message":"well?","requestedSchema":{"type":"object"}}'
const KEEP_ALIVE = /: keepalive/
/** For what comes by itself, on a machine that may be busy. */
const SOON = { interval: 50 }

interface Shifted extends Served {
  /** Sets its clock, and resolves when that is done. */
  setClock(): Promise<void>
}

/** A gateway with a scratch folder of its own. */
async function start(
  scratch: Scratch,
  ms: number,
  file: { readonly mcpServers?: object; readonly gateway?: object; readonly [key: string]: unknown },
): Promise<Shifted> {
  const config = scratch.write('servers.json', {
    mcpServers: {},
    ...file,
    gateway: { http: { port: 0 }, state: 'memory', ...file.gateway },
  })
  const served = await serve(['--import', SET_CLOCK, BIN, 'serve', '--config', config], {
    env: { HOME: scratch.path, XDG_STATE_HOME: `${scratch.path}/state`, CLOCK_SHIFT_MS: String(ms) },
  })
  return Object.create(served, {
    setClock: {
      async value() {
        process.kill(served.pid, 'SIGUSR2')
        while (!served.said.includes('The clock is set.')) await later(5)
      },
    },
  }) as Shifted
}

/** Answers every call by how many there were. */
function counting(server: ScriptedServer): { calls: number } {
  const counted = { calls: 0 }
  server.requests.onItem(({ answer }) => answer(`"result":{"content":[],"n":${++counted.calls}}`))
  return counted
}

const asking = (params: string): string =>
  withEnvelope(params).replace('clientCapabilities":{}', 'clientCapabilities":{"elicitation":{}}')

/** Everything that came after this moment, for as long as `ms`; the stream ends with it. */
async function heard(stream: WireResponse, ms: number): Promise<string> {
  await later(ms)
  stream.destroy()
  return await stream.body
}

const listen = (client: ModernHttp): Promise<WireResponse> =>
  client.post('"listen"', 'subscriptions/listen', withEnvelope('{"notifications":{"toolsListChanged":true}}'))

/** A test that needs one hour by the clock does not begin at its end. */
async function awayFromTheHour(): Promise<void> {
  const left = HOUR_MS - (Date.now() % HOUR_MS)
  if (left < 20_000) await later(left + 100)
}

describe.each([
  ['back', -2 * HOUR_MS],
  ['ahead', 2 * HOUR_MS],
])('the clock of a process is set %s by two hours', (direction, ms) => {
  const ahead = direction === 'ahead'

  test.concurrent('silent streams of every kind still carry signs of life', async ({ expect }) => {
    await using server = await scriptedHttp()
    await using scratch = makeScratch()
    await using gateway = await start(scratch, ms, {
      mcpServers: { a: server.entry },
      gateway: { http: { port: 0, keepAlive: '1s' } },
    })
    const legacy = await LegacySession.open(gateway.origin)
    const modern = new ModernHttp(gateway.origin)
    const deprecated = await DeprecatedSession.open(gateway.origin)
    await modern.request('0', 'tools/list')
    const calling = [
      legacy.post(requestText('1', 'tools/call', '{"name":"a__t","_meta":{"progressToken":1}}')),
      modern.post('2', 'tools/call', withEnvelope('{"name":"a__t","_meta":{"progressToken":2}}')),
    ]
    const calls = [await server.called('t'), await server.called('t')]
    for (const { params, say } of calls) {
      const progress = `{"progressToken":${rawAt(params, '_meta', 'progressToken')},"progress":1}`
      say(`{"jsonrpc":"2.0","method":"notifications/progress","params":${progress}}`)
    }
    const streams = [await legacy.listen(), await listen(modern), ...(await Promise.all(calling))]
    await gateway.setClock()
    const sounds = await Promise.all(streams.map(stream => heard(stream, 6000)))
    for (const call of calls) call.answer(OK)
    expect(sounds).toHaveLength(4)
    for (const text of sounds) expect(text.match(/: keepalive/g)?.length).toBeGreaterThanOrEqual(2)
    await deprecated[Symbol.asyncDispose]()
    expect(await deprecated.body).toMatch(KEEP_ALIVE)
  })

  test.concurrent('replicas are still checked', async ({ expect }) => {
    await using one = await scriptedHttp()
    await using two = await scriptedHttp()
    await using scratch = makeScratch()
    const a = { replicas: [one.entry, two.entry], health: { interval: '300ms' } }
    await using gateway = await start(scratch, ms, { mcpServers: { a } })
    await using client = new ModernHttp(gateway.origin)
    for (const server of [one, two]) counting(server)
    for (let n = 0; n < 4; n++) await client.request(String(n), 'tools/call', CALL)
    await gateway.setClock()
    const pings = (): number =>
      [one, two].flatMap(({ messages }) => messages.all).filter(text => text.includes('"ping"')).length
    const before = pings()
    await expect.poll(pings, SOON).toBeGreaterThan(before + 3)
  })

  test.concurrent('calls in flight are answered, others time out when it is time', async ({ expect }) => {
    await using server = await scriptedHttp()
    await using scratch = makeScratch()
    await using gateway = await start(scratch, ms, { mcpServers: { a: { ...server.entry, timeout: '8s' } } })
    await using client = await LegacySession.open(gateway.origin)
    const answered = client.request('1', 'tools/call', CALL)
    const call = await server.called('t')
    const since = performance.now()
    const silent = client.request('2', 'tools/call', CALL)
    await server.called('t')
    await gateway.setClock()
    await later(500)
    call.answer(OK)
    expect(await answered).toContain('"content":[]')
    expect(await silent).toContain('within 8 s')
    expect(performance.now() - since).toBeGreaterThan(7000)
  })

  test.concurrent('a call in the queue keeps its turn, and leaves it when it is time', async ({ expect }) => {
    await using server = await scriptedHttp()
    await using scratch = makeScratch()
    const a = { ...server.entry, maxConcurrentCalls: 1, queueTimeout: '8s' }
    await using gateway = await start(scratch, ms, { mcpServers: { a } })
    await using client = new ModernHttp(gateway.origin)
    const first = client.request('1', 'tools/call', CALL)
    const running = await server.called('t')
    const second = client.request('2', 'tools/call', CALL)
    await later(300)
    await gateway.setClock()
    await later(500)
    running.answer(OK)
    const next = await server.called('t')
    const late = client.request('3', 'tools/call', CALL)
    const since = performance.now()
    expect(await late).toContain('"code":"overloaded"')
    expect(performance.now() - since).toBeGreaterThan(7000)
    next.answer(OK)
    expect(await first).toContain('"content":[]')
    expect(await second).toContain('"content":[]')
  })

  test.concurrent('a server that did not start is tried again', async ({ expect }) => {
    await using scratch = makeScratch()
    const repaired = `${scratch.path}/repaired`
    const program = `require('node:fs').existsSync(${JSON.stringify(repaired)}) ? import(${JSON.stringify(SLOW)}) : process.exit(1)`
    await using gateway = await start(scratch, ms, {
      mcpServers: { a: { command: process.execPath, args: ['-e', program] } },
    })
    await using client = new ModernHttp(gateway.origin)
    await later(500)
    await gateway.setClock()
    expect(await client.request('1', 'tools/list')).not.toContain('a__wait')
    scratch.write('repaired', '')
    await expect.poll(() => client.request('2', 'tools/list'), SOON).toContain('a__wait')
  })

  test.concurrent(
    'a session that is in use is not taken for idle, one that is idle ends',
    async ({ expect }) => {
      await using scratch = makeScratch()
      await using gateway = await start(scratch, ms, {
        gateway: { http: { port: 0, sessionIdle: '7s' } },
      })
      const used = await LegacySession.open(gateway.origin)
      const idle = await LegacySession.open(gateway.origin)
      await gateway.setClock()
      const until = performance.now() + 10_000
      while (performance.now() < until) {
        expect(await used.request('1', 'ping')).toContain('"result":{}')
        await later(300)
      }
      expect((await idle.post(requestText('2', 'ping', undefined))).status).toBe(404)
    },
  )

  test.concurrent('a process that is in use is not stopped, one that is idle is', async ({ expect }) => {
    await using scratch = makeScratch()
    const program = (name: string): string =>
      `require('node:fs').writeFileSync(${JSON.stringify(`${scratch.path}/${name}`)}, String(process.pid)); import(${JSON.stringify(SLOW)})`
    const entry = (name: string, idle: string): object => ({
      command: process.execPath,
      args: ['-e', program(name)],
      idle,
    })
    await using gateway = await start(scratch, ms, {
      mcpServers: { long: entry('long', '10m'), short: entry('short', '3s') },
    })
    await using client = new ModernHttp(gateway.origin)
    for (const name of ['long', 'short'])
      await client.request('1', 'tools/call', `{"name":"${name}__wait","arguments":{"n":1,"ms":1}}`)
    await gateway.setClock()
    const runs = (name: string): boolean => {
      try {
        return process.kill(Number(readFileSync(`${scratch.path}/${name}`, 'utf8')), 0)
      } catch {
        return false
      }
    }
    expect(existsSync(`${scratch.path}/short`)).toBe(true)
    await later(1500)
    expect(runs('long')).toBe(true)
    await expect.poll(() => runs('short'), SOON).toBe(false)
    expect(runs('long')).toBe(true)
  })

  test.concurrent('a kept result stays for its time, and no longer', async ({ expect }) => {
    await using server = await scriptedHttp()
    await using scratch = makeScratch()
    server.results.set('tools/list', `{"tools":[${toolText('long')},${toolText('short')}]}`)
    const tools = { long: { cache: { ttl: '10m' } }, short: { cache: { ttl: '3s' } } }
    await using gateway = await start(scratch, ms, { mcpServers: { a: { ...server.entry, tools } } })
    await using client = new ModernHttp(gateway.origin)
    counting(server)
    const call = async (name: string): Promise<string> =>
      await client.request('1', 'tools/call', `{"name":"a__${name}"}`)
    expect(await call('long')).toContain('"n":1')
    expect(await call('short')).toContain('"n":2')
    await gateway.setClock()
    expect(await call('long')).toContain('"n":1')
    await expect.poll(() => call('short'), SOON).toContain('"n":3')
    expect(await call('long')).toContain('"n":1')
  })

  test.concurrent('what was stored by that clock is fetched anew by the right one', async ({ expect }) => {
    await using server = await scriptedHttp()
    await using scratch = makeScratch()
    const tools = { t: { cache: { ttl: '10m' } } }
    const file = {
      mcpServers: { a: { ...server.entry, tools } },
      gateway: { state: `lmdb:${scratch.path}/s` },
    }
    counting(server)
    {
      await using gateway = await start(scratch, ms, file)
      await using client = new ModernHttp(gateway.origin)
      await gateway.setClock()
      expect(await client.request('1', 'tools/call', CALL)).toContain('"n":1')
      expect(await client.request('2', 'tools/call', CALL)).toContain('"n":1')
      expect(await gateway.stop()).toBe(0)
    }
    server.results.set('tools/list', `{"tools":[${toolText('t')},${toolText('added')}]}`)
    await using gateway = await start(scratch, ms, file)
    await using client = new ModernHttp(gateway.origin)
    expect(await client.request('3', 'tools/call', CALL)).toContain('"n":2')
    await expect.poll(() => client.request('4', 'tools/list'), SOON).toContain('a__added')
  })

  test.concurrent(
    'a list is still there, and is fetched again when its time is over',
    async ({ expect, onTestFinished }) => {
      const server = await startRawServer({ era: 'modern' })
      onTestFinished(() => server.close())
      await using scratch = makeScratch()
      const offer = (name: string): void =>
        void server.answers.set(
          'tools/list',
          `"result":{"resultType":"complete","tools":[${toolText(name)}],"ttlMs":2000,"cacheScope":"public"}`,
        )
      offer('first')
      await using gateway = await start(scratch, ms, { mcpServers: { a: { url: server.url } } })
      await using client = new ModernHttp(gateway.origin)
      await expect.poll(() => client.request('1', 'tools/list'), SOON).toContain('a__first')
      await gateway.setClock()
      expect(await client.request('2', 'tools/list')).toContain('a__first')
      offer('second')
      await expect.poll(() => client.request('3', 'tools/list'), SOON).toContain('a__second')
      // With the time of its own again.
      offer('third')
      await expect.poll(() => client.request('4', 'tools/list'), SOON).toContain('a__third')
    },
  )

  test.concurrent('a question can be answered for its time, and is given up after it', async ({ expect }) => {
    await using server = await scriptedHttp()
    await using scratch = makeScratch()
    await using gateway = await start(scratch, ms, {
      mcpServers: { a: server.entry },
      gateway: { asks: { answerTimeout: '9s' } },
    })
    await using client = new ModernHttp(gateway.origin)
    const ask = async (id: string) => {
      const sent = client.post(id, 'tools/call', asking(CALL))
      const call = await server.called('t')
      call.say(requestText(`"q${id}"`, 'elicitation/create', QUESTION))
      const { result } = JSON.parse(await answerOf(await sent)) as {
        result: { requestState: string; inputRequests: Record<string, unknown> }
      }
      const responses = {
        [Object.keys(result.inputRequests)[0] as string]: { action: 'accept', content: {} },
      }
      const retry = `{"name":"a__t","requestState":"${result.requestState}","inputResponses":${JSON.stringify(responses)}}`
      return { call, retry: asking(retry) }
    }
    const answered = await ask('1')
    const since = performance.now()
    const forgotten = await ask('2')
    await gateway.setClock()
    await later(500)
    const again = client.post('3', 'tools/call', answered.retry)
    await server.messages.take(text => text.includes('"action":"accept"'))
    answered.call.answer(OK)
    expect(await answerOf(await again)).toContain('"content":[]')
    await expect
      .poll(() => server.messages.all.filter(text => text.includes('notifications/cancelled')), SOON)
      .toHaveLength(1)
    expect(performance.now() - since).toBeGreaterThan(8000)
    const late = await client.post('4', 'tools/call', forgotten.retry)
    expect(await answerOf(late)).toContain('"code":-32602')
  })

  test.concurrent('a rate is neither opened nor closed', async ({ expect }) => {
    await using server = await scriptedHttp()
    await using scratch = makeScratch()
    counting(server)
    const quick = await scriptedHttp()
    counting(quick)
    await using gateway = await start(scratch, ms, {
      mcpServers: {
        a: { ...server.entry, rate: '2/min' },
        b: { ...quick.entry, rate: '2/s' },
      },
    })
    await using client = new ModernHttp(gateway.origin)
    const call = (name: string): Promise<string> => client.request('1', 'tools/call', `{"name":"${name}__t"}`)
    for (let n = 0; n < 2; n++) expect(await call('a')).toContain('"content":[]')
    for (let n = 0; n < 2; n++) expect(await call('b')).toContain('"content":[]')
    await gateway.setClock()
    expect(await call('a')).toContain('"code":"rate_limited"')
    await expect.poll(() => call('b'), SOON).toContain('"content":[]')
    expect(await call('a')).toContain('"code":"rate_limited"')
    await quick[Symbol.asyncDispose]()
  })

  test.concurrent(
    ahead ? 'a budget has its next period' : 'a budget opens no period twice',
    async ({ expect }) => {
      await using server = await scriptedHttp()
      await using scratch = makeScratch()
      counting(server)
      await awayFromTheHour()
      await using gateway = await start(scratch, ms, {
        mcpServers: { a: { ...server.entry, budget: { calls: '2/hour' } } },
      })
      await using client = new ModernHttp(gateway.origin)
      const call = (): Promise<string> => client.request('1', 'tools/call', CALL)
      const resetsAt = async (): Promise<number> =>
        Date.parse(/"resetsAt":"([^"]+)"/.exec(await call())?.[1] ?? '')
      for (let n = 0; n < 2; n++) expect(await call()).toContain('"content":[]')
      const before = await resetsAt()
      expect(before - Date.now()).toBeLessThanOrEqual(HOUR_MS)
      await gateway.setClock()
      if (ahead) {
        await expect.poll(call, SOON).toContain('"content":[]')
        await call()
        expect(await resetsAt()).toBe(before + ms)
      } else {
        await later(1500)
        expect(await call()).toContain('"code":"quota_exhausted"')
        expect(await resetsAt()).toBe(before)
      }
    },
  )

  test.concurrent('tokens end by the wall clock', async ({ expect }) => {
    await using issuer = await startIssuer()
    await using scratch = makeScratch()
    await using gateway = await start(scratch, ms, {
      clients: { people: {} },
      gateway: {
        auth: { jwt: [{ issuer: issuer.url, audience: ['https://mcp.example/mcp'], client: 'people' }] },
      },
    })
    const seconds = Math.floor(Date.now() / 1000)
    const valid = bearer(await issuer.token({ exp: seconds + 600 }))
    const expired = bearer(await issuer.token({ exp: seconds - 600 }))
    const status = async (headers: object): Promise<number> => {
      const client = new ModernHttp(gateway.origin, '/mcp', { headers: { ...headers } })
      return (await client.post('1', 'tools/list', withEnvelope())).status
    }
    const session = await LegacySession.open(gateway.origin, { headers: valid })
    const stream = await session.listen()
    expect(await status(valid)).toBe(200)
    expect(await status(expired)).toBe(401)
    await gateway.setClock()
    expect(await status(valid)).toBe(ahead ? 401 : 200)
    expect(await status(expired)).toBe(ahead ? 401 : 200)
    expect((await session.post(requestText('1', 'ping', undefined))).status).toBe(ahead ? 401 : 200)
    // Its stream ends with the token.
    if (ahead) await stream.body
    stream.destroy()
  })

  test.concurrent('keys end by the wall clock', async ({ expect }) => {
    await using scratch = makeScratch()
    const file = { clients: { ci: {} }, gateway: { state: `lmdb:${scratch.path}/s` } }
    await using gateway = await start(scratch, ms, file)
    const created = await runProgram(
      ['keys', 'create', 'ci', '--expires', '1h', '--config', `${scratch.path}/servers.json`],
      { cwd: scratch.path },
    )
    const headers = bearer(created.stdout.trim())
    const session = await LegacySession.open(gateway.origin, { headers })
    const stream = await session.listen()
    const ping = async (): Promise<number> => (await session.post(requestText('1', 'ping', undefined))).status
    expect(await ping()).toBe(200)
    await gateway.setClock()
    expect(await ping()).toBe(ahead ? 401 : 200)
    if (ahead) await stream.body
    stream.destroy()
  })

  test.concurrent('conditions and the audit log tell the time of the wall', async ({ expect }) => {
    await using server = await scriptedHttp()
    await using scratch = makeScratch()
    counting(server)
    const between = new Date(Date.now() + ms / 2).toISOString()
    const when = `now ${ahead ? '>' : '<'} timestamp("${between}")`
    await using gateway = await start(scratch, ms, {
      mcpServers: { a: server.entry },
      clients: { guest: { rules: [{ effect: 'deny', match: ['a/*'], when }] } },
      gateway: { auth: { anonymous: 'guest' }, audit: { file: 'audit.jsonl' } },
    })
    await using client = new ModernHttp(gateway.origin)
    expect(await client.request('1', 'tools/call', CALL)).toContain('"content":[]')
    await gateway.setClock()
    // The audit log reads the wall clock ten times a second.
    await later(300)
    expect(await client.request('2', 'tools/call', CALL)).toContain('"code":"denied"')
    expect(await gateway.stop()).toBe(0)
    const times = readFileSync(`${scratch.path}/audit.jsonl`, 'utf8')
      .trimEnd()
      .split('\n')
      .map(line => Date.parse((JSON.parse(line) as { time: string }).time))
    const apart = (times.at(-1) as number) - (times[0] as number)
    expect(Math.abs(apart - ms)).toBeLessThan(HOUR_MS / 2)
  })

  test.concurrent('the end waits for calls in flight up to its limit', async ({ expect }) => {
    await using server = await scriptedHttp()
    await using scratch = makeScratch()
    await using gateway = await start(scratch, ms, {
      mcpServers: { a: server.entry },
      gateway: { shutdownTimeout: '3s' },
    })
    await using client = new ModernHttp(gateway.origin)
    const answered = client.request('1', 'tools/call', CALL)
    const call = await server.called('t')
    const left = client.request('2', 'tools/call', CALL)
    await server.called('t')
    await gateway.setClock()
    process.kill(gateway.pid, 'SIGTERM')
    while ((await http(`${gateway.origin}/readyz`, { method: 'GET' })).status !== 503) await later(5)
    const since = performance.now()
    call.answer(OK)
    expect(await answered).toContain('"content":[]')
    expect(await left).toContain('"code":"shutting_down"')
    expect(performance.now() - since).toBeGreaterThan(1500)
    expect(await gateway.exited).toBe(0)
  })
})
