import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { Cancellation } from '../../../../src/core/cancellation.ts'
import { Deadlines } from '../../../../src/core/deadlines.ts'
import { GatewayError } from '../../../../src/core/errors.ts'
import type { Exchange, Json } from '../../../../src/core/exchange.ts'
import { SILENT } from '../../../../src/core/logger.ts'
import { Link, type LinkListener } from '../../../../src/upstream/link/link.ts'
import type { Peer } from '../../../../src/upstream/link/link-contract.ts'
import { UpstreamRpcError } from '../../../../src/upstream/link/rpc-error.ts'
import { deferred } from '../../../helpers/deferred.ts'
import { exchangeOf, FakeTransport, replicaOf, serverConfig } from '../../../helpers/fake-transport.ts'

let deadlines: Deadlines
beforeEach(() => {
  vi.useFakeTimers()
  deadlines = new Deadlines()
})
afterEach(() => {
  deadlines.close()
  vi.useRealTimers()
})

interface Heard {
  readonly method: string
  readonly params: Json | undefined
  readonly among: readonly Exchange[]
}

async function linkOf(
  options: {
    era?: Peer['era']
    kind?: FakeTransport['kind']
    capabilities?: Peer['capabilities']
    answers?: LinkListener['onRequest']
  } = {},
): Promise<{ link: Link; transport: FakeTransport; heard: Heard[]; lost: GatewayError[] }> {
  const { era = 'legacy', kind = 'stdio', capabilities = {}, answers } = options
  const transport = new FakeTransport({}, kind)
  const heard: Heard[] = []
  const lost: GatewayError[] = []
  const link = new Link({
    server: serverConfig(),
    replica: replicaOf(serverConfig()),
    transport,
    deadlines,
    logger: SILENT,
    clientInfo: '{"name":"gateway","version":"1"}',
    capabilities: '{}',
    owner: undefined,
    listener: {
      onNotification: (_, method, params, among) => void heard.push({ method, params, among }),
      onRequest: answers ?? (() => Promise.reject(new GatewayError('unknown_method', 'Not here.'))),
      onLost: (_, error) => void lost.push(error),
      onGap: () => {},
    },
  })
  await transport.open(link)
  link.establish({
    era,
    protocolVersion: era === 'modern' ? '2026-07-28' : '2025-11-25',
    capabilities,
    instructions: undefined,
    serverInfo: '{}',
  })
  return { link, transport, heard, lost }
}

const CALL = { method: 'tools/call', change: { target: { key: 'name', value: 'own' } } } as const
const toolCall = (changes: Parameters<typeof exchangeOf>[2] = {}): ReturnType<typeof exchangeOf> =>
  exchangeOf('tools/call', { name: 'fake__own', arguments: { a: 1 } }, changes)

async function failureOf(promise: Promise<unknown>): Promise<GatewayError> {
  return await promise.then(
    () => {
      throw new Error('it did not fail')
    },
    (error: GatewayError) => error,
  )
}

