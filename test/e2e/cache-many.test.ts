import { once } from 'node:events'
import { Agent, request } from 'node:http'
import { expect, it } from 'vitest'
import { startGateway, type TestGateway } from '../helpers/gateway.ts'
import { callAs } from '../helpers/callers.ts'
import { scriptedHttp, type ScriptedServer } from '../helpers/scripted-servers.ts'
import { ENVELOPE, JSON_HEADERS } from '../helpers/wire-clients.ts'

/** A thousand callers at once, and arguments that are not sent by accident; over HTTP on both sides. */

const MARK = 'io.github.mcp-manifold/cache'
const MANY = 1000

function start(server: ScriptedServer, cache: object = {}): Promise<TestGateway> {
  return startGateway({
    mcpServers: { s: { ...server.entry, tools: { t: { cache: { ttl: '1h', ...cache } } } } },
  })
}

interface Call {
  /** The answering message; rejects when the connection breaks. */
  readonly answer: Promise<string>
  /** Breaks the connection, by which a modern client cancels. */
  leave(): void
}

function call(origin: string, agent: Agent, id: number): Call {
  const body = `{"jsonrpc":"2.0","id":${id},"method":"tools/call","params":{"_meta":{${ENVELOPE}},"name":"s__t","arguments":{"a":1}}}`
  const headers = {
    ...JSON_HEADERS,
    'mcp-protocol-version': '2026-07-28',
    'mcp-method': 'tools/call',
    'mcp-name': 's__t',
  }
  const sent = request(`${origin}/mcp`, { method: 'POST', headers, agent })
  const answer = (async () => {
    const [response] = (await once(sent, 'response')) as [AsyncIterable<Buffer>]
    const chunks: Buffer[] = []
    for await (const chunk of response) chunks.push(chunk)
    return Buffer.concat(chunks).toString()
  })()
  answer.catch(() => undefined)
  sent.end(body)
  return { answer, leave: () => void sent.destroy() }
}

/** Calls, all under way at the gateway when it resolves. */
async function callAll({ gateway, origin }: TestGateway, agent: Agent, count: number): Promise<Call[]> {
  const calls: Call[] = []
  // Not more at once than may wait to be accepted.
  while (calls.length < count) {
    for (let at = 0; at < 200 && calls.length < count; at++) calls.push(call(origin, agent, calls.length))
    await expect.poll(() => gateway.cacheCounts()[0]?.misses).toBe(calls.length)
  }
  return calls
}

const called = (server: ScriptedServer): number =>
  server.messages.all.filter(text => text.includes('"tools/call"')).length
const cancels = (server: ScriptedServer): number =>
  server.messages.all.filter(text => text.includes('notifications/cancelled')).length

it('makes one call of a thousand that are alike', async () => {
  await using server = await scriptedHttp()
  await using running = await start(server)
  const agent = new Agent({ keepAlive: false })
  const calls = await callAll(running, agent, MANY)
  ;(await server.called('t')).answer('"result":{"content":[],"n":1}')
  const answers = await Promise.all(calls.map(({ answer }) => answer))
  answers.forEach((text, id) => expect(JSON.parse(text)).toMatchObject({ id, result: { n: 1 } }))
  expect(called(server)).toBe(1)
  expect(running.gateway.cacheCounts()).toMatchObject([{ misses: MANY, coalesced: MANY - 1, stores: 1 }])
  expect(await call(running.origin, agent, 7).answer).toContain(MARK)
  agent.destroy()
})

it.each([0, MANY - 1])(
  'goes on for the last call when 999 of 1000 are cancelled (number %i)',
  async stays => {
    await using server = await scriptedHttp()
    await using running = await start(server)
    const agent = new Agent({ keepAlive: false })
    const calls = await callAll(running, agent, MANY)
    const upstream = await server.called('t')
    const left = calls.filter((_, at) => at !== stays)
    for (const one of left) one.leave()
    for (const one of left) await expect(one.answer).rejects.toThrow()
    // A later caller joins the same call, after the gateway has seen the others go.
    const late = call(running.origin, agent, MANY)
    await expect.poll(() => running.gateway.cacheCounts()[0]?.misses).toBe(MANY + 1)
    expect([called(server), cancels(server)]).toEqual([1, 0])
    upstream.answer('"result":{"content":[],"n":1}')
    for (const one of [calls[stays], late])
      expect(JSON.parse((await one?.answer) ?? '')).toMatchObject({ result: { n: 1 } })
    expect([called(server), cancels(server)]).toEqual([1, 0])
    expect(await call(running.origin, agent, 7).answer).toContain(MARK)
    agent.destroy()
  },
  60_000,
)

