import { PassThrough } from 'node:stream'
import { describe, expect, test } from 'vitest'
import { Client } from 'old-mcp-sdk/client/index.js'
import type { Transport } from 'old-mcp-sdk/shared/transport.js'
import type { JSONRPCMessage } from 'old-mcp-sdk/types.js'
import { CreateMessageRequestSchema } from 'old-mcp-sdk/types.js'
import type { RunningGateway } from '../../src/gateway/gateway.ts'
import { rawAt } from '../../src/protocol/json-text.ts'
import { startGateway } from '../helpers/gateway.ts'
import type { TestGateway } from '../helpers/gateway.ts'
import { scriptedHttp, scriptedStdio, toolText } from '../helpers/scripted-servers.ts'
import type { ScriptedServer } from '../helpers/scripted-servers.ts'
import { DeprecatedSession, LegacySession, ModernHttp, requestText } from '../helpers/wire-clients.ts'

/** Clients of older legacy revisions in front of servers of the newest: they get nothing that they would reject, and lose nothing silently. */

const REVISIONS = ['2024-11-05', '2025-03-26', '2025-06-18', '2025-11-25']

const TEXT = '{"type":"text","text":"t","x":1.0}'
const IMAGE = '{"type":"image","data":"AAAA","mimeType":"image/png"}'
const EMBEDDED = '{"type":"resource","resource":{"uri":"file:///a","text":"x"}}'
const AUDIO = '{"type":"audio","data":"AAAA","mimeType":"audio/wav"}'
const LINK = '{"type":"resource_link","uri":"file:///b","name":"b","title":"The B"}'
const EVERYTHING = `{ "content":[ ${[TEXT, IMAGE, EMBEDDED, AUDIO, LINK].join(' , ')} ],"structuredContent":{"a":1.0},"x":1.0}`
const PROMPT = `{"messages":[${[TEXT, AUDIO, LINK].map(block => `{"role":"user","content":${block}}`).join(',')}]}`
const TOOL = toolText(
  't',
  ',"title":"T","annotations":{"readOnlyHint":true},"outputSchema":{"type":"object"},"execution":{"taskSupport":"optional"},"icons":[{"src":"https://a.example/i.png","sizes":["48x48"]}]',
)

function sayEverything(server: ScriptedServer): void {
  server.results.set('tools/list', `{"tools":[${TOOL}]}`)
  server.results.set('prompts/list', '{"prompts":[{"name":"p"}]}')
  server.results.set('tools/call', EVERYTHING)
  server.results.set('prompts/get', PROMPT)
}

async function gatewayFor(server: ScriptedServer): Promise<TestGateway> {
  const gateway = await startGateway({ mcpServers: { a: server.entry } })
  await gateway.gateway.warmUp()
  return gateway
}

const typesIn = (blocks: { type: string }[]): string[] => blocks.map(({ type }) => type)