describe('calls', () => {
  it('go out under ids from 1 on, with the own name of the tool, and answers find theirs', async () => {
    const { link, transport } = await linkOf()
    const calls = [link.call(toolCall(), CALL), link.call(toolCall(), CALL)]
    expect(transport.of('tools/call')).toEqual([
      { jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'own', arguments: { a: 1 } } },
      { jsonrpc: '2.0', id: 2, method: 'tools/call', params: { name: 'own', arguments: { a: 1 } } },
    ])
    expect(link.inFlight).toBe(2)
    transport.say('{"jsonrpc":"2.0","id":2,"result":{"2":1.0,"1":[]}}')
    transport.say('{"error":{"code":-32050,"message":"no","data":1.0},"id":1,"jsonrpc":"2.0"}')
    expect(await calls[1]).toMatchObject({ kind: 'result', text: '{"2":1.0,"1":[]}', modern: false })
    expect(await calls[0]).toMatchObject({ kind: 'error', text: '{"code":-32050,"message":"no","data":1.0}' })
    expect(link.inFlight).toBe(0)
  })

  it('ignore answers without a request, repeated answers, and ids of another type', async () => {
    const { link, transport } = await linkOf()
    const call = link.call(toolCall(), CALL)
    transport.say({ jsonrpc: '2.0', id: 99, result: {} })
    transport.say({ jsonrpc: '2.0', id: '1', result: { wrong: true } })
    transport.say({ jsonrpc: '2.0', result: {} })
    transport.say('17')
    transport.say([])
    expect(link.inFlight).toBe(1)
    transport.say({ jsonrpc: '2.0', id: 1, result: { right: true } })
    transport.say({ jsonrpc: '2.0', id: 1, result: { again: true } })
    expect(await call).toMatchObject({ value: { right: true } })
  })

  it('take their answers from a batch', async () => {
    const { link, transport } = await linkOf()
    const calls = [link.call(toolCall(), CALL), link.call(toolCall(), CALL)]
    transport.say(
      '[ {"jsonrpc":"2.0","id":2,"result":{"b":1.0}} , {"jsonrpc":"2.0","id":1,"result":{"a":1.0}} ]',
    )
    expect(await Promise.all(calls)).toMatchObject([{ text: '{"a":1.0}' }, { text: '{"b":1.0}' }])
  })

  it('to a modern server carry its envelope and its headers', async () => {
    const { link, transport } = await linkOf({ era: 'modern', kind: 'http' })
    void link.call(toolCall({ logLevel: 'info' }), { ...CALL, headers: { 'mcp-param-a': '1' } })
    expect(transport.of('tools/call')[0]?.params).toMatchObject({
      name: 'own',
      _meta: {
        'io.modelcontextprotocol/protocolVersion': '2026-07-28',
        'io.modelcontextprotocol/clientInfo': { name: 'gateway' },
        'io.modelcontextprotocol/clientCapabilities': {},
        'io.modelcontextprotocol/logLevel': 'info',
      },
    })
    expect(transport.sent[0]?.headers).toEqual({ 'mcp-param-a': '1', 'mcp-name': 'own' })
  })

  it.each([
    { what: 'a line that breaks off, id in front', text: '{"jsonrpc":"2.0","id":1,"result":{"a":' },
    { what: 'a line that breaks off, id behind', text: '{"result":{"a":[,"jsonrpc":"2.0","id":1}' },
    { what: 'a line without an id while one waits', text: '{"jsonrpc":"2.0","result":{' },
    { what: 'neither result nor error', text: '{"jsonrpc":"2.0","id":1}' },
    { what: 'an error that is no object', text: '{"jsonrpc":"2.0","id":1,"error":"no"}' },
  ])('fail by $what', async ({ text }) => {
    const { link, transport } = await linkOf()
    const call = failureOf(link.call(toolCall(), CALL))
    transport.say(text)
    expect(await call).toMatchObject({ code: 'upstream_protocol', delivery: 'unknown', server: 'fake' })
    expect(link.usable).toBe(true)
  })

  it('do not fail by what only looks like a message', async () => {
    const { link, transport } = await linkOf()
    const call = link.call(toolCall(), CALL)
    for (const text of ['[info] ready', '{ level: 30 }', '{"level":30', '{}', '{"level":30,"msg":"x"}'])
      transport.say(text)
    transport.answer(1, { result: {} })
    expect(await call).toMatchObject({ kind: 'result' })
  })

  it('fail by a garbled message on their own stream, and by an error without an id there', async () => {
    const { link, transport } = await linkOf({ kind: 'http' })
    const calls = [
      failureOf(link.call(toolCall(), CALL)),
      link.call(toolCall(), CALL),
      link.call(toolCall(), CALL),
    ]
    transport.say('<html>', 1)
    transport.say('{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"what?"}}', 2)
    expect(await calls[0]).toMatchObject({ code: 'upstream_protocol' })
    expect(await calls[1]).toMatchObject({ kind: 'error' })
    expect(link.inFlight).toBe(1)
  })
})

