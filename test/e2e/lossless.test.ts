import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { VERSION } from '../../src/version.ts'
import { startRawServer, toolTexts } from '../fixtures/servers/raw.js'
import type { RawServer } from '../fixtures/servers/raw.js'
import { startGateway } from '../helpers/gateway.ts'
import type { TestGateway } from '../helpers/gateway.ts'
import { scriptedDeprecated, scriptedStdio } from '../helpers/scripted-servers.ts'
import {
  answerOf,
  DeprecatedSession,
  ENVELOPE,
  LegacySession,
  ModernHttp,
  requestText,
  StdioClient,
} from '../helpers/wire-clients.ts'
import type { WireClient } from '../helpers/wire-clients.ts'

/**
 * What goes through the gateway is compared as text: the bytes a client wrote with the bytes a server got, and back. Clients and servers are
 * the tests' own, so that no library can repair or spoil anything.
 */

const RAW = fileURLToPath(new URL('../fixtures/servers/raw.js', import.meta.url))
const KEY = 'io.modelcontextprotocol'
const GATEWAY_INFO = `{"name":"mcp-manifold","title":"Manifold","version":"${VERSION}"}`
/** What the gateway itself says to a modern server. */
const GATEWAY_ENVELOPE = `"${KEY}/protocolVersion":"2026-07-28","${KEY}/clientInfo":${GATEWAY_INFO},"${KEY}/clientCapabilities":{}`
const SERVER_INFO = `"${KEY}/serverInfo":${GATEWAY_INFO}`

interface Upstream {
  readonly name: string
  readonly era: 'legacy' | 'modern'
  readonly kind: 'stdio' | 'json' | 'sse' | 'deprecated'
}

const UPSTREAMS: readonly Upstream[] = [
  ...(['legacy', 'modern'] as const).flatMap(era =>
    (['stdio', 'json', 'sse'] as const).map(kind => ({ name: `${kind}_${era}`, era, kind })),
  ),
  { name: 'old', era: 'legacy', kind: 'deprecated' },
]

const CLIENTS = {
  'stdio, legacy': (gateway: TestGateway): Promise<WireClient> => StdioClient.legacy(gateway.gateway),
  'stdio, modern': async (gateway: TestGateway): Promise<WireClient> =>
    new StdioClient(gateway.gateway, true),
  'HTTP, legacy': (gateway: TestGateway): Promise<WireClient> => LegacySession.open(gateway.origin),
  'HTTP, modern': async (gateway: TestGateway): Promise<WireClient> => new ModernHttp(gateway.origin),
  'HTTP+SSE, deprecated': (gateway: TestGateway): Promise<WireClient> =>
    DeprecatedSession.open(gateway.origin),
}
type ClientName = keyof typeof CLIENTS
const CLIENT_NAMES = Object.keys(CLIENTS) as ClientName[]

/** Unknown fields, explicit `false`, empty arrays and objects, integer-like keys, numbers no double holds, escapes, halves of pairs. */
const ODD = String.raw`{ "2":1, "1" :2,"b":false,"n":null,"none":[],"empty":{ },"big":12345678901234567890,"small":-9007199254740993,"whole":1.0,"exp":1E+2,"huge":1e400,"zero":-0,"twice":1,"twice":2,"__proto__":{"x":[]},"constructor":[],"s":"\/ \u00e9 \ud83d \udE00 \u0000 \"}{][,: \\","\u0065\/":"","Größe":"日本語 😀","deep":{"x-unknown":[{"10":0,"9":[1.10,{}]},[ [	] ],true]}}`

/** A definition that is easily spoiled; its name is written with an escape. */
const ODD_TOOL = String.raw`{ "x-before":{"2":1,"1":2.0}, "name" : "od\u0064","title":"\u00e9\/","description":"","inputSchema":{"type":"object","properties":{"2":{},"1":{"maximum":12345678901234567890}},"required":[],"additionalProperties":false,"x-schema":[ ]},"outputSchema":{"properties":{"b":{"default":1.0},"a":{}},"type":"object"},"annotations":{"readOnlyHint":false,"x-hint":null},"icons":[],"_meta":{"example.com/huge":1e400} }`

let servers: Record<string, RawServer>
let gateway: TestGateway

