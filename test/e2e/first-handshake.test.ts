import { setTimeout } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import type { Exchange } from '../../src/core/exchange.ts'
import { startGateway } from '../helpers/gateway.ts'
import { makeScratch } from '../helpers/scratch.ts'
import { startStdio, type Answer } from '../helpers/stdio-client.ts'
import { ENVELOPE, LegacySession, ModernHttp, StdioClient } from '../helpers/wire-clients.ts'
import { RunningTime } from '../helpers/running-time.ts'

/** What the first client of a gateway that has listed nothing yet is told when it is greeted. */

/**
 * A stdio server that answers nothing before so many milliseconds have passed since its start; `never` is possible. With `asks` behind it, it asks
 * for roots and writes a log record before it lists its tools.
 */
const LATE = `
const [ms, name, asks] = process.argv.slice(1)
const say = message => process.stdout.write(JSON.stringify({ jsonrpc: '2.0', ...message }) + '\\n')
const take = line => {
  const { id, method } = JSON.parse(line)
  if (method === 'initialize') {
    const [protocolVersion, serverInfo] = ['2025-11-25', { name, version: '1' }]
    return say({ id, result: { protocolVersion, capabilities: { tools: {}, logging: {} }, serverInfo, instructions: 'Ask ' + name + ' first.' } })
  }
  if (method === 'tools/list') {
    if (asks) {
      say({ id: 'roots', method: 'roots/list' })
      say({ method: 'notifications/message', params: { level: 'error', data: 'early' } })
    }
    return setTimeout(() => say({ id, result: { tools: [{ name: 't', inputSchema: { type: 'object' } }] } }), asks ? 300 : 0)
  }
  if (id !== undefined && method !== undefined) say({ id, error: { code: -32601, message: 'Method not found' } })
}
const early = []
let ready = false
require('node:readline').createInterface({ input: process.stdin }).on('line', line => ready ? take(line) : early.push(line))
if (ms !== 'never') setTimeout(() => { ready = true; early.forEach(take) }, Number(ms))
`

const late = (name: string, ms: number | 'never', ...more: string[]): object => ({
  command: process.execPath,
  args: ['-e', LATE, String(ms), name, ...more],
})

/** Only the greeting's own bound ends before the time of these tests. */
const PATIENT = { firstListTimeout: '60s' }

const initialize = (capabilities: object): string => {
  const params = { protocolVersion: '2025-11-25', capabilities, clientInfo: { name: 'c', version: '1' } }
  return JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'initialize', params })
}

type Greeted = Promise<Answer>
interface Client {
  readonly era: string
  readonly front: string
  /** Greets a gateway of these servers that has just been started. */
  greet(mcpServers: object): Greeted
}

const MODERN = { _meta: JSON.parse(`{${ENVELOPE}}`) as object }

async function overStdio(
  mcpServers: object,
  greet: (client: ReturnType<typeof startStdio>) => Greeted,
): Greeted {
  await using scratch = makeScratch()
  const gateway = { state: 'memory', catalog: PATIENT }
  await using client = startStdio(scratch.write('servers.json', { mcpServers, gateway }))
  return await greet(client)
}

async function overHttp(mcpServers: object, greet: (origin: string) => Promise<string>): Greeted {
  await using served = await startGateway({ mcpServers, gateway: { catalog: PATIENT } })
  return JSON.parse(await greet(served.origin)) as Answer
}

const CLIENTS: readonly Client[] = [
  {
    era: 'legacy',
    front: 'stdio',
    greet: servers => overStdio(servers, client => client.initialize()),
  },
  {
    era: 'modern',
    front: 'stdio',
    greet: servers => overStdio(servers, client => client.request('server/discover', MODERN)),
  },
  {
    era: 'legacy',
    front: 'HTTP',
    greet: servers =>
      overHttp(servers, async origin => {
        await using session = await LegacySession.open(origin)
        return session.greeting
      }),
  },
  {
    era: 'modern',
    front: 'HTTP',
    greet: servers =>
      overHttp(servers, async origin => {
        await using client = new ModernHttp(origin)
        return await client.request('1', 'server/discover')
      }),
  },
]

describe.each(CLIENTS)('the first handshake of a $era client over $front', ({ greet }) => {
  test('has the instructions and capabilities of a server that takes 500 ms to start', async () => {
    const { result } = await greet({ tardy: late('tardy', 500) })
    expect(result?.['instructions']).toBe('Ask tardy first.')
    expect(result?.['capabilities']).toHaveProperty('tools')
    expect(result?.['capabilities']).not.toHaveProperty('prompts')
  })

  test('has those of the healthy server, and is not held up by one that never answers', async () => {
    using time = new RunningTime()
    const { result } = await greet({ mute: late('mute', 'never'), healthy: late('healthy', 0) })
    expect(time.ms).toBeLessThan(15_000)
    expect(result?.['instructions']).toContain('Ask healthy first.')
    // What the other one can do is not known.
    expect(result?.['capabilities']).toHaveProperty('prompts')
  })
})