describe('deadlines', () => {
  it('end a call, name its setting, and cancel it at the server', async () => {
    const { link, transport } = await linkOf()
    const call = failureOf(link.call(toolCall(), CALL))
    await vi.advanceTimersByTimeAsync(9900)
    expect(link.inFlight).toBe(1)
    await vi.advanceTimersByTimeAsync(600)
    const error = await call
    expect(error).toMatchObject({ code: 'upstream_timeout', delivery: 'unknown', server: 'fake' })
    expect(error.message).toBe(
      'Server "fake" did not answer tools/call within 10 s. Try again, or raise "timeout" of this server.',
    )
    expect(transport.of('notifications/cancelled')).toMatchObject([{ params: { requestId: 1 } }])
    expect(transport.abandoned).toEqual([1])
    // A late answer belongs to no call.
    transport.answer(1, { result: {} })
  })

  it.each([
    { method: 'initialize', setting: 'startTimeout' },
    { method: 'server/discover', setting: 'startTimeout' },
    { method: 'tools/list', setting: 'listTimeout' },
  ])('of $method is "$setting"', async ({ method, setting }) => {
    const { link } = await linkOf()
    const request = failureOf(link.request(method, undefined, 1000))
    await vi.advanceTimersByTimeAsync(1500)
    expect((await request).message).toContain(`within 1 s. Try again, or raise "${setting}"`)
  })

  it('begin anew with each sign of progress, which reaches the client under its own token', async () => {
    const { link, transport } = await linkOf()
    const exchange = toolCall({ progressToken: '"t-1"' })
    const call = link.call(exchange, CALL)
    expect(transport.of('tools/call')[0]?.params).toMatchObject({ _meta: { progressToken: 1 } })
    for (let n = 1; n <= 5; n++) {
      await vi.advanceTimersByTimeAsync(8000)
      transport.say(
        `{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":1,"progress":${n}.0}}`,
      )
    }
    expect(exchange.heard.map(({ params }) => params)).toEqual(
      [1, 2, 3, 4, 5].map(n => `{"progressToken":"t-1","progress":${n}.0}`),
    )
    transport.answer(1, { result: {} })
    expect(await call).toMatchObject({ kind: 'result' })
    // After the answer it belongs to no call.
    transport.say(
      '{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":1,"progress":9}}',
    )
    expect(exchange.heard).toHaveLength(5)
    expect(deadlines.size).toBe(0)
  })

  it('are not extended by progress for a call without a progress token', async () => {
    const { link, transport, heard } = await linkOf()
    const exchange = toolCall()
    const call = failureOf(link.call(exchange, CALL))
    transport.say(
      '{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":1,"progress":1}}',
    )
    transport.say(
      '{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":"1","progress":1}}',
    )
    transport.say('{"jsonrpc":"2.0","method":"notifications/progress"}')
    expect(exchange.heard).toEqual([])
    expect(heard).toEqual([])
    await vi.advanceTimersByTimeAsync(11_000)
    expect(await call).toMatchObject({ code: 'upstream_timeout' })
  })
})

