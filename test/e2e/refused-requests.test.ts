import { existsSync, readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { rawAt } from '../../src/protocol/json-text.ts'
import { bearer, callAs, keyOf, withKeys, type Caller } from '../helpers/callers.ts'
import { startGateway } from '../helpers/gateway.ts'
import { makeScratch } from '../helpers/scratch.ts'
import { scriptedHttp, toolText } from '../helpers/scripted-servers.ts'
import { http, JSON_HEADERS, LegacySession, requestText, withEnvelope } from '../helpers/wire-clients.ts'

/** Nothing that a client sends goes without its line in the audit log, and what is refused before it is a call counts for rates as well. */

async function world(ci: object = {}, audit: object = {}) {
  const scratch = makeScratch()
  const file = `${scratch.path}/audit.jsonl`
  const server = await scriptedHttp()
  server.results.set('tools/list', `{"tools":[${toolText('t')}]}`).set('tools/call', '{"content":[]}')
  const running = await startGateway({
    mcpServers: { files: server.entry },
    clients: withKeys({ ci }),
    gateway: { audit: { file, ...audit } },
  })
  await running.gateway.warmUp()
  return {
    running,
    server,
    lines: async (count: number): Promise<Record<string, unknown>[]> => {
      const read = (): Record<string, unknown>[] =>
        existsSync(file)
          ? readFileSync(file, 'utf8')
              .split('\n')
              .filter(line => line !== '')
              .map(line => JSON.parse(line) as Record<string, unknown>)
          : []
      for (let round = 0; round < 100 && read().length < count; round++)
        await new Promise(resolve => setTimeout(resolve, 50))
      return read()
    },
    async [Symbol.asyncDispose]() {
      await running[Symbol.asyncDispose]()
      await server[Symbol.asyncDispose]()
      await scratch[Symbol.asyncDispose]()
    },
  }
}

const caller = async (origin: string, modern: boolean): Promise<Caller> =>
  (await callAs(origin, keyOf('ci'), { modern })) as Caller

describe.each([false, true])('modern: %s', modern => {
  test.each(['digest', 'full'])('a call with arguments 3,000 deep has its line, args: %s', async args => {
    await using made = await world({}, { args })
    await using client = await caller(made.running.origin, modern)
    for (const [open, close] of [
      ['[', ']'],
      ['{"a":', '}'],
    ] as const) {
      const deep = `{"x":${open.repeat(3000)}1${close.repeat(3000)},"token":"hush"}`
      expect(await client.request('tools/call', `{"name":"t","arguments":${deep}}`)).toContain('"content":[]')
    }
    const calls = (await made.lines(4)).filter(({ method }) => method === 'tools/call')
    expect(calls).toHaveLength(2)
    if (args === 'full') {
      expect(calls.map(({ argsCut }) => argsCut)).toEqual(['depth', 'size'])
      expect(JSON.stringify(calls)).not.toContain('hush')
    }
  })

  test.each(['__proto__', 'constructor', 'toString', 'hasOwnProperty'])(
    'a method %s is unknown, and has its line',
    async method => {
      await using made = await world()
      await using client = await caller(made.running.origin, modern)
      expect(await client.request(method, '{}')).toContain('"code":-32601')
      const lines = await made.lines(2)
      expect(lines.filter(line => line.method === method)).toMatchObject([
        { event: 'deny', code: 'unknown_method', client: 'ci', era: modern ? 'modern' : 'legacy' },
      ])
    },
  )
})

const MODERN = { 'mcp-protocol-version': '2026-07-28' }
const BAD: [what: string, body: string, headers: Record<string, string>, code: string][] = [
  ['no JSON', '{', {}, 'parse_error'],
  ['no message', '{"jsonrpc":"1.0"}', {}, 'invalid_request'],
  ['a member twice', '{"jsonrpc":"2.0","id":1,"method":"ping","method":"ping"}', {}, 'invalid_request'],
  ['no session', requestText('1', 'tools/list', undefined), {}, 'invalid_request'],
  [
    'an unknown session',
    requestText('1', 'tools/list', undefined),
    { 'mcp-session-id': 'x' },
    'invalid_request',
  ],
  ['a wrong type', '{}', { 'content-type': 'text/plain' }, 'invalid_request'],
  [
    'a header for another method',
    requestText('1', 'tools/list', withEnvelope('{}')),
    { ...MODERN, 'mcp-method': 'x' },
    'header_mismatch',
  ],
  ['no envelope', requestText('1', 'tools/list', '{}'), MODERN, 'invalid_params'],
  [
    'an unknown method',
    requestText('1', 'ping', withEnvelope('{}')),
    { ...MODERN, 'mcp-method': 'ping' },
    'unknown_method',
  ],
]

test.each(BAD)('a POST with %s has its line and counts for the rate', async (_, body, headers, code) => {
  await using made = await world({ rate: '3/h' })
  const send = async (): Promise<string> => {
    const response = await http(`${made.running.origin}/mcp`, {
      headers: { ...JSON_HEADERS, ...bearer(keyOf('ci')), ...headers },
      body,
    })
    return await response.body
  }
  for (let round = 0; round < 3; round++) expect(await send()).not.toMatch(/rate/)
  expect(await send()).toMatch(/3\/h|3 requests|rate/)
  const lines = await made.lines(4)
  expect(lines.map(line => line.code)).toEqual([code, code, code, 'rate_limited'])
  expect(lines.every(line => line.client === 'ci')).toBe(true)
})

test('a legacy session counts what it cannot make sense of', async () => {
  await using made = await world({ rate: '4/h' })
  await using session = await LegacySession.open(made.running.origin, { headers: bearer(keyOf('ci')) })
  const answers: string[] = []
  for (let round = 0; round < 4; round++)
    answers.push(await session.request(`"${round}"`, 'logging/setLevel', '{"level":"loud"}'))
  expect(answers.map(text => /"code":(-\d+)/.exec(text)?.[1])).toEqual([
    '-32602',
    '-32602',
    '-32602',
    '-32603',
  ])
})

test('a server that asks for nothing by -32042 has said an error like others', async () => {
  await using made = await world()
  await using client = await caller(made.running.origin, true)
  made.server.results.delete('tools/call')
  for (const elicitations of ['[null]', '[]', '[1,"x",[]]', 'null']) {
    const answer = client.request('tools/call', '{"name":"t"}')
    const call = await made.server.called('t')
    call.answer(`"error":{"code":-32042,"message":"visit","data":{"elicitations":${elicitations}}}`)
    expect(await answer).toContain('"code":-32042')
  }
  const answer = client.request('tools/call', '{"name":"t"}')
  const call = await made.server.called('t')
  call.answer(
    '"error":{"code":-32042,"message":"visit","data":{"elicitations":[null,{"mode":"url","url":"https://a.example","message":"m"}]}}',
  )
  expect(await answer).toContain('"resultType":"input_required"')
})

describe('the text of a -32042 of a legacy server', () => {
  const elicitation = (more: string): string =>
    `{"mode":"url","url":"https://a.example","elicitationId":"e"${more},"_meta":{"n":9223372036854775807}}`
  const LISTED = `[${elicitation(',"message":"Log in\\n[bank] now"')},7,${elicitation('')}]`
  const ERROR = `{"code":-32042,"message":"visit","data":{"elicitations":${LISTED}}}`

  test('names the server before a modern client, which is asked by a round', async () => {
    await using made = await world()
    await using client = await caller(made.running.origin, true)
    made.server.results.delete('tools/call')
    const answer = client.request('tools/call', '{"name":"t"}')
    ;(await made.server.called('t')).answer(`"error":${ERROR}`)
    const asked = (key: string): string | undefined => rawAt(text, 'result', 'inputRequests', key, 'params')
    const text = await answer
    expect(JSON.parse(asked('elicitation-1') ?? '')).toMatchObject({
      mode: 'url',
      url: 'https://a.example',
      message: '[files] Log in\n[files] [bank] now',
    })
    expect(asked('elicitation-2')).toBe(
      '{"mode":"url","url":"https://a.example","_meta":{"n":9223372036854775807}}',
    )
    expect(text).not.toContain('elicitationId')
  })

  test('stays in the error before a legacy client', async () => {
    await using made = await world()
    await using client = await caller(made.running.origin, false)
    made.server.results.delete('tools/call')
    const answer = client.request('tools/call', '{"name":"t"}')
    ;(await made.server.called('t')).answer(`"error":${ERROR}`)
    expect(rawAt(await answer, 'error')).toBe(ERROR)
  })
})
