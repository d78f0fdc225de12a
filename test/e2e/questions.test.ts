import { Agent } from 'node:http'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { rawAt } from '../../src/protocol/json-text.ts'
import { bearer, keyOf, withKeys } from '../helpers/callers.ts'
import { startGateway } from '../helpers/gateway.ts'
import type { TestGateway } from '../helpers/gateway.ts'
import { scriptedHttp, scriptedStdio } from '../helpers/scripted-servers.ts'
import type { ScriptedRequest, ScriptedServer } from '../helpers/scripted-servers.ts'
import { answerOf, LegacySession, ModernHttp, requestText, withEnvelope } from '../helpers/wire-clients.ts'
import type { WireResponse } from '../helpers/wire-clients.ts'

/** What legacy servers keep for a client is one thing for all of its calls, and what they ask reaches that client. */

const CAPABLE = '{"elicitation":{"form":{}}}'
const EMPTY = '"result":{"content":[]}'
const COUNTING = {
  command: process.execPath,
  args: [fileURLToPath(new URL('../fixtures/servers/counting.js', import.meta.url))],
}

/** A modern client that can be asked. Its calls go on by themselves: it answers what it is asked with the mark of the question. */
class Askable implements AsyncDisposable {
  readonly #client: ModernHttp
  readonly #agent = new Agent({ keepAlive: true })
  readonly #capabilities: string
  #id = 0
  /** Texts of questions, as they came. */
  readonly asked: string[] = []

  constructor(gateway: TestGateway, name?: string, capabilities = CAPABLE) {
    const headers = bearer(name === undefined ? undefined : keyOf(name))
    this.#client = new ModernHttp(gateway.origin, '/mcp', { headers, agent: this.#agent })
    this.#capabilities = capabilities
  }

  /** One request and its answer. `more` are members of `params`, with a comma before each. */
  async once(tool: string, args: string, more = ''): Promise<string> {
    return await answerOf(await this.#post(tool, args, more))
  }

  /** All messages of one request, its answer at the end. */
  async stream(tool: string, args: string, more = ''): Promise<string[]> {
    const response = await this.#post(tool, args, more)
    const body = await response.body
    const isStream = String(response.headers['content-type']).startsWith('text/event-stream')
    return isStream ? response.events.all.map(({ data }) => data) : [body]
  }

  async #post(tool: string, args: string, more: string): Promise<WireResponse> {
    const params = withEnvelope(`{"name":"a__${tool}","arguments":${args}${more}}`).replace(
      'clientCapabilities":{}',
      `clientCapabilities":${this.#capabilities}`,
    )
    return await this.#client.post(String(++this.#id), 'tools/call', params)
  }

  /** A call to its end. */
  async call(tool: string, args = '{}', answer?: (message: string) => string): Promise<string> {
    let text = await this.once(tool, args)
    while (rawAt(text, 'result', 'resultType') === '"input_required"')
      text = await this.retry(tool, args, text, answer)
    return text
  }

  /** The retry that answers what a call was answered with. */
  async retry(
    tool: string,
    args: string,
    asking: string,
    answer = (message: string): string =>
      `{"action":"accept","content":{"mark":${JSON.stringify(message.replace('[a] ', ''))}}}`,
  ): Promise<string> {
    const requests = JSON.parse(rawAt(asking, 'result', 'inputRequests') ?? '{}') as Record<
      string,
      { params?: { message: string } }
    >
    const responses = Object.entries(requests).map(([key, { params }]) => {
      // Roots are asked for without a text.
      const { message = '' } = params ?? {}
      this.asked.push(message)
      return `${JSON.stringify(key)}:${answer(message)}`
    })
    const state = rawAt(asking, 'result', 'requestState')
    return await this.once(tool, args, `,"inputResponses":{${responses.join(',')}},"requestState":${state}`)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#client[Symbol.asyncDispose]()
    // Also what has not been answered yet.
    this.#agent.destroy()
  }
}

interface Counted {
  readonly pid: number
  readonly count: number
  readonly mark: string
  readonly answer?: { content: { mark: string } }
}
const counted = (text: string): Counted =>
  (JSON.parse(text) as { result: { structuredContent: Counted } }).result.structuredContent

/** Processes whose links declare that a client can be asked. */
const processes = (server: ScriptedServer): number =>
  server.messages.all.filter(
    text => rawAt(text, 'method') === '"initialize"' && text.includes('"elicitation"'),
  ).length