describe.each(REVISIONS)('a client of %s', version => {
  const audio = version >= '2025-03-26' ? 'audio' : 'text'
  const link = version >= '2025-06-18' ? 'resource_link' : 'text'

  test('gets every block as one of its revision', async () => {
    await using server = await scriptedHttp()
    sayEverything(server)
    await using gateway = await gatewayFor(server)
    await using client = await LegacySession.open(gateway.origin, { version })
    const answer = await client.request('1', 'tools/call', '{"name":"a__t"}')
    const { content } = JSON.parse(rawAt(answer, 'result') ?? '{}') as {
      content: { type: string; text?: string }[]
    }
    expect(typesIn(content)).toEqual(['text', 'image', 'resource', audio, link])
    if (version >= '2025-06-18') expect(rawAt(answer, 'result')).toBe(EVERYTHING)
    else expect(content[4]?.text).toBe('Link to the resource "The B" (b): file:///b')
    if (audio === 'text') expect(content[3]?.text).toContain('audio/wav, 3 bytes')
    // What it does not know as a member is no harm and stays.
    expect(answer.endsWith(' ],"structuredContent":{"a":1.0},"x":1.0}}')).toBe(true)

    const prompt = await client.request('2', 'prompts/get', '{"name":"a__p"}')
    const { messages } = JSON.parse(rawAt(prompt, 'result') ?? '{}') as {
      messages: { content: { type: string } }[]
    }
    expect(typesIn(messages.map(message => message.content))).toEqual(['text', audio, link])

    const list = rawAt(await client.request('3', 'tools/list'), 'result')
    const sizes = version === '2025-06-18' ? '' : ',"sizes":["48x48"]'
    expect(list).toBe(
      `{"tools":[${TOOL.replace('"name":"t"', '"name":"a__t"').replace(',"sizes":["48x48"]', sizes)}]}`,
    )
  })

  test('of a modern server, too', async () => {
    await using server = await scriptedHttp()
    sayEverything(server)
    server.results.set('server/discover', '{"supportedVersions":["2026-07-28"],"capabilities":{"tools":{}}}')
    server.results.delete('initialize')
    server.results.set('tools/call', EVERYTHING.replace('{', '{"resultType":"complete",'))
    await using gateway = await gatewayFor(server)
    await using client = await LegacySession.open(gateway.origin, { version })
    const answer = await client.request('1', 'tools/call', '{"name":"a__t"}')
    const { content } = JSON.parse(rawAt(answer, 'result') ?? '{}') as { content: { type: string }[] }
    expect(typesIn(content)).toEqual(['text', 'image', 'resource', audio, link])
    expect(answer).not.toContain('resultType')
  })

  test.each([
    ['a form', '{"message":"m","requestedSchema":{"type":"object","properties":{}}}'],
    ['a URL', '{"mode":"url","message":"m","url":"https://a.example","elicitationId":"e"}'],
  ])('is asked for %s when it declares that, whatever its revision has', async (_, params) => {
    await using server = await scriptedHttp()
    await using gateway = await gatewayFor(server)
    await using client = await LegacySession.open(gateway.origin, {
      version,
      capabilities: '{"elicitation":{"form":{},"url":{}}}',
    })
    const posted = await asked(server, client, 'elicitation/create', params)
    const { data } = await posted.events.take()
    expect(rawAt(data, 'method')).toBe('"elicitation/create"')
    await (
      await client.post(`{"jsonrpc":"2.0","id":${rawAt(data, 'id')},"result":{"action":"accept"}}`)
    ).body
    const heard = await server.messages.take(
      text => rawAt(text, 'id') === '"q"',
      'the answer to the question',
    )
    expect(rawAt(heard, 'result')).toBe('{"action":"accept"}')
    const call = await server.called('t')
    call.answer('"result":{"content":[]}')
    expect((await posted.events.take(({ data }) => data.includes('"result"'), 'the result')).data).toContain(
      '"id":1',
    )
  })

  test('is asked to sample from what its revision has, with tools only if it declares these', async () => {
    await using server = await scriptedHttp()
    await using gateway = await gatewayFor(server)
    await using client = await LegacySession.open(gateway.origin, {
      version,
      capabilities: '{"sampling":{}}',
    })
    const list = `{"messages":[{"role":"user","content":[${TEXT},${AUDIO}]}],"maxTokens":1.0}`
    const posted = await asked(server, client, 'sampling/createMessage', list)
    const { data } = await posted.events.take()
    const { messages } = JSON.parse(rawAt(data, 'params') ?? '{}') as {
      messages: { content: { type: string } }[]
    }
    if (version === '2025-11-25') expect(rawAt(data, 'params')).toBe(list)
    else expect(typesIn(messages.map(({ content }) => content))).toEqual(['text', audio])
    const sample = '{"role":"assistant","content":{"type":"text","text":"s"},"model":"m"}'
    await (
      await client.post(`{"jsonrpc":"2.0","id":${rawAt(data, 'id')},"result":${sample}}`)
    ).body
    const heard = await server.messages.take(
      text => rawAt(text, 'id') === '"q"',
      'the answer to the question',
    )
    expect(rawAt(heard, 'result')).toBe(sample)

    const call = await server.called('t')
    const tools = `{"messages":[],"maxTokens":1,"tools":[]}`
    call.say(`{"jsonrpc":"2.0","id":"r","method":"sampling/createMessage","params":${tools}}`)
    const refused = await server.messages.take(text => rawAt(text, 'id') === '"r"', 'the answer to the other')
    expect(rawAt(refused, 'error', 'message')).toContain('has not declared sampling.tools')
    call.answer('"result":{"content":[]}')
    await posted.body
  })

  test('is asked to sample with tools when it declares these, and their content stays', async () => {
    await using server = await scriptedHttp()
    await using gateway = await gatewayFor(server)
    await using client = await LegacySession.open(gateway.origin, {
      version,
      capabilities: '{"sampling":{"tools":{}}}',
    })
    const use = '{"role":"assistant","content":[{"type":"tool_use","id":"1","name":"n","input":{"n":1.0}}]}'
    const params = `{"messages":[${use}],"maxTokens":1.0,"tools":[]}`
    const posted = await asked(server, client, 'sampling/createMessage', params)
    expect(rawAt((await posted.events.take()).data, 'params')).toBe(params)
    ;(await server.called('t')).answer('"result":{"content":[]}')
    await posted.body
  })

  test('may send several messages at once only where its revision says so', async () => {
    await using server = await scriptedHttp()
    await using gateway = await gatewayFor(server)
    await using client = await LegacySession.open(gateway.origin, { version })
    const response = await client.post(
      `[${['1', '2'].map(id => requestText(id, 'ping', undefined)).join(',')}]`,
    )
    const body = await response.body
    if (version < '2025-06-18') expect(JSON.parse(body)).toHaveLength(2)
    else {
      expect(response.status).toBe(400)
      expect(body).toContain(`Revision ${version} has no batches`)
    }
  })
})