describe('while a handshake waits', () => {
  test('a stdio client gets its answer before anything else, then what a server asked and said meanwhile', async () => {
    await using served = await startGateway(
      { mcpServers: { asking: late('asking', 0, 'asks') }, gateway: { catalog: PATIENT } },
      { listen: false },
    )
    await using client = new StdioClient(served.gateway, false)
    client.send(initialize({ roots: {} }))
    const first = JSON.parse(await client.lines.take()) as Answer
    expect(first.result?.['instructions']).toBe('Ask asking first.')
    const next = [JSON.parse(await client.lines.take()), JSON.parse(await client.lines.take())] as Answer[]
    expect(next.map(({ method }) => method)).toEqual(
      expect.arrayContaining(['roots/list', 'notifications/message']),
    )
  })

  test('what the client sends next is answered', async () => {
    await using served = await startGateway(
      { mcpServers: { mute: late('mute', 'never'), tardy: late('tardy', 500) } },
      { listen: false },
    )
    await using client = new StdioClient(served.gateway, false)
    const params = {
      protocolVersion: '2025-11-25',
      capabilities: {},
      clientInfo: { name: 'c', version: '1' },
    }
    client.send(JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'initialize', params }))
    client.send('{"jsonrpc":"2.0","method":"notifications/initialized"}')
    client.send('{"jsonrpc":"2.0","id":2,"method":"logging/setLevel","params":{"level":"error"}}')
    client.send('{"jsonrpc":"2.0","id":3,"method":"tools/call","params":{"name":"tardy__t"}}')
    client.send(JSON.stringify({ jsonrpc: '2.0', id: 4, method: 'initialize', params }))
    expect(await client.answer('2')).toContain('"result":{}')
    expect(await client.answer('4')).toContain('initialized already')
    expect(await client.answer('3')).toContain('Method not found')
    expect(await client.answer('1')).toContain('Ask tardy first.')
  })

  test.each([{}, { elicitation: {}, sampling: {} }])(
    'a client that can %j is not told of lists that became known before its answer',
    async capabilities => {
      await using served = await startGateway(
        { mcpServers: { tardy: late('tardy', 300) } },
        { listen: false },
      )
      await using client = new StdioClient(served.gateway, false)
      client.send(initialize(capabilities))
      expect(await client.lines.take()).toContain('Ask tardy first.')
      client.send('{"jsonrpc":"2.0","id":2,"method":"tools/list"}')
      expect(await client.lines.take()).toContain('"tardy__t"')
      // What the change of lists would set off has its turn.
      await setTimeout(50)
      client.send('{"jsonrpc":"2.0","id":3,"method":"ping"}')
      expect(await client.lines.take()).toContain('"id":3')
    },
  )

  test('a client that has asked for a list meanwhile is notified of what was added', async () => {
    await using served = await startGateway({ mcpServers: { tardy: late('tardy', 300) } }, { listen: false })
    await using client = new StdioClient(served.gateway, false)
    client.send(initialize({}))
    client.send('{"jsonrpc":"2.0","id":2,"method":"tools/list"}')
    const lines = [await client.lines.take(), await client.lines.take(), await client.lines.take()]
    expect(lines.join('\n')).toContain('notifications/tools/list_changed')
  })

  test('it is answered although its client has closed its input, and with an error when the gateway ends', async () => {
    const answer = await overStdio({ tardy: late('tardy', 500) }, async client => {
      const greeted = client.initialize()
      expect(await client.leave()).toBe(0)
      return await greeted
    })
    expect(answer.result?.['instructions']).toBe('Ask tardy first.')
    await using served = await startGateway(
      { mcpServers: { mute: late('mute', 'never') } },
      { listen: false },
    )
    await using client = new StdioClient(served.gateway, false)
    client.send('{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25"}}')
    await setTimeout(50)
    await served.gateway.close()
    expect(await client.answer('1')).toContain('"error"')
  })
})

describe('a handshake does not wait', () => {
  const exchange = { view: '', protocolVersion: '2025-11-25', features: '' } as Exchange

  test.each([
    ['for a server that has been listed', late('known', 0)],
    ['for a server that has failed', { command: process.execPath, args: ['-e', 'process.exit(1)'] }],
    ['a second time for a server that does not answer', late('mute', 'never')],
  ])('%s', async (_, server) => {
    await using served = await startGateway({ mcpServers: { server }, gateway: { catalog: PATIENT } })
    await using session = await LegacySession.open(served.origin)
    expect(session.greeting).toContain('"result"')
    await setTimeout(20)
    expect(served.gateway.introduced(exchange)).toBeUndefined()
  })
})