async function gatewayFor(server: ScriptedServer, entry: object = {}): Promise<TestGateway> {
  const gateway = await startGateway({
    mcpServers: { a: { ...server.entry, ...entry } },
    clients: withKeys({ one: {}, two: {} }),
  })
  await gateway.gateway.warmUp()
  return gateway
}

const FORM = (message: string): string =>
  `{"message":"${message}","requestedSchema":{"type":"object","properties":{"mark":{"type":"string"}}}}`
const ask = (call: ScriptedRequest, id: string, more = ''): void =>
  call.say(`{"jsonrpc":"2.0","id":"${id}","method":"elicitation/create","params":${FORM(id)}}${more}`)
const answered = (server: ScriptedServer, id: string): Promise<string> =>
  server.messages.take(text => rawAt(text, 'id') === `"${id}"`, `the answer to ${id}`)
/** The call of a tool that was made with this mark. */
const marked = (server: ScriptedServer, mark: string): Promise<ScriptedRequest> =>
  server.requests.take(({ params }) => rawAt(params, 'arguments', 'mark') === `"${mark}"`, `call ${mark}`)
const withMark = (mark: string): string => `{"mark":"${mark}"}`

describe('calls of a modern client that can be asked, at a legacy server over stdio', () => {
  test('run in one process and see one state, also in parallel, and each question is answered', async () => {
    await using gateway = await startGateway({ mcpServers: { a: COUNTING } })
    await gateway.gateway.warmUp()
    await using client = new Askable(gateway)
    const marks = ['1', '2', '3', '4']
    const first = (await Promise.all(marks.map(mark => client.call('ask', withMark(mark))))).map(counted)
    const later = counted(await client.call('count'))
    expect(new Set([...first, later].map(({ pid }) => pid)).size).toBe(1)
    expect(first.map(({ count }) => count).sort((a, b) => a - b)).toEqual([1, 2, 3, 4])
    expect(later.count).toBe(5)
    for (const { mark, answer } of first) expect(answer?.content.mark).toBe(mark)
  })

  test('are those of one principal, and another one has a process and questions of its own', async () => {
    await using gateway = await startGateway({
      mcpServers: { a: COUNTING },
      clients: withKeys({ one: {}, two: {} }),
    })
    await gateway.gateway.warmUp()
    await using one = new Askable(gateway, 'one')
    await using two = new Askable(gateway, 'two')
    const calls = ['1', '2', '3'].flatMap(mark => [
      one.call('ask', withMark(`one ${mark}`)),
      two.call('ask', withMark(`two ${mark}`)),
    ])
    const all = (await Promise.all(calls)).map(counted)
    const pids = (name: string): number[] =>
      all.filter(({ mark }) => mark.startsWith(name)).map(({ pid }) => pid)
    expect(new Set(pids('one')).size).toBe(1)
    expect(new Set(pids('two')).size).toBe(1)
    expect(pids('one')[0]).not.toBe(pids('two')[0])
    for (const { mark, answer } of all) expect(answer?.content.mark).toBe(mark)
    expect(one.asked.every(text => text.startsWith('[a] one'))).toBe(true)
    expect(two.asked.every(text => text.startsWith('[a] two'))).toBe(true)
  })

  test('are asked through the newest of them that can be', async () => {
    await using server = await scriptedStdio()
    await using gateway = await gatewayFor(server)
    await using client = new Askable(gateway, 'one')
    const calling = [client.once('t', withMark('1'))]
    const first = await marked(server, '1')
    calling.push(client.once('t', withMark('2')))
    const second = await marked(server, '2')
    ask(first, 'q')
    const asking = (await calling[1]) ?? ''
    expect(rawAt(asking, 'result', 'inputRequests')).toContain('[a] q')
    const retry = client.retry('t', withMark('2'), asking)
    expect(await answered(server, 'q')).toContain('"content":{"mark":"q"}')
    for (const call of [first, second]) call.answer(EMPTY)
    expect(await retry).toContain('"content":[]')
    expect(await calling[0]).toContain('"content":[]')
    expect(processes(server)).toBe(1)
  })

  test('that end while their client thinks take no question of another call with them', async () => {
    await using server = await scriptedStdio()
    await using gateway = await gatewayFor(server)
    await using client = new Askable(gateway, 'one')
    const calling = [client.once('t', withMark('1'))]
    const first = await marked(server, '1')
    calling.push(client.once('t', withMark('2')))
    const second = await marked(server, '2')
    ask(first, 'q')
    const asking = (await calling[1]) ?? ''
    second.answer('"result":{"content":[],"x":2}')
    // The client comes back with the answer to what the other call needs, and gets the result of this one.
    expect(await client.retry('t', withMark('2'), asking)).toContain('"x":2')
    expect(await answered(server, 'q')).toContain('"content":{"mark":"q"}')
    first.answer('"result":{"content":[],"x":1}')
    expect(await calling[0]).toContain('"x":1')
  })

  test('that wait for their client leave log records to the one that is open, and to none where two are', async () => {
    await using server = await scriptedStdio()
    await using gateway = await gatewayFor(server)
    await using client = new Askable(gateway, 'one')
    const level = ',"_meta":{"io.modelcontextprotocol/logLevel":"info"}'
    const record = (data: string): string =>
      `{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":"${data}"}}`
    const asking = client.once('t', withMark('1'), level)
    ask(await marked(server, '1'), 'q')
    expect(rawAt(await asking, 'result', 'resultType')).toBe('"input_required"')
    // Its client never comes back for the first call.
    const open = client.stream('t', withMark('2'), level)
    const second = await marked(server, '2')
    second.say(record('of the second'))
    second.answer(EMPTY)
    expect(await open).toContainEqual(expect.stringContaining('of the second'))
    const both = [client.stream('t', withMark('3'), level), client.stream('t', withMark('4'), level)]
    const [third, fourth] = [await marked(server, '3'), await marked(server, '4')]
    third.say(record('of one of two'))
    for (const call of [third, fourth]) call.answer(EMPTY)
    for (const heard of await Promise.all(both)) expect(heard).toHaveLength(1)
    expect(processes(server)).toBe(1)
  })

  test('that are cancelled leave their questions to the others', async () => {
    await using server = await scriptedStdio()
    await using gateway = await gatewayFor(server)
    await using client = new Askable(gateway, 'one')
    await using leaving = new Askable(gateway, 'one')
    const calling = client.once('t', withMark('1'))
    const first = await marked(server, '1')
    const left = leaving.once('t', withMark('2')).catch(() => undefined)
    await marked(server, '2')
    await leaving[Symbol.asyncDispose]()
    await left
    await server.notifications.take(text => text.includes('notifications/cancelled'))
    // The server may still be working on it.
    ask(first, 'q')
    const asking = await calling
    expect(rawAt(asking, 'result', 'inputRequests')).toContain('[a] q')
    const retry = client.retry('t', withMark('1'), asking)
    expect(await answered(server, 'q')).toContain('"content":{"mark":"q"}')
    first.answer(EMPTY)
    expect(await retry).toContain('"content":[]')
  })

  test('that end before their client has received a question leave it to the others', async () => {
    await using server = await scriptedStdio()
    await using gateway = await gatewayFor(server)
    await using client = new Askable(gateway, 'one')
    const calling = [client.once('t', withMark('1'))]
    const first = await marked(server, '1')
    calling.push(client.once('t', withMark('2')))
    const second = await marked(server, '2')
    // In one piece, so that nothing comes between the two.
    const answer = `{"jsonrpc":"2.0","id":${second.id},"result":{"content":[],"x":2}}`
    ask(first, 'q', `\n${answer}`)
    expect(await calling[1]).toContain('"x":2')
    const asking = (await calling[0]) ?? ''
    expect(rawAt(asking, 'result', 'inputRequests')).toContain('[a] q')
    const retry = client.retry('t', withMark('1'), asking)
    expect(await answered(server, 'q')).toContain('"content":{"mark":"q"}')
    first.answer('"result":{"content":[],"x":1}')
    expect(await retry).toContain('"x":1')
  })

  test('have a process each where the configuration says so', async () => {
    await using server = await scriptedStdio()
    await using gateway = await gatewayFor(server, { isolation: 'call' })
    await using client = new Askable(gateway, 'one')
    const calling = ['1', '2'].map(mark => client.call('t', withMark(mark)))
    const calls = [await marked(server, '1'), await marked(server, '2')]
    expect(processes(server)).toBe(2)
    for (const [at, call] of calls.entries()) ask(call, `q${at}`)
    for (const at of calls.keys())
      expect(await answered(server, `q${at}`)).toContain(`"content":{"mark":"q${at}"}`)
    for (const call of calls) call.answer(EMPTY)
    for (const answer of await Promise.all(calling)) expect(answer).toContain('"content":[]')
  })

  test('cannot ask their client once they are over', async () => {
    await using server = await scriptedStdio()
    await using gateway = await gatewayFor(server)
    await using client = new Askable(gateway, 'one')
    const calling = client.once('t', withMark('1'))
    const call = await marked(server, '1')
    call.answer(EMPTY)
    await calling
    ask(call, 'late')
    expect(rawAt(await answered(server, 'late'), 'error', 'message')).toContain('cannot be attributed')
  })
})

