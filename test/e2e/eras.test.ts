import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, onTestFinished, test } from 'vitest'
import { createMemoryStore } from '../../src/state/memory.ts'
import type { Store } from '../../src/state/store.ts'
import { startGateway } from '../helpers/gateway.ts'
import type { TestGateway } from '../helpers/gateway.ts'
import { everything, serveEverything } from '../helpers/real-servers.ts'
import { makeScratch } from '../helpers/scratch.ts'
import { serve } from '../helpers/served.ts'
import { answerOf, LegacySession, ModernHttp, requestText, withEnvelope } from '../helpers/wire-clients.ts'

/** A server of both eras is spoken to in the era of the client, so that each client gets what it has without the gateway. */

const SERVER = fileURLToPath(new URL('../fixtures/servers/two-eras.js', import.meta.url))
const ASKABLE = '{"elicitation":{}}'

interface TwoEras {
  /** Entry of `mcpServers`. */
  readonly entry: Readonly<Record<string, unknown>>
  /** What it received: era and method. */
  received(): string[]
  /** How many processes of it there have been. */
  processes(): number
}

async function twoEras(transport: 'http' | 'stdio', ...options: string[]): Promise<TwoEras> {
  const scratch = makeScratch()
  onTestFinished(() => scratch[Symbol.asyncDispose]())
  const log = scratch.write('log', '')
  const args = [SERVER, '--log', log, ...options]
  const lines = (): string[] => readFileSync(log, 'utf8').split('\n').slice(0, -1)
  const seen = {
    received: () => lines().map(line => line.slice(line.indexOf(' ') + 1)),
    processes: () => new Set(lines().map(line => line.split(' ')[0])).size,
  }
  if (transport === 'stdio')
    return { entry: { command: process.execPath, args: [...args, '--stdio'] }, ...seen }
  const served = await serve(args)
  onTestFinished(async () => void (await served.stop()))
  return { entry: { url: `${served.origin}/mcp` }, ...seen }
}

async function gatewayTo({ entry }: TwoEras, store?: Store): Promise<TestGateway> {
  const gateway = await startGateway({ mcpServers: { s: entry } }, store ? { store } : {})
  onTestFinished(() => gateway[Symbol.asyncDispose]())
  return gateway
}

interface Client {
  /** The text of a tool's result. Questions are answered with this client's name. */
  call(tool: string): Promise<string>
  tools(): Promise<string[]>
}

const nameOf = (listed: string): string[] =>
  (JSON.parse(listed) as { result: { tools: { name: string }[] } }).result.tools
    .map(({ name }) => name.replace('s__', ''))
    .sort()

const textOf = (answer: string): string => {
  const { result, error } = JSON.parse(answer) as {
    result?: { content: { text: string }[] }
    error?: { message: string }
  }
  return result?.content[0]?.text ?? `error: ${error?.message}`
}

let lastId = 0

const CLIENTS = {
  async legacy({ origin }: TestGateway, name: string, capabilities = ASKABLE): Promise<Client> {
    const session = await LegacySession.open(origin, { capabilities })
    // Its gateway may have gone before.
    onTestFinished(() => session[Symbol.asyncDispose]().catch(() => undefined))
    return {
      async call(tool) {
        const id = String(++lastId)
        const response = await session.post(
          requestText(id, 'tools/call', `{"name":"s__${tool}","arguments":{}}`),
        )
        if (tool === 'ask') {
          const { data } = await response.events.take(undefined, 'a question')
          const { id: question } = JSON.parse(data) as { id: unknown }
          const result = { action: 'accept', content: { name } }
          await session.post(JSON.stringify({ jsonrpc: '2.0', id: question, result }))
        }
        return textOf(await answerOf(response))
      },
      tools: async () => nameOf(await session.request(String(++lastId), 'tools/list')),
    }
  },
  modern({ origin }: TestGateway, name: string, capabilities = ASKABLE): Promise<Client> {
    const client = new ModernHttp(origin)
    onTestFinished(() => client[Symbol.asyncDispose]())
    const request = async (method: string, params: object): Promise<string> => {
      const text = withEnvelope(JSON.stringify(params)).replace(
        'Capabilities":{}',
        `Capabilities":${capabilities}`,
      )
      return await answerOf(await client.post(String(++lastId), method, text))
    }
    return Promise.resolve({
      async call(tool) {
        const params = { name: `s__${tool}`, arguments: {} }
        const first = await request('tools/call', params)
        const { result } = JSON.parse(first) as { result?: { inputRequests?: object; requestState?: string } }
        if (!result?.inputRequests) return textOf(first)
        const answer = { action: 'accept', content: { name } }
        const inputResponses = Object.fromEntries(Object.keys(result.inputRequests).map(key => [key, answer]))
        return textOf(
          await request('tools/call', { ...params, inputResponses, requestState: result.requestState }),
        )
      },
      tools: async () => nameOf(await request('tools/list', {})),
    })
  },
}
type ClientName = keyof typeof CLIENTS
const DIRECT: Record<ClientName, string> = {
  legacy: 'asked by a request: Ada',
  modern: 'asked by a round: Ada',
}