it('cancels the call at the server with the last of its calls, and makes a new one for the next call', async () => {
  await using server = await scriptedHttp()
  await using running = await start(server)
  const agent = new Agent({ keepAlive: false })
  const calls = await callAll(running, agent, MANY)
  const upstream = await server.called('t')
  for (const one of calls) one.leave()
  const cancelled = await server.notifications.take(text => text.includes('notifications/cancelled'))
  expect(JSON.parse(cancelled)).toMatchObject({ params: { requestId: JSON.parse(upstream.id) as unknown } })
  const next = call(running.origin, agent, 7)
  ;(await server.called('t')).answer('"result":{"content":[],"n":2}')
  expect(JSON.parse(await next.answer)).toMatchObject({ id: 7, result: { n: 2 } })
  expect([called(server), cancels(server)]).toEqual([2, 1])
  agent.destroy()
})

const deep = (depth: number, space = ''): string => `{"a":${`[${space}`.repeat(depth)}${']'.repeat(depth)}}`

it.each<[string, string, string, boolean]>([
  ['the order of keys', '{"a":1,"b":{"c":2,"d":3}}', '{"b":{"d":3,"c":2},"a":1}', true],
  ['forms of numbers', '{"a":[1,100,0.5,0]}', '{"a":[1.0,1E2,5e-1,0e5]}', true],
  ['escapes and white space', '{"a":"é/"}', ' { "\\u0061" : "\\u00E9\\/" } ', true],
  ['what looks like a cycle', '{"$ref":"#","a":{"$ref":"#/a"}}', '{"a":{"$ref":"#/a"},"$ref":"#"}', true],
  ['an ignored member', '{"a":1,"noise":{"id":1}}', '{"a":1,"noise":2}', true],
  ['deep arguments, written alike', deep(3000), deep(3000), true],
  ['long arguments, written alike', `{"a":"${'x'.repeat(200_000)}"}`, `{"a":"${'x'.repeat(200_000)}"}`, true],
  ['integers beyond 2^53', '{"a":12345678901234567890}', '{"a":12345678901234567891}', false],
  ['zeros of two signs', '{"a":0}', '{"a":-0}', false],
  ['a number and its text', '{"a":1}', '{"a":"1"}', false],
  ['null and nothing', '{"a":null}', '{}', false],
  ['members of a prototype', '{"__proto__":{"a":1}}', '{"__proto__":{"a":2}}', false],
  ['a member of a prototype and nothing', '{"constructor":1}', '{}', false],
  ['halves of a surrogate pair', '{"a":"\\ud83d"}', '{"a":"\\ude00"}', false],
  ['order of a list', '{"a":[1,2]}', '{"a":[2,1]}', false],
  ['deep arguments, written otherwise', deep(300), deep(300, ' '), false],
  ['huge arguments', `{"a":"${'x'.repeat(1_100_000)}"}`, `{"a":"${'x'.repeat(1_100_000)}"}`, false],
])('is distinguished, or not, by %s', async (_, one, other, alike) => {
  await using server = await scriptedHttp()
  server.requests.onItem(({ answer }) => answer(`"result":{"content":[],"n":${called(server)}}`))
  await using running = await start(server, { ignoreArgs: ['noise'] })
  for (const modern of [true, false]) {
    await using client = await callAs(running.origin, undefined, { modern })
    const before = called(server)
    const texts = []
    for (const args of modern ? [one, other] : [other, one])
      texts.push(await client?.request('tools/call', `{"name":"s__t","arguments":${args}}`))
    for (const text of texts)
      expect(JSON.parse(text ?? '')).toMatchObject({ result: { n: expect.any(Number) } })
    if (!modern) continue
    expect(called(server) - before).toBe(alike ? 1 : 2)
    expect(texts[1]?.includes(MARK)).toBe(alike)
    // Whatever came of it, the next call is like any other.
    await client?.request('tools/call', '{"name":"s__t","arguments":{"plain":true}}')
    expect(await client?.request('tools/call', '{"name":"s__t","arguments":{"plain":true}}')).toContain(MARK)
  }
})

it('does not answer what says the same thing twice from what was kept of either', async () => {
  await using server = await scriptedHttp()
  server.requests.onItem(({ params, answer }) =>
    answer(`"result":{"content":[],"saw":${JSON.stringify(params)}}`),
  )
  await using running = await start(server)
  await using client = await callAs(running.origin, undefined, { modern: false })
  for (const args of ['{"a":1}', '{"a":2}', '{"a":1,"a":2}', '{"a":2,"a":1}', '{"a":1,"\\u0061":2}']) {
    const text = await client?.request('tools/call', `{"name":"s__t","arguments":${args}}`)
    expect(text).not.toContain(MARK)
    const { result, error } = JSON.parse(text ?? '') as { result?: { saw: string }; error?: object }
    // Either it has reached the server as it was, or it was refused.
    if (error) expect(error).toMatchObject({ code: -32602 })
    else expect(result?.saw).toContain(args)
  }
})