describe('cancelling', () => {
  it('ends the call at once and tells the server', async () => {
    const { link, transport } = await linkOf()
    const exchange = toolCall()
    const call = failureOf(link.call(exchange, CALL))
    exchange.cancellation.cancel('enough')
    exchange.cancellation.cancel('twice')
    expect(await call).toMatchObject({ code: 'cancelled' })
    expect(transport.of('notifications/cancelled')).toMatchObject([
      { params: { requestId: 1, reason: 'enough' } },
    ])
    expect(transport.abandoned).toEqual([1])
    // An answer after all: nothing is waited for any more.
    transport.answer(1, { result: {} })
    expect(deadlines.size).toBe(0)
  })

  it('before it was sent sends nothing', async () => {
    const { link, transport } = await linkOf()
    const exchange = toolCall()
    exchange.cancellation.cancel('changed my mind')
    const error = await failureOf(link.call(exchange, CALL))
    expect(error).toMatchObject({ code: 'cancelled', delivery: 'not_sent', unfinished: undefined })
    expect(transport.sent).toEqual([])
    expect(link.inFlight).toBe(0)
  })

  it('after the answer does nothing', async () => {
    const { link, transport } = await linkOf()
    const exchange = toolCall()
    const call = link.call(exchange, CALL)
    transport.answer(1, { result: {} })
    await call
    exchange.cancellation.cancel('too late')
    expect(transport.of('notifications/cancelled')).toEqual([])
  })

  it('on modern HTTP is the end of the stream and no message', async () => {
    const { link, transport } = await linkOf({ era: 'modern', kind: 'http' })
    const exchange = toolCall()
    const call = failureOf(link.call(exchange, CALL))
    exchange.cancellation.cancel('enough')
    await call
    expect(transport.of('notifications/cancelled')).toEqual([])
    expect(transport.abandoned).toEqual([1])
  })
})

describe('what was given up', () => {
  /** A call that was cancelled, and whether the server counts as done with it. */
  async function givenUp(): Promise<
    Awaited<ReturnType<typeof linkOf>> & { error: GatewayError; ended: boolean }
  > {
    const made = await linkOf()
    const exchange = toolCall()
    const call = failureOf(made.link.call(exchange, CALL))
    exchange.cancellation.cancel('enough')
    const result = { ...made, error: await call, ended: false }
    result.error.unfinished?.onEnd(() => (result.ended = true))
    return result
  }

  it('ends with an answer', async () => {
    const result = await givenUp()
    expect(result.ended).toBe(false)
    result.transport.answer(7, { result: {} })
    expect(result.ended).toBe(false)
    result.transport.answer(1, { error: { code: -32000, message: 'stopped' } })
    expect(result.ended).toBe(true)
  })

  it('ends with the link', async () => {
    const result = await givenUp()
    await result.link.close()
    expect(result.ended).toBe(true)
    expect(deadlines.size).toBe(0)
  })

  it('ends after ten seconds', async () => {
    const result = await givenUp()
    await vi.advanceTimersByTimeAsync(9900)
    expect(result.ended).toBe(false)
    await vi.advanceTimersByTimeAsync(600)
    expect(result.ended).toBe(true)
    expect(deadlines.size).toBe(0)
  })

  it('goes on after its time as after a cancellation', async () => {
    const { link, transport } = await linkOf()
    const call = failureOf(link.call(toolCall(), CALL))
    await vi.advanceTimersByTimeAsync(11_000)
    const { code, unfinished } = await call
    expect(code).toBe('upstream_timeout')
    let ended = false
    unfinished?.onEnd(() => (ended = true))
    expect(ended).toBe(false)
    transport.answer(1, { result: {} })
    expect(ended).toBe(true)
  })

  it('is nothing where the request had not been written', async () => {
    const { link, transport } = await linkOf()
    transport.abandon = () => true
    const exchange = toolCall()
    const call = failureOf(link.call(exchange, CALL))
    exchange.cancellation.cancel('enough')
    expect((await call).unfinished).toBeUndefined()
    expect(deadlines.size).toBe(0)
  })
})