/** Calls the tool, and has the server ask something on the stream of the call. */
async function asked(server: ScriptedServer, client: LegacySession, method: string, params: string) {
  const posting = client.post(requestText('1', 'tools/call', '{"name":"a__t"}'))
  const call = await server.called('t')
  server.requests.push(call)
  call.say(`{"jsonrpc":"2.0","id":"q","method":"${method}","params":${params}}`)
  // Without a question that reaches the client the response begins with a notification.
  call.say('{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":0}}')
  const posted = await posting
  await posted.events.take(({ data }) => data.includes('notifications/message'), 'the log record')
  return posted
}

describe('a client that says 2024-11-05 over HTTP+SSE', () => {
  const BIG = '9223372036854775807'
  const QUESTION = '{"message":"who?","requestedSchema":{"type":"object","properties":{}}}'

  test.each(['{"elicitation":{}}', '{"elicitation":{"form":{}}}'])(
    'and declares %s is asked, and what it answers or refuses arrives as it was said',
    async capabilities => {
      await using server = await scriptedHttp()
      await using gateway = await gatewayFor(server)
      await using client = await DeprecatedSession.open(gateway.origin, {
        version: '2024-11-05',
        capabilities,
      })
      const question = `{"jsonrpc":"2.0","id":"q","method":"elicitation/create","params":${QUESTION}}`
      const answers = [
        ['result', `{"action":"accept","content":{"n":${BIG}}}`],
        ['error', `{"code":-32050,"message":"nobody is there","data":{"n":${BIG}}}`],
      ] as const
      for (const [id, [member, value]] of answers.entries()) {
        await client.post(requestText(String(id), 'tools/call', '{"name":"a__t"}'))
        const call = await server.called('t')
        call.say(question)
        const { data } = await client.events.take(event => event.data.includes('elicitation'), 'the question')
        await client.post(`{"jsonrpc":"2.0","id":${rawAt(data, 'id')},"${member}":${value}}`)
        const heard = await server.messages.take(text => rawAt(text, 'id') === '"q"', 'the answer')
        expect(rawAt(heard, member)).toBe(value)
        call.answer(`"result":{"content":[],"structuredContent":{"n":${BIG}}}`)
        const answer = await client.events.take(event => event.data.includes('"content"'), 'the result')
        expect(answer.data).toContain(BIG)
      }
    },
  )
})