describe('a client that answers a question with an error', () => {
  const ERROR = String.raw`{ "code":-1,"message":"User said \u006eo", "data":{"2":12345678901234567890,"1":1.0}}`
  const legacy = (gateway: TestGateway): Promise<LegacySession> =>
    LegacySession.open(gateway.origin, { capabilities: '{"elicitation":{},"sampling":{}}' })
  /** Answers the next question on the stream of a call. */
  const refuse = async (client: LegacySession, calling: ReturnType<LegacySession['post']>) => {
    const posted = await calling
    const { data } = await posted.events.take(event => event.data.includes('"method"'), 'the question')
    await (
      await client.post(`{"jsonrpc":"2.0","id":${rawAt(data, 'id')},"error":${ERROR}}`)
    ).body
    return posted
  }
  const SAMPLE = '{"maxTokens":1,"messages":[{"role":"user","content":{"type":"text","text":"x"}}]}'

  test.each([
    ['stdio', scriptedStdio],
    ['HTTP', scriptedHttp],
  ])('arrives as a legacy server sent it over %s', async (_, start) => {
    await using server = await start()
    await using gateway = await startGateway({ mcpServers: { a: server.entry } })
    await gateway.gateway.warmUp()
    await using client = await legacy(gateway)
    const calling = client.post(requestText('1', 'tools/call', '{"name":"a__t"}'))
    const call = await server.called('t')
    call.say(`{"jsonrpc":"2.0","id":"q","method":"sampling/createMessage","params":${SAMPLE}}`)
    const posted = await refuse(client, calling)
    expect(await answered(server, 'q')).toBe(`{"jsonrpc":"2.0","id":"q","error":${ERROR}}`)
    call.answer(EMPTY)
    await posted.body
  })

  test('arrives as a legacy server sent it, also when it answers in a round', async () => {
    await using server = await scriptedStdio()
    await using gateway = await gatewayFor(server)
    await using client = new Askable(gateway, 'one')
    const calling = client.once('t', withMark('1'))
    const call = await marked(server, '1')
    ask(call, 'q')
    const retry = client.retry('t', withMark('1'), await calling, () => `{"error":${ERROR}}`)
    expect(await answered(server, 'q')).toBe(`{"jsonrpc":"2.0","id":"q","error":${ERROR}}`)
    call.answer(EMPTY)
    expect(await retry).toContain('"content":[]')
  })

  const modern = async (): Promise<ScriptedServer> => {
    const server = await scriptedHttp()
    server.results.set('server/discover', '{"supportedVersions":["2026-07-28"],"capabilities":{"tools":{}}}')
    return server
  }
  const asking = `"result":{"resultType":"input_required","inputRequests":{"q":{"method":"elicitation/create","params":${FORM('q')}}},"requestState":"s"}`

  test('ends its call with that error where the server is modern, whose rounds have no errors', async () => {
    await using server = await modern()
    await using gateway = await startGateway({ mcpServers: { a: server.entry } })
    await gateway.gateway.warmUp()
    await using client = await legacy(gateway)
    const calling = client.post(requestText('1', 'tools/call', '{"name":"a__t"}'))
    ;(await server.called('t')).answer(asking)
    const posted = await refuse(client, calling)
    expect(await answerOf(posted)).toBe(`{"jsonrpc":"2.0","id":1,"error":${ERROR}}`)
    expect(server.requests.left).toEqual([])
  })

  test('is passed on as it is from a modern client to a modern server', async () => {
    await using server = await modern()
    await using gateway = await gatewayFor(server)
    await using client = new Askable(gateway, 'one')
    const calling = client.once('t', '{}')
    ;(await server.called('t')).answer(asking)
    const retry = client.retry('t', '{}', await calling, () => `{"error":${ERROR}}`)
    const second = await server.called('t')
    expect(rawAt(second.params, 'inputResponses')).toBe(`{"q":{"error":${ERROR}}}`)
    second.answer('"result":{"resultType":"complete","content":[]}')
    expect(await retry).toContain('"content":[]')
  })
})