describe('what a server says unasked', () => {
  it('reaches the listener with the calls it may belong to', async () => {
    const { link, transport, heard } = await linkOf({ kind: 'http' })
    const [one, two] = [toolCall(), toolCall()]
    void link.call(one, CALL)
    void link.call(two, CALL)
    const note = '{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":1.0}}'
    transport.say(note)
    transport.say(note, 2)
    transport.say(note, 77)
    expect(heard.map(({ among }) => among)).toEqual([[one, two], [two], []])
    expect(heard[0]?.params?.text).toBe('{"level":"info","data":1.0}')
  })

  it('is answered when it asks: ping here, the rest by the listener, under its own id', async () => {
    const { transport } = await linkOf({
      answers: (_, method) =>
        method === 'roots/list'
          ? Promise.resolve('{"roots":[]}')
          : Promise.reject(new GatewayError('cannot_ask', 'Nobody there.')),
    })
    transport.say('{"jsonrpc":"2.0","id":"p-1","method":"ping"}')
    transport.say('{"jsonrpc":"2.0","id":7.0,"method":"roots/list"}')
    transport.say('{"jsonrpc":"2.0","id":8,"method":"sampling/createMessage","params":{}}')
    await vi.advanceTimersByTimeAsync(0)
    expect(transport.sent.map(({ text }) => text)).toEqual([
      '{"jsonrpc":"2.0","id":"p-1","result":{}}',
      '{"jsonrpc":"2.0","id":7.0,"result":{"roots":[]}}',
      '{"jsonrpc":"2.0","id":8,"error":{"code":-32603,"message":"Nobody there."}}',
    ])
  })

  it('waits for a call that can be asked, which is sent once that is answered', async () => {
    const { link, transport } = await linkOf()
    const cancellation = new Cancellation()
    const question = { method: 'roots/list', params: undefined, server: 'fake', cancellation } as const
    const answer = link.unasked.wait(call => call.ask(question), new Cancellation())
    const withdrawn = failureOf(link.unasked.wait(call => call.ask(question), cancellation))
    cancellation.cancel('withdrawn')
    expect(await withdrawn).toMatchObject({ code: 'cancelled' })
    // One that cannot be asked passes.
    void link.call(toolCall(), CALL)
    expect(transport.of('tools/call')).toHaveLength(1)
    const asked = deferred<string>()
    void link.call(Object.assign(toolCall(), { canBeAsked: 'now', ask: () => asked.promise }), CALL)
    void link.call(Object.assign(toolCall(), { canBeAsked: 'now' }), CALL)
    expect(transport.of('tools/call')).toHaveLength(2)
    asked.resolve('{}')
    expect(await answer).toBe('{}')
    await vi.advanceTimersByTimeAsync(0)
    expect(transport.of('tools/call')).toHaveLength(3)
  })

  it('is asked for in the most verbose level that any receiver wants', async () => {
    const { link, transport } = await linkOf({ capabilities: { logging: {} } })
    for (const level of ['warning', 'debug', 'error', 'debug'] as const) link.wantLogLevel(level)
    expect(transport.of('logging/setLevel').map(({ params }) => params)).toEqual([
      { level: 'warning' },
      { level: 'debug' },
    ])
    const silent = await linkOf()
    silent.link.wantLogLevel('debug')
    expect(silent.transport.sent).toEqual([])
  })
})

describe('the end', () => {
  it('of the transport fails what is in flight, tells once, and refuses what comes', async () => {
    const { link, transport, lost } = await linkOf()
    const calls = [
      failureOf(link.call(toolCall(), CALL)),
      failureOf(link.request('tools/list', undefined, 1000)),
    ]
    const gone = new GatewayError('upstream_closed', 'gone', { server: 'fake', delivery: 'unknown' })
    link.onClose(gone)
    expect(await Promise.all(calls)).toEqual([gone, gone])
    expect(lost).toEqual([gone])
    expect(link.usable).toBe(false)
    const { length } = transport.sent
    expect(await failureOf(link.call(toolCall(), CALL))).toMatchObject({
      code: 'upstream_closed',
      delivery: 'not_sent',
    })
    expect(transport.sent).toHaveLength(length)
  })

  it('of a session lets what is in flight be answered, then closes', async () => {
    const { link, transport, lost } = await linkOf({ kind: 'http' })
    const call = link.call(toolCall(), CALL)
    link.onSessionLost()
    link.onSessionLost()
    expect(lost.map(({ code }) => code)).toEqual(['session_lost'])
    expect(await failureOf(link.call(toolCall(), CALL))).toMatchObject({ delivery: 'not_sent' })
    expect(transport.closed).toBe(0)
    transport.answer(1, { result: {} })
    await call
    expect(transport.closed).toBe(1)
  })

  it('by close is no loss', async () => {
    const { link, lost, transport } = await linkOf()
    const call = failureOf(link.call(toolCall(), CALL))
    await Promise.all([link.close(), link.close()])
    expect(await call).toMatchObject({ code: 'upstream_closed', delivery: 'unknown' })
    expect(lost).toEqual([])
    expect(transport.closed).toBeGreaterThan(0)
    expect(deadlines.size).toBe(0)
  })
})