/** A client of the SDK on the gateway's stdio front, in this process. */
class Pipe implements Transport {
  onmessage?: (message: JSONRPCMessage) => void
  onclose?: () => void
  onerror?: (error: Error) => void
  readonly #input = new PassThrough()
  readonly #gateway: RunningGateway
  #served: Promise<void> = Promise.resolve()

  constructor(gateway: RunningGateway) {
    this.#gateway = gateway
  }

  async start(): Promise<void> {
    const output = new PassThrough()
    output.setEncoding('utf8')
    let rest = ''
    output.on('data', (chunk: string) => {
      const lines = (rest + chunk).split('\n')
      rest = lines.pop() as string
      for (const line of lines) this.onmessage?.(JSON.parse(line) as JSONRPCMessage)
    })
    this.#served = this.#gateway.serveStdio(this.#input, output)
  }

  async send(message: JSONRPCMessage): Promise<void> {
    this.#input.write(`${JSON.stringify(message)}\n`)
  }

  async close(): Promise<void> {
    this.#input.end()
    await this.#served
    this.onclose?.()
  }
}

describe('the official client of 2024-11-05', () => {
  test('rejects none of it', async () => {
    await using server = await scriptedStdio()
    sayEverything(server)
    await using gateway = await gatewayFor(server)
    const client = new Client({ name: 'old', version: '1' }, { capabilities: {} })
    await client.connect(new Pipe(gateway.gateway))
    expect((await client.listTools()).tools).toMatchObject([{ name: 'a__t' }])
    const { content } = (await client.callTool({ name: 'a__t' })) as { content: { type: string }[] }
    expect(typesIn(content)).toEqual(['text', 'image', 'resource', 'text', 'text'])
    const { messages } = await client.getPrompt({ name: 'a__p' })
    expect(messages.map(message => message.content)).toMatchObject([
      { type: 'text', text: 't' },
      { type: 'text', text: expect.stringContaining('audio/wav') },
      { type: 'text', text: expect.stringContaining('file:///b') },
    ])
    server.results.set('tools/call', '{"structuredContent":{"a":1}}')
    expect(await client.callTool({ name: 'a__t' })).toMatchObject({
      content: [{ type: 'text', text: '{"a":1}' }],
      structuredContent: { a: 1 },
    })
    await client.close()
  })

  test('is asked what it can read', async () => {
    await using server = await scriptedStdio()
    await using gateway = await gatewayFor(server)
    const client = new Client({ name: 'old', version: '1' }, { capabilities: { sampling: {} } })
    const seen: unknown[] = []
    client.setRequestHandler(CreateMessageRequestSchema, ({ params }) => {
      seen.push(...params.messages.map(({ content }) => content.type))
      return { model: 'm', role: 'assistant', content: { type: 'text', text: 'sampled' } }
    })
    await client.connect(new Pipe(gateway.gateway))
    const calling = client.callTool({ name: 'a__t' })
    const call = await server.called('t')
    const params = `{"messages":[{"role":"user","content":[${IMAGE},${AUDIO}]}],"maxTokens":1}`
    call.say(`{"jsonrpc":"2.0","id":"q","method":"sampling/createMessage","params":${params}}`)
    const heard = await server.messages.take(text => rawAt(text, 'id') === '"q"', 'the sample')
    expect(rawAt(heard, 'result', 'content', 'text')).toBe('"sampled"')
    expect(seen).toEqual(['image', 'text'])
    call.answer('"result":{"content":[]}')
    await calling
    await client.close()
  })
})

test('a modern client of the same server gets everything as it is', async () => {
  await using server = await scriptedHttp()
  sayEverything(server)
  await using gateway = await gatewayFor(server)
  await using client = new ModernHttp(gateway.origin)
  const answer = await client.request('1', 'tools/call', '{"name":"a__t"}')
  expect(answer).toContain(EVERYTHING.slice(1))
})