const KINDS = {
  plain: (gateway: TestGateway) => CLIENTS.legacy(gateway, 'Ada', '{}'),
  sampling: (gateway: TestGateway) => CLIENTS.legacy(gateway, 'Ada', '{"sampling":{}}'),
  modern: (gateway: TestGateway) => CLIENTS.modern(gateway, 'Ada'),
}
const SHOWN: Record<keyof typeof KINDS, string[]> = {
  plain: ['ask', 'count', 'era', 'unlock'],
  sampling: ['ask', 'ask_model', 'count', 'era', 'unlock'],
  modern: ['ask', 'era', 'rounds'],
}

describe.each(['http', 'stdio'] as const)('over %s', transport => {
  describe.each([
    ['legacy', 'modern'],
    ['modern', 'legacy'],
  ] as const)('a %s client comes first, a %s one second', (...order) => {
    test('each is answered and asked in its own era', async () => {
      const server = await twoEras(transport)
      const gateway = await gatewayTo(server)
      const clients = []
      for (const era of order) clients.push([era, await CLIENTS[era](gateway, 'Ada')] as const)
      for (let round = 0; round < 2; round++)
        for (const [era, client] of clients) {
          expect(await client.call('era')).toBe(era)
          expect(await client.call('ask')).toBe(DIRECT[era])
        }
      expect(server.processes()).toBe(transport === 'http' ? 1 : 2)
    })
  })

  test('a connection that belongs to the era of its first message is opened in that of the client', async () => {
    const server = await twoEras(transport, '--first-decides')
    const gateway = await gatewayTo(server)
    const clients = [await CLIENTS.legacy(gateway, 'Ada'), await CLIENTS.modern(gateway, 'Ada')] as const
    expect(await clients[0].call('ask')).toBe(DIRECT.legacy)
    expect(await clients[1].call('ask')).toBe(DIRECT.modern)
    expect(await clients[0].call('era')).toBe('legacy')
  })

  describe.each([
    ['plain', 'sampling', 'modern'],
    ['modern', 'sampling', 'plain'],
    ['sampling', 'modern', 'plain'],
  ] as const)('clients list in the order %s, %s, %s', (...order) => {
    test('each is shown what it is shown without the gateway, from its first list on, and after a restart', async () => {
      const server = await twoEras(transport)
      const store = createMemoryStore()
      store.close = () => Promise.resolve()
      const lists = async (gateway: TestGateway): Promise<void> => {
        for (const kind of order) {
          const client = await KINDS[kind](gateway)
          for (let round = 0; round < 2; round++) expect(await client.tools()).toEqual(SHOWN[kind])
        }
      }
      const first = await startGateway({ mcpServers: { s: server.entry } }, { store })
      await lists(first)
      await lists(first)
      // One list for each kind of client at least. Lists are kept a moment after they are answered.
      let kept: readonly string[] = []
      await expect
        .poll(
          async () => {
            const before = kept
            kept = await store.keys('catalog/')
            return kept.length >= order.length && kept.length === before.length
          },
          { interval: 1000 },
        )
        .toBe(true)
      await first[Symbol.asyncDispose]()
      const before = server.received().length
      await lists(await gatewayTo(server, store))
      // Every list was known.
      expect(server.received().length).toBe(before)
    })
  })

  test('a client whose lists are the same as before gets no notification', async () => {
    const server = await twoEras(transport)
    const gateway = await gatewayTo(server)
    const session = await LegacySession.open(gateway.origin)
    onTestFinished(() => session[Symbol.asyncDispose]())
    const stream = await session.listen()
    expect(nameOf(await session.request('1', 'tools/list'))).toEqual(SHOWN.plain)
    // Where the greeting did not wait for the first list, that it is known is a change, too.
    const changes = (): number => stream.events.all.filter(({ data }) => data.includes('list_changed')).length
    await new Promise(resolve => setTimeout(resolve, 500))
    const before = changes()
    for (const kind of ['sampling', 'modern'] as const)
      expect(await (await KINDS[kind](gateway)).tools()).toEqual(SHOWN[kind])
    await new Promise(resolve => setTimeout(resolve, 500))
    expect(changes()).toBe(before)
    expect(nameOf(await session.request('2', 'tools/list'))).toEqual(SHOWN.plain)
  })

  test('which eras it speaks is known at the next start', async () => {
    const server = await twoEras(transport)
    const store = createMemoryStore()
    store.close = () => Promise.resolve()
    const first = await startGateway({ mcpServers: { s: server.entry } }, { store })
    expect(await (await CLIENTS.legacy(first, 'Ada')).call('era')).toBe('legacy')
    // The lists, and with them the eras, are kept a moment later.
    await expect.poll(() => store.keys('catalog/')).toHaveLength(1)
    await first[Symbol.asyncDispose]()
    const before = server.received().length
    const gateway = await gatewayTo(server, store)
    expect(await (await CLIENTS.legacy(gateway, 'Ada')).call('era')).toBe('legacy')
    expect(server.received().slice(before)[0]).toBe('legacy initialize')
  })

  test('a server that has only the modern era serves legacy clients in that, and is asked for the other one once', async () => {
    const server = await twoEras(transport, '--modern-only')
    const gateway = await gatewayTo(server)
    const clients = [await CLIENTS.legacy(gateway, 'Ada'), await CLIENTS.legacy(gateway, 'Ada')]
    for (const client of clients) {
      expect(await client.call('era')).toBe('modern')
      expect(await client.call('ask')).toBe('asked by a round: Ada')
    }
    // A process that has answered a modern question may have had to refuse the other one for that alone.
    const asked = transport === 'http' ? 1 : 2
    expect(server.received().filter(line => line === 'legacy initialize')).toHaveLength(asked)
    expect(server.processes()).toBe(asked)
  })

  test('calls of sessions that cannot be asked share a legacy link', async () => {
    const server = await twoEras(transport)
    const gateway = await gatewayTo(server)
    const clients = [await CLIENTS.legacy(gateway, 'a', '{}'), await CLIENTS.legacy(gateway, 'b', '{}')]
    for (const client of clients) expect(await client.call('era')).toBe('legacy')
    expect(server.received().filter(line => line === 'legacy initialize')).toHaveLength(1)
    expect(server.processes()).toBe(1)
  })
})