describe('the text of a question names its server', () => {
  test.each(['legacy', 'modern'])('before a modern client, when the server is %s', async era => {
    await using server = await scriptedHttp()
    if (era === 'modern')
      server.results.set(
        'server/discover',
        '{"supportedVersions":["2026-07-28"],"capabilities":{"tools":{}}}',
      )
    await using gateway = await gatewayFor(server)
    await using client = new Askable(gateway, 'one')
    const calling = client.once('t', '{}')
    const call = await server.called('t')
    const form = String.raw`{ "message":"\u0061sk","requestedSchema":{"type":"object","properties":{"n":{"type":"number","default":1.0}}}}`
    if (era === 'legacy')
      call.say(`{"jsonrpc":"2.0","id":"q","method":"elicitation/create","params":${form}}`)
    else
      call.answer(
        `"result":{"resultType":"input_required","inputRequests":{"elicitation-1":{"method":"elicitation/create","params":${form}}},"requestState":"s"}`,
      )
    const asked = await calling
    const params = rawAt(asked, 'result', 'inputRequests', 'elicitation-1', 'params')
    expect(params).toBe(
      '{"message":"[a] ask","requestedSchema":{"type":"object","properties":{"n":{"type":"number","default":1.0}}}}',
    )
    const retry = client.retry('t', '{}', asked)
    if (era === 'legacy') {
      await answered(server, 'q')
      call.answer(EMPTY)
    } else (await server.called('t')).answer('"result":{"resultType":"complete","content":[]}')
    expect(await retry).toContain('"content":[]')
  })
})

