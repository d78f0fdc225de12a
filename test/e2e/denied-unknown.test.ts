import type { OutgoingHttpHeaders } from 'node:http'
import { describe, expect, test } from 'vitest'
import { Connection } from '../bench/connection.js'
import { bearer, keyOf, withKeys } from '../helpers/callers.ts'
import { startGateway, type TestGateway } from '../helpers/gateway.ts'
import { makeScratch } from '../helpers/scratch.ts'
import { scriptedHttp, toolText, type ScriptedServer } from '../helpers/scripted-servers.ts'
import { http, JSON_HEADERS, requestText, withEnvelope } from '../helpers/wire-clients.ts'
import { median } from '../helpers/running-time.ts'

/**
 * What is denied whatever is done with it cannot be told from what does not exist, by a client with a key, over HTTP: neither by a byte nor by the time it
 * takes. With everything on that could tell: the audit log, rates, a hundred rules.
 */

const INITIALIZE =
  '{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"x","version":"1"}}'
/** Names that are denied and names of nothing are of the same length, so that the bytes of answers can be compared. */
const [HIDDEN, ABSENT] = ['hidden', 'absent']
const PARAM = ',"properties":{"region":{"type":"string","x-mcp-header":"Region"}}'

async function hiding(server: ScriptedServer): Promise<void> {
  const withHeader = `{"name":"hidden_param","inputSchema":{"type":"object"${PARAM}}}`
  server.results
    .set('tools/list', `{"tools":[${toolText('read')},${toolText(HIDDEN)},${withHeader}]}`)
    .set('prompts/list', '{"prompts":[{"name":"open"},{"name":"hidden"}]}')
    .set('resources/list', '{"resources":[{"uri":"x://hidden","name":"r"},{"uri":"x://open","name":"o"}]}')
    .set(
      'resources/templates/list',
      '{"resourceTemplates":[{"uriTemplate":"t://hidden/{a}","name":"t"},{"uriTemplate":"t://open/{a}","name":"u"}]}',
    )
    .set('tools/call', '{"content":[]}')
}

interface World extends AsyncDisposable {
  readonly running: TestGateway
  readonly server: ScriptedServer
}

async function world(): Promise<World> {
  const scratch = makeScratch()
  const [server, other, secret] = [await scriptedHttp(), await scriptedHttp(), await scriptedHttp()]
  await hiding(server)
  const others = Array.from({ length: 100 }, (_, at) => ({ effect: 'deny', match: [`other/nothing_${at}`] }))
  const ci = {
    rules: [...others, { effect: 'deny', match: ['files/*hidden*', 'secret/*'] }],
    rate: '1000000/min',
    budget: { calls: '1000000/day' },
  }
  const running = await startGateway({
    mcpServers: { files: server.entry, other: other.entry, secret: secret.entry },
    clients: withKeys({ ci, all: {} }),
    profiles: { hidden: { tools: ['secret/*'] } },
    gateway: { audit: { file: `${scratch.path}/audit.jsonl` } },
  })
  await running.gateway.warmUp()
  return {
    running,
    server,
    async [Symbol.asyncDispose]() {
      await running[Symbol.asyncDispose]()
      for (const each of [server, other, secret]) await each[Symbol.asyncDispose]()
      await scratch[Symbol.asyncDispose]()
    },
  }
}

/** A client on one kept connection. */
class Wire implements Disposable {
  readonly #connection: Connection
  readonly #headers: Record<string, string>
  #session = ''