beforeAll(async () => {
  servers = {}
  for (const { name, era, kind } of UPSTREAMS)
    if (kind === 'deprecated') servers[name] = await startRawServer({ transport: 'sse', name })
    else if (kind !== 'stdio') servers[name] = await startRawServer({ era, answers: kind, name })
  servers['json_legacy']?.setTools([...Object.values(toolTexts), ODD_TOOL])
  gateway = await startGateway({
    mcpServers: Object.fromEntries(
      UPSTREAMS.map(({ name, era, kind }) => [
        name,
        kind === 'stdio'
          ? { command: process.execPath, args: [RAW, '--era', era, '--name', name] }
          : { url: servers[name]?.url, ...(kind === 'deprecated' && { type: 'sse' }) },
      ]),
    ),
  })
  await gateway.gateway.warmUp()
})

afterAll(async () => {
  await gateway?.[Symbol.asyncDispose]()
  await Promise.all(Object.values(servers ?? {}).map(server => server.close()))
})

const onOneLine = (text: string): string => text.replace(/[\r\n]/g, ' ')

/** Tells apart the calls of all tests. */
let calls = 0

/** The message in which an upstream got the call that holds `mark`. */
async function receivedBy(client: WireClient, server: string, mark: string): Promise<string> {
  const answer = await client.request('"received"', 'tools/call', `{"name":"${server}__received"}`)
  const { result } = JSON.parse(answer) as { result: { content: { text: string }[] } }
  const messages = JSON.parse(result.content[0]?.text ?? '[]') as string[]
  return messages.find(message => message.includes(mark)) ?? `none of ${messages.length} messages`
}