describe('a legacy server that asks a modern client for roots', () => {
  const ROOTS = '{"roots":[{"uri":"file:///x","n":1.0}]}'
  const ASK = '{"jsonrpc":"2.0","id":"r","method":"roots/list"}'
  const rooted = (gateway: TestGateway): Askable => new Askable(gateway, 'one', '{"roots":{}}')
  const answer = (): string => ROOTS
  /** On the link of the client; that which lists the server has no client. */
  const heard = (server: ScriptedServer): Promise<string> =>
    server.messages.take(text => text === `{"jsonrpc":"2.0","id":"r","result":${ROOTS}}`, 'the roots')

  describe.each([
    ['stdio', scriptedStdio],
    ['HTTP', () => scriptedHttp({ sessions: true })],
  ])('over %s', (_, start) => {
    test('gets them on the standalone stream while one of its calls is in flight', async () => {
      await using server = await start()
      await using gateway = await gatewayFor(server)
      await using client = rooted(gateway)
      const calling = client.call('t', withMark('1'), answer)
      const call = await marked(server, '1')
      server.say(ASK)
      await heard(server)
      call.answer(EMPTY)
      expect(await calling).toContain('"content":[]')
    })

    test('gets them while many are, and after one was cancelled', async () => {
      await using server = await start()
      await using gateway = await gatewayFor(server)
      await using leaving = rooted(gateway)
      const left = leaving.once('t', withMark('0')).catch(() => undefined)
      await marked(server, '0')
      await leaving[Symbol.asyncDispose]()
      await left
      await server.notifications.take(text => text.includes('notifications/cancelled'))
      await using client = rooted(gateway)
      const marks = ['1', '2', '3', '4']
      const calling = marks.map(mark => client.call('t', withMark(mark), answer))
      const calls = await Promise.all(marks.map(mark => marked(server, mark)))
      server.say(ASK)
      await heard(server)
      for (const call of calls) call.answer(EMPTY)
      for (const text of await Promise.all(calling)) expect(text).toContain('"content":[]')
    })

    test('gets them before the next call when none is in flight', async () => {
      await using server = await start()
      await using gateway = await gatewayFor(server)
      await using client = rooted(gateway)
      const calling = client.call('t', withMark('1'), answer)
      ;(await marked(server, '1')).answer(EMPTY)
      await calling
      server.say(ASK)
      // What is answered at once has come after it.
      server.say('{"jsonrpc":"2.0","id":"p","method":"ping"}')
      await answered(server, 'p')
      const next = client.call('t', withMark('2'), answer)
      const roots = await heard(server)
      const call = await marked(server, '2')
      expect(server.messages.all.indexOf(roots)).toBeLessThan(server.messages.all.indexOf(call.text))
      call.answer(EMPTY)
      expect(await next).toContain('"content":[]')
    })
  })
})