  constructor(origin: string, client: string, modern: boolean) {
    const { hostname, port, host } = new URL(origin)
    this.#connection = new Connection(hostname, Number(port))
    this.#headers = {
      host,
      ...JSON_HEADERS,
      ...(bearer(keyOf(client)) as Record<string, string>),
      'mcp-protocol-version': modern ? '2026-07-28' : '2025-11-25',
    }
  }

  async open(): Promise<this> {
    const { head } = await this.send('initialize', INITIALIZE)
    this.#session = /\r\nmcp-session-id: ([^\r]*)/.exec(head)?.[1] ?? ''
    return this
  }

  send(
    method: string,
    params: string,
    more: Record<string, string> = {},
  ): Promise<{ status: number; head: string; body: string }> {
    const body = requestText('1', method, params)
    const headers = {
      ...this.#headers,
      ...(this.#session !== '' && { 'mcp-session-id': this.#session }),
      ...more,
      'content-length': String(Buffer.byteLength(body)),
    }
    const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`)
    return this.#connection.send(`POST /mcp HTTP/1.1\r\n${lines.join('')}\r\n${body}`)
  }

  [Symbol.dispose](): void {
    this.#connection.close()
  }
}

/** An answer without what differs between any two of them. */
function bare({ status, head, body }: { status: number; head: string; body: string }, name: string): string {
  return `${status}\n${head}\n${body}`
    .replaceAll(name, 'NAME')
    .replace(/\r\ndate: [^\r]*/, '')
    .replace(/"errorId":"\w+"/, '"errorId":""')
}

/** What asks for something by its name: method, parameters, and the name or URI around the part that differs. */
const QUESTIONS: [method: string, params: (name: string) => string, of: (part: string) => string][] = [
  ['tools/call', name => `{"name":"${name}","arguments":{}}`, part => `files__${part}`],
  ['tools/call', name => `{"name":"${name}","arguments":{}}`, part => part],
  ['tools/call', name => `{"name":"${name}","arguments":{"region":"x"}}`, part => `files__${part}_param`],
  ['prompts/get', name => `{"name":"${name}"}`, part => `files__${part}`],
  ['resources/read', uri => `{"uri":"${uri}"}`, part => `x://${part}`],
  ['resources/read', uri => `{"uri":"${uri}"}`, part => `t://${part}/1`],
  [
    'completion/complete',
    name => `{"ref":{"type":"ref/prompt","name":"${name}"},"argument":{"name":"a","value":""}}`,
    part => `files__${part}`,
  ],
  [
    'completion/complete',
    uri => `{"ref":{"type":"ref/resource","uri":"${uri}"},"argument":{"name":"a","value":""}}`,
    part => `t://${part}/{a}`,
  ],
]
const LEGACY_QUESTIONS: typeof QUESTIONS = [
  ['resources/subscribe', uri => `{"uri":"${uri}"}`, part => `x://${part}`],
  ['resources/unsubscribe', uri => `{"uri":"${uri}"}`, part => `x://${part}`],
  ['tasks/get', id => `{"taskId":"${id}"}`, part => part],
]
const MODERN_QUESTIONS: typeof QUESTIONS = [['tasks/get', id => `{"taskId":"${id}"}`, part => part]]

describe.each([false, true])('over HTTP, modern: %s', modern => {
  test('what is denied and what is not there get the same bytes, in the same time', async () => {
    await using made = await world()
    using wire = new Wire(made.running.origin, 'ci', modern)
    if (!modern) await wire.open()
    for (const [method, params, of] of [...QUESTIONS, ...(modern ? MODERN_QUESTIONS : LEGACY_QUESTIONS)]) {
      const send = (name: string): ReturnType<Wire['send']> =>
        modern
          ? wire.send(method, withEnvelope(params(name)), { 'mcp-method': method, 'mcp-name': name })
          : wire.send(method, params(name))
      const [denied, unknown] = [of(HIDDEN as string), of(ABSENT as string)]
      const what = `${method} ${denied}`
      const answers = [await send(denied), await send(unknown)] as const
      expect(answers[0].body, what).toContain('"error":')
      expect(bare(answers[0], denied), what).toBe(bare(answers[1], unknown))
      const times: Record<string, number[]> = { [denied]: [], [unknown]: [] }
      for (let round = 0; round < 100; round++)
        for (const name of round % 2 ? [denied, unknown] : [unknown, denied]) {
          const started = performance.now()
          await send(name)
          times[name]?.push(performance.now() - started)
        }
      const [a, b] = [median(times[denied] as number[]), median(times[unknown] as number[])]
      // Both are a few look-ups; a wait, or a question to a server, would take far longer.
      expect(Math.abs(a - b), `${what}: ${a} and ${b} ms`).toBeLessThan(0.5 * Math.max(a, b) + 1)
    }
    const asked = /tools\/call|prompts\/get|resources\/read|completion|subscribe/
    expect(made.server.messages.all.filter(text => asked.test(text))).toEqual([])
  })

  test('and a client that may see it gets another answer', async () => {
    await using made = await world()
    using wire = new Wire(made.running.origin, 'all', modern)
    if (!modern) await wire.open()
    const params = '{"name":"files__hidden","arguments":{}}'
    const { body } = modern
      ? await wire.send('tools/call', withEnvelope(params), {
          'mcp-method': 'tools/call',
          'mcp-name': 'files__hidden',
        })
      : await wire.send('tools/call', params)
    expect(body).toContain('"content":[]')
  })
})

test('headers that a tool wants are no way to find it', async () => {
  await using made = await world()
  const call = async (client: string, name: string): Promise<string> => {
    using wire = new Wire(made.running.origin, client, true)
    const params = withEnvelope(`{"name":"${name}","arguments":{"region":"x"}}`)
    const headers = { 'mcp-method': 'tools/call', 'mcp-name': name, 'mcp-param-region': 'y' }
    return bare(await wire.send('tools/call', params, headers), name)
  }
  expect(await call('all', 'files__hidden_param')).toContain('Mcp-Param-Region')
  for (const prefix of ['', 'files__']) {
    const denied = await call('ci', `${prefix}hidden_param`)
    expect(denied).toBe(await call('ci', `${prefix}absent_param`))
    expect(denied).toContain('Unknown tool')
  }
})

test('a listen stream acknowledges neither', async () => {
  await using made = await world()
  const acknowledged = async (uri: string): Promise<string> => {
    const response = await http(`${made.running.origin}/mcp`, {
      headers: {
        ...JSON_HEADERS,
        ...bearer(keyOf('ci')),
        'mcp-protocol-version': '2026-07-28',
        'mcp-method': 'subscriptions/listen',
      },
      body: requestText(
        '1',
        'subscriptions/listen',
        withEnvelope(`{"notifications":{"resourceSubscriptions":["${uri}"]}}`),
      ),
    })
    const { data } = await response.events.take()
    response.destroy()
    return data
  }
  made.server.results.set('resources/subscribe', '{}')
  expect(await acknowledged('x://open')).toContain('x://open')
  expect(await acknowledged('x://hidden')).toBe(await acknowledged('x://absent'))
})

describe('an endpoint at which nothing may be seen', () => {
  // A server, and a profile.
  test.each(['secret', 'hidden'])('is none: %s', async name => {
    await using made = await world()
    const { origin } = made.running
    const absent = 'q'.repeat(name.length)
    const answer = async (
      path: string,
      of: string,
      request: { method: string; headers?: OutgoingHttpHeaders; body?: string },
    ): Promise<string> => {
      const { headers = {}, ...rest } = request
      const sent = { ...JSON_HEADERS, ...headers }
      const response = await http(`${origin}${path}${of}`, { ...rest, headers: sent })
      const body = response.status === 200 && path === '/sse/' ? '' : await response.body
      response.destroy()
      const head = Object.entries(response.headers).map(([key, value]) => `\r\n${key}: ${String(value)}`)
      return bare({ status: response.status, head: head.join(''), body }, of)
    }
    const initialize = requestText('1', 'initialize', INITIALIZE)
    const modern = requestText('1', 'tools/list', withEnvelope())
    for (const [path, request, ours] of [
      ['/mcp/', { method: 'POST', body: initialize }, '200'],
      ['/mcp/', { method: 'POST', body: modern }, '400'],
      ['/mcp/', { method: 'GET' }, '400'],
      ['/mcp/', { method: 'DELETE' }, '400'],
      ['/mcp/', { method: 'PUT' }, '405'],
      ['/mcp/', { method: 'OPTIONS' }, '204'],
      ['/sse/', { method: 'GET' }, '200'],
      ['/.well-known/oauth-protected-resource/mcp/', { method: 'GET' }, '404'],
    ] as const) {
      const what = `${request.method} ${path}`
      const of = (client: string, endpoint: string): Promise<string> =>
        answer(path, endpoint, { ...request, headers: bearer(keyOf(client)) })
      expect(await of('ci', name), what).toBe(await of('ci', absent))
      expect(await answer(path, name, request), `${what}, no key`).toBe(await answer(path, absent, request))
      expect((await of('all', name)).slice(0, 3), what).toBe(ours)
    }
  })

  test('is not named in the readiness report to other machines', async () => {
    await using made = await world()
    const ready = async (client: string | undefined): Promise<unknown> => {
      const credentials = client === undefined ? {} : bearer(keyOf(client))
      const headers = { ...credentials, 'x-forwarded-for': '192.0.2.1' }
      const response = await http(`${made.running.origin}/readyz`, { method: 'GET', headers })
      return JSON.parse(await response.body)
    }
    const named = (names: string[]) => ({
      ready: true,
      servers: names.map(name => expect.objectContaining({ name })),
    })
    expect(await ready('all')).toEqual(named(['files', 'other', 'secret']))
    expect(await ready('ci')).toEqual(named(['files', 'other']))
    expect(await ready(undefined)).toEqual({ ready: true })
  })
})