/** What stands around `params` in a request that the gateway sends; the id is its own. */
function expectCall(message: string, params: string): void {
  const id = /^\{"jsonrpc":"2\.0","id":(\d+),/.exec(message)?.[1]
  expect(message).toBe(requestText(String(id), 'tools/call', params))
}

async function setResult(client: WireClient, server: string, result: string): Promise<void> {
  const set = `{"name":"${server}__set_result","arguments":{"text":${JSON.stringify(result)}}}`
  expect(await client.request('"set"', 'tools/call', set)).toContain('"text":"ok"')
}

/** Sends a request whose `params` are not touched on the way out, not even to add an envelope. */
async function exactly(client: WireClient, id: string, params: string): Promise<string> {
  if (client instanceof ModernHttp) return await answerOf(await client.post(id, 'tools/call', params))
  if (client instanceof LegacySession || client instanceof DeprecatedSession)
    return await client.request(id, 'tools/call', params)
  const stdio = client as StdioClient
  stdio.send(requestText(id, 'tools/call', params))
  return await stdio.answer(id)
}

/** The result of a list method, around its entries. */
const listed = (client: WireClient, member: string, texts: string): string =>
  client.modern
    ? `{"resultType":"complete","${member}":[${texts}],"ttlMs":0,"cacheScope":"private","_meta":{${SERVER_INFO}}}`
    : `{"${member}":[${texts}]}`

describe.each(CLIENT_NAMES)('from a client over %s', clientName => {
  let client: WireClient
  beforeAll(async () => {
    client = await CLIENTS[clientName](gateway)
  })
  afterAll(async () => {
    await client?.[Symbol.asyncDispose]()
  })

  describe.each(UPSTREAMS)('to $name', ({ name, era, kind }) => {
    test('parameters arrive as they were written, but for name and envelope', async () => {
      const mark = `"mark":${++calls}.0`
      const params = (tool: string, meta: string): string =>
        `{"x-first":[ ],"name":"${tool}", "arguments":${ODD},"_meta":{${meta}},"x-last":{"2":1.0,"1":false},${mark}}`
      const own = '"example.com/m": [1.10,{ }]'
      const sent = params(`${name}__echo_raw`, client.modern ? `${ENVELOPE},${own}` : own)
      await exactly(client, '1', sent)
      const arrived = params('echo_raw', era === 'modern' ? `${GATEWAY_ENVELOPE},${own}` : own)
      expectCall(await receivedBy(client, name, mark), arrived)
    })

    test('parameters without a _meta of their own', async () => {
      const mark = `"mark":${++calls}.0`
      const envelope = client.modern ? `"_meta":{${ENVELOPE}},` : ''
      await exactly(client, '1', `{${envelope}"name":"${name}__echo_raw","arguments":${ODD},${mark}}`)
      const meta = era === 'modern' ? `"_meta":{${GATEWAY_ENVELOPE}},` : client.modern ? '"_meta":{},' : ''
      expectCall(
        await receivedBy(client, name, mark),
        `{${meta}"name":"echo_raw","arguments":${ODD},${mark}}`,
      )
    })

    test('a result comes back as it was written, but for what differs between the eras', async () => {
      const content = String.raw`"content" : [{"type":"text","text":"\u00e9\/\ud83d \u0000","x-block":{"a":[],"b":false},"annotations":{"audience":[ ]}},{"type":"x-new","2":0,"1":1e400}]`
      const rest = `"structuredContent": ${ODD},"isError":false,"x-unknown":{"10":"ten","9":"nine"}`
      const own = ' "example.com/odd" :[1.10,{ }]'
      const result = {
        legacy: `{${content},${rest},"_meta":{${own}}}`,
        modern: `{"resultType":"complete",${content},${rest},"_meta":{"${KEY}/serverInfo":{"name":"x","version":"1.0"},${own}}}`,
      }
      await setResult(client, name, result[era])
      const answer = await client.request('"r"', 'tools/call', `{"name":"${name}__raw_result"}`)
      const same = client.modern === (era === 'modern')
      const expected = same
        ? result[era]
        : client.modern
          ? `{"resultType":"complete",${content},${rest},"_meta":{${SERVER_INFO},${own}}}`
          : `{${content},${rest},"_meta":{${own.trim()}}}`
      expect(answer).toBe(`{"jsonrpc":"2.0","id":"r","result":${expected}}`)
    })

    test('a result without a _meta of its own keeps every byte', async () => {
      const rest = `"content":[ ], "structuredContent":${ODD}\t,"x":1.0 `
      await setResult(client, name, era === 'modern' ? `{"resultType":"complete",${rest}}` : `{${rest}}`)
      const answer = await client.request('1', 'tools/call', `{"name":"${name}__raw_result"}`)
      const expected =
        client.modern === (era === 'modern')
          ? `{${client.modern ? '"resultType":"complete",' : ''}${rest}}`
          : client.modern
            ? `{"resultType":"complete","_meta":{${SERVER_INFO}},${rest}}`
            : // Where a member is taken out, white space between members goes with it.
              `{"content":[ ],"structuredContent":${ODD},"x":1.0}`
      expect(answer).toBe(`{"jsonrpc":"2.0","id":1,"result":${expected}}`)
    })

    test("an error of the server's own comes back as it was written", async () => {
      const answer = await client.request('7', 'tools/call', `{"name":"${name}__fail"}`)
      const error = '{"code":-32050,"message":"Told to fail","data":{"2":1,"1":2.0},"x-error":[]}'
      expect(answer).toBe(`{"jsonrpc":"2.0","id":7,"error":${error}}`)
    })

    test('a prompt comes back as it was written', async () => {
      const answer = await client.request(
        '7',
        'prompts/get',
        `{"name":"${name}__greet","arguments":{"who":"A"}}`,
      )
      const prompt = `"messages":[{"role":"user","content":{"type":"text","text":"Hello, A! From ${name}.","x-content":[]},"x-message":false}],"x-prompt":{}`
      const before = `"resultType":"complete","_meta":{"${KEY}/serverInfo":${era === 'modern' ? `{"name":"${name}","version":"1.0.0","x-info":[]}` : GATEWAY_INFO}},`
      expect(answer).toBe(`{"jsonrpc":"2.0","id":7,"result":{${client.modern ? before : ''}${prompt}}}`)
    })

    if (!clientName.startsWith('stdio'))
      test('a body over several lines', async () => {
        const mark = `"mark":${++calls}.0`
        const args = `{\r\n\t"a" : [\n\n 1.0 ,\n2 ] ,\n "b":{\n}\n}\n`
        const meta = client.modern ? `"_meta":{${ENVELOPE}},` : ''
        await exactly(
          client,
          '1',
          `{${meta}\n  "name": "${name}__echo_raw",\n  "arguments": ${args},\n${mark}}`,
        )
        const arrives =
          era === 'modern' ? `"_meta":{${GATEWAY_ENVELOPE}},` : client.modern ? '"_meta":{},' : ''
        const arrived = `{${arrives}\n  "name": "echo_raw",\n  "arguments": ${args},\n${mark}}`
        // A message over stdio is a line.
        expectCall(await receivedBy(client, name, mark), kind === 'stdio' ? onOneLine(arrived) : arrived)
      })

    if (kind !== 'stdio')
      test('a result over several lines', async () => {
        const rest = `\n  "content": [\n    ],\n  "structuredContent": {\n"b":1.0 ,\n"a":[\n]\n}\n`
        await setResult(client, name, era === 'modern' ? `{"resultType":"complete",${rest}}` : `{${rest}}`)
        const answer = await client.request('1', 'tools/call', `{"name":"${name}__raw_result"}`)
        const expected =
          client.modern === (era === 'modern')
            ? `{${client.modern ? '"resultType":"complete",' : ''}${rest}}`
            : client.modern
              ? `{"resultType":"complete","_meta":{${SERVER_INFO}},${rest}}`
              : `{"content": [\n    ],"structuredContent": {\n"b":1.0 ,\n"a":[\n]\n}}`
        // On stdio and in an event stream a message is a line.
        const shown = /stdio|SSE/.test(clientName) ? onOneLine(expected) : expected
        expect(answer).toBe(`{"jsonrpc":"2.0","id":1,"result":${shown}}`)
      })
  })

  describe('definitions', () => {
    const names = UPSTREAMS.map(({ name }) => name)

    test('tools keep every byte but their name', async () => {
      const texts = names.flatMap(name => [
        ...Object.entries(toolTexts).map(([tool, text]) =>
          text.replace(`"name":"${tool}"`, `"name":"${name}__${tool}"`),
        ),
        ...(name === 'json_legacy' ? [ODD_TOOL.replace(String.raw`"od\u0064"`, `"json_legacy__odd"`)] : []),
      ])
      expect(await client.request('1', 'tools/list')).toBe(
        `{"jsonrpc":"2.0","id":1,"result":${listed(client, 'tools', texts.join(','))}}`,
      )
    })

    test('prompts keep every byte but their name', async () => {
      const texts = names.map(
        name =>
          `{"name":"${name}__greet","title":"Greeting","description":"Greets","arguments":[{"name":"who","title":"Who","required":false,"x-argument":1.0}]}`,
      )
      expect(await client.request('1', 'prompts/list')).toBe(
        `{"jsonrpc":"2.0","id":1,"result":${listed(client, 'prompts', texts.join(','))}}`,
      )
    })

    test('resources keep every byte; the later of two equal ones gets its server in front', async () => {
      const texts = names.flatMap((name, index) => {
        const marker = index === 0 ? '' : `${name}+`
        return [
          `{"uri":"${marker}raw://shared/one","name":"one","mimeType":"text/plain","size":3,"x-resource":{"2":1,"1":2}}`,
          `{"uri":"${marker}raw://shared/two","name":"two","annotations":{"priority":1.0,"audience":[]}}`,
        ]
      })
      expect(await client.request('1', 'resources/list')).toBe(
        `{"jsonrpc":"2.0","id":1,"result":${listed(client, 'resources', texts.join(','))}}`,
      )
    })

    test('templates keep every byte', async () => {
      const texts = names.map(
        (name, index) =>
          `{"uriTemplate":"${index === 0 ? '' : `${name}+`}raw://item/{id}","name":"item","mimeType":"text/plain","x-template":false}`,
      )
      expect(await client.request('1', 'resources/templates/list')).toBe(
        `{"jsonrpc":"2.0","id":1,"result":${listed(client, 'resourceTemplates', texts.join(','))}}`,
      )
    })
  })

  test('line separators of JavaScript are no line breaks', async () => {
    await using server = await scriptedStdio()
    await using own = await startGateway({ mcpServers: { s: server.entry } })
    await using client = await CLIENTS[clientName](own)
    const answer = client.request('1', 'tools/call', '{"name":"s__t","arguments":{"a":"\u2028\u2029\u0085"}}')
    const call = await server.called('t')
    expect(call.params).toContain('"arguments":{"a":"\u2028\u2029\u0085"}')
    call.answer('"result":{"content":[],"x":"\u2028\u2029\u0085"}')
    expect(await answer).toContain('"x":"\u2028\u2029\u0085"')
  })
})

describe('an event stream as the answer to a legacy client', () => {
  test('carries a result byte for byte, on one line', async () => {
    await using session = await LegacySession.open(gateway.origin)
    const set = `{"name":"sse_legacy__set_result","arguments":{"text":${JSON.stringify(`{\n"content":[],"structuredContent":${ODD}}`)}}}`
    await session.request('1', 'tools/call', set)
    // The log record comes first and makes the answer a stream.
    const params = `{"name":"sse_legacy__log","arguments":{"data":${ODD}}}`
    const response = await session.post(requestText('2', 'tools/call', params))
    await response.body
    expect(response.headers['content-type']).toBe('text/event-stream')
    expect(response.events.all.map(({ data }) => data)).toEqual([
      `{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","logger":"raw","data":${ODD}}}`,
      '{"jsonrpc":"2.0","id":2,"result":{"content":[{"type":"text","text":"logged"}]}}',
    ])
  })
})

describe('from deprecated HTTP+SSE to deprecated HTTP+SSE', () => {
  test('an integer that no double holds passes in arguments, results, errors, logs, _meta, progress and questions', async () => {
    const BIG = '"big":9223372036854775807,"2":1.0,"1":0'
    await using server = await scriptedDeprecated()
    server.results.set('tools/list', `{"tools":[{"name":"t","inputSchema":{"type":"object",${BIG}}}]}`)
    await using own = await startGateway({ mcpServers: { s: server.entry } })
    await using client = await DeprecatedSession.open(own.origin, { capabilities: '{"elicitation":{}}' })
    expect(await client.request('1', 'tools/list')).toContain(`"inputSchema":{"type":"object",${BIG}}`)
    const params = `{"name":"s__t","arguments":{${BIG}},"_meta":{"progressToken":"p","example.com/m":{${BIG}}}}`
    await client.post(requestText('2', 'tools/call', params))
    const call = await server.called('t')
    expect(call.params).toContain(`"arguments":{${BIG}}`)
    expect(call.params).toContain(`"example.com/m":{${BIG}}`)
    const token = /"progressToken":(\d+)/.exec(call.params)?.[1] as string
    const said = async (text: string): Promise<string> => {
      call.say(text)
      const { method } = JSON.parse(text) as { method: string }
      return (await client.events.take(({ data }) => data.includes(`"${method}"`), method)).data
    }
    const log = `{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"error","data":{${BIG}}}}`
    expect(await said(log)).toContain(`"data":{${BIG}}`)
    const progress = `{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":${token},"progress":9223372036854775807}}`
    expect(await said(progress)).toContain('"progress":9223372036854775807')
    const question = `{"jsonrpc":"2.0","id":"q","method":"elicitation/create","params":{"message":"?","requestedSchema":{"type":"object","properties":{"a":{"type":"integer",${BIG}}}},"_meta":{${BIG}}}}`
    const asked = await said(question)
    expect(asked).toContain(`{"type":"integer",${BIG}}`)
    expect(asked).toContain(`"_meta":{${BIG}}`)
    const { id } = JSON.parse(asked) as { id: unknown }
    const reply = `{"action":"accept","content":{${BIG}}}`
    await client.post(`{"jsonrpc":"2.0","id":${JSON.stringify(id)},"result":${reply}}`)
    const isReply = (text: string): boolean => text.includes('"id":"q"')
    expect(await server.messages.take(isReply)).toBe(`{"jsonrpc":"2.0","id":"q","result":${reply}}`)
    call.answer(`"result":{"content":[],"structuredContent":{${BIG}},"_meta":{${BIG}}}`)
    const isAnswer = ({ data }: { data: string }): boolean => data.includes('"id":2,')
    expect((await client.events.take(isAnswer)).data).toBe(
      `{"jsonrpc":"2.0","id":2,"result":{"content":[],"structuredContent":{${BIG}},"_meta":{${BIG}}}}`,
    )
    await client.post(requestText('3', 'tools/call', '{"name":"s__t"}'))
    const error = `{"code":-32050,"message":"no","data":{${BIG}}}`
    ;(await server.called('t')).answer(`"error":${error}`)
    expect((await client.events.take(({ data }) => data.includes('"id":3,'))).data).toBe(
      `{"jsonrpc":"2.0","id":3,"error":${error}}`,
    )
  })
})