it('requests of the gateway itself reject with what the server said', async () => {
  const { link, transport } = await linkOf()
  const [error, text] = [
    link.request('tools/list', undefined, 1000),
    link.request('tools/list', '{"cursor":"x"}', 1000),
  ]
  transport.answer(1, { error: { code: -32602, message: 'Bad cursor', data: { a: 1 } } })
  transport.answer(2, { result: 'text' })
  await expect(error).rejects.toBeInstanceOf(UpstreamRpcError)
  await expect(error).rejects.toMatchObject({
    rpcCode: -32602,
    data: { a: 1 },
    message: 'Server "fake" answered tools/list with error -32602: Bad cursor',
  })
  await expect(text).rejects.toMatchObject({ code: 'upstream_protocol', server: 'fake' })
})

describe('a call that timed out', () => {
  const answered = { result: {} }

  it.each(['legacy', 'modern'] as const)(
    'on a %s link over stdio makes the link ping the server, and a server that stays silent is ended',
    async era => {
      const { link, transport, lost } = await linkOf({ era })
      const call = failureOf(link.call(toolCall(), { ...CALL, timeoutMs: 1000 }))
      const other = failureOf(link.call(toolCall(), { ...CALL, timeoutMs: 0 }))
      await vi.advanceTimersByTimeAsync(1500)
      expect(await call).toMatchObject({ code: 'upstream_timeout', delivery: 'unknown' })
      expect(transport.of(era === 'legacy' ? 'ping' : 'server/discover')).toHaveLength(1)
      expect(link.usable).toBe(true)
      await vi.advanceTimersByTimeAsync(5500)
      expect(await other).toMatchObject({ code: 'upstream_closed', delivery: 'unknown' })
      expect((await other).message).toMatch(/timed out.*within 5 s.*was ended/)
      expect(lost).toHaveLength(1)
      expect(link.usable).toBe(false)
      expect(transport.forced).toBe(true)
    },
  )

  it('is only slow where that is answered', async () => {
    const { link, transport, lost } = await linkOf()
    transport.reactions.set('ping', () => answered)
    for (let n = 0; n < 2; n++) {
      const call = failureOf(link.call(toolCall(), { ...CALL, timeoutMs: 1000 }))
      await vi.advanceTimersByTimeAsync(1500)
      await call
    }
    await vi.advanceTimersByTimeAsync(20_000)
    expect(transport.of('ping')).toHaveLength(2)
    expect([lost.length, transport.closed]).toEqual([0, 0])
  })

  it('is no reason to ask where an error is the answer, or for many at once more than once', async () => {
    const { link, transport, lost } = await linkOf()
    transport.reactions.set('ping', () => ({ error: { code: -32601, message: 'No such method' } }))
    const calls = Array.from({ length: 5 }, () =>
      failureOf(link.call(toolCall(), { ...CALL, timeoutMs: 1000 })),
    )
    await vi.advanceTimersByTimeAsync(1500)
    await Promise.all(calls)
    await vi.advanceTimersByTimeAsync(20_000)
    expect(transport.of('ping')).toHaveLength(1)
    expect([lost.length, transport.closed]).toEqual([0, 0])
  })

  it('over HTTP says nothing', async () => {
    const { link, transport } = await linkOf({ kind: 'http' })
    const call = failureOf(link.call(toolCall(), { ...CALL, timeoutMs: 1000 }))
    await vi.advanceTimersByTimeAsync(20_000)
    await call
    expect(transport.of('ping')).toEqual([])
    expect(transport.closed).toBe(0)
  })
})