describe.each(['http', 'stdio'] as const)('the published server-everything over %s', transport => {
  const CAPABILITIES = { plain: '{}', able: '{"sampling":{},"elicitation":{},"roots":{}}' }
  test.each([
    ['plain', 'able', 'plain'],
    ['able', 'plain', 'able'],
    ['plain', 'plain', 'able'],
  ] as const)(
    'clients in the order %s, %s, %s: each is shown the tools it is shown without the gateway, after a restart too',
    async (...order) => {
      const served = transport === 'http' ? await serveEverything('streamableHttp') : undefined
      if (served) onTestFinished(() => served[Symbol.asyncDispose]())
      const entry = served ? { url: served.endpoint } : everything
      const store = createMemoryStore()
      store.close = () => Promise.resolve()
      for (let start = 0; start < 2; start++) {
        const gateway = await startGateway({ mcpServers: { s: entry } }, { store })
        onTestFinished(() => gateway[Symbol.asyncDispose]())
        for (const kind of order) {
          const client = await CLIENTS.legacy(gateway, 'Ada', CAPABILITIES[kind])
          for (let round = 0; round < 2; round++)
            expect([kind, (await client.tools()).length]).toEqual([kind, kind === 'plain' ? 13 : 16])
        }
        await gateway[Symbol.asyncDispose]()
      }
    },
  )
})
