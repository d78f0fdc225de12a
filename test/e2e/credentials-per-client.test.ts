import { createServer } from 'node:http'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { expect, test } from 'vitest'
import { callAs, keyOf, withKeys, type Caller } from '../helpers/callers.ts'
import { startGateway } from '../helpers/gateway.ts'
import { makeScratch } from '../helpers/scratch.ts'

/** Two clients, one gateway, and servers that get values of each client. */

const CLIENTS = ['ada', 'ben'] as const
const secretOf = (client: string): string => `secret-of-${client}`
const clients = withKeys(
  Object.fromEntries(
    CLIENTS.map(name => [name, { values: { token: secretOf(name), team: `team-${name}` } }]),
  ),
)

interface Seen {
  readonly authorization: string | undefined
  readonly url: string
  readonly name: string
}

/** A server without sessions, of the given era. Its tool answers with what the request presented. */
async function echoServer(
  era: 'legacy' | 'modern',
): Promise<{ url: string; seen: Seen[] } & AsyncDisposable> {
  const seen: Seen[] = []
  const listener = createServer((request, response) => {
    let body = ''
    request.on('data', (chunk: Buffer) => (body += chunk.toString()))
    request.on('end', () => {
      if (request.method !== 'POST') return void response.writeHead(405).end()
      const { id, method, params } = JSON.parse(body) as {
        id?: number
        method: string
        params?: { arguments?: { client?: string } }
      }
      if (id === undefined) return void response.writeHead(202).end()
      const { authorization } = request.headers
      const answer = (member: object): void =>
        void response
          .writeHead(200, { 'content-type': 'application/json' })
          .end(JSON.stringify({ jsonrpc: '2.0', id, ...member }))
      const about = { capabilities: { tools: {}, resources: {} }, serverInfo: { name: 's', version: '1' } }
      if (method === 'server/discover' && era === 'modern')
        return answer({
          result: {
            resultType: 'complete',
            supportedVersions: ['2026-07-28'],
            ttlMs: 0,
            cacheScope: 'private',
            ...about,
          },
        })
      if (method === 'initialize' && era === 'legacy')
        return answer({ result: { protocolVersion: '2025-11-25', ...about } })
      const list = { resultType: 'complete', ttlMs: 0, cacheScope: 'public' }
      const tool = {
        name: 'echo',
        inputSchema: { type: 'object' },
        annotations: { readOnlyHint: true, idempotentHint: true },
      }
      if (method === 'tools/list') return answer({ result: { ...list, tools: [tool] } })
      if (method === 'resources/list')
        return answer({ result: { ...list, resources: [{ uri: `own://${authorization}`, name: 'own' }] } })
      if (method === 'tools/call') {
        seen.push({ authorization, url: request.url ?? '', name: params?.arguments?.client ?? '' })
        const text = `${authorization} ${request.url}`
        return answer({ result: { resultType: 'complete', content: [{ type: 'text', text }] } })
      }
      answer({ error: { code: -32601, message: 'no such method' } })
    })
  }).listen(0, '127.0.0.1')
  await once(listener, 'listening')
  return {
    url: `http://127.0.0.1:${(listener.address() as AddressInfo).port}`,
    seen,
    async [Symbol.asyncDispose]() {
      listener.closeAllConnections()
      listener.close()
      await once(listener, 'close')
    },
  }
}

/** A program whose tool answers with its variables. */
const PROGRAM = `
const lines = require('node:readline').createInterface({ input: process.stdin })
lines.on('line', line => {
  const { id, method } = JSON.parse(line)
  if (id === undefined) return
  const say = member => process.stdout.write(JSON.stringify({ jsonrpc: '2.0', id, ...member }) + '\\n')
  if (method === 'initialize')
    return say({ result: { protocolVersion: '2025-11-25', capabilities: { tools: {} }, serverInfo: { name: 'p', version: '1' } } })
  if (method === 'tools/list') return say({ result: { tools: [{ name: 'echo', inputSchema: { type: 'object' } }] } })
  if (method === 'tools/call')
    return say({ result: { content: [{ type: 'text', text: process.env.KEY + ' ' + process.argv[2] }] } })
  say({ error: { code: -32601, message: 'no such method' } })
})
`

const CALLS = 2000

test('2,000 interleaved calls of two clients each carry the values of their own client', async () => {
  await using legacy = await echoServer('legacy')
  await using modern = await echoServer('modern')
  await using folder = makeScratch()
  const program = folder.write('echo.cjs', PROGRAM)
  const entry = (url: string): object => ({
    url: `${url}/\${client.team}`,
    headers: { Authorization: 'Bearer ${client.token}' },
    cache: { ttl: '1m', scope: 'shared' },
  })
  await using running = await startGateway({
    mcpServers: {
      legacy: entry(legacy.url),
      modern: entry(modern.url),
      program: {
        command: process.execPath,
        args: [program, '${client.team}'],
        env: { KEY: '${client.token}' },
      },
    },
    clients,
  })
  const callers: { readonly name: string; readonly caller: Caller }[] = []
  for (const name of CLIENTS)
    for (const isModern of [false, true]) {
      const caller = await callAs(running.origin, keyOf(name), { modern: isModern })
      if (!caller) throw new Error(`there is no endpoint for ${name}`)
      callers.push({ name, caller })
    }
  try {
    const wrong: string[] = []
    const call = async (at: number): Promise<void> => {
      const { name, caller } = callers[at % callers.length] as (typeof callers)[0]
      const server = ['legacy', 'modern', 'program'][at % 3] as string
      // Half of the calls are equal to one of the other client: only the owner tells their answers apart.
      const args = { at: at % 2 ? at : at % 7, client: at % 2 ? name : '' }
      const params = JSON.stringify({ name: `${server}__echo`, arguments: args })
      const answer = await caller.request('tools/call', params)
      const other = CLIENTS.find(client => client !== name) as string
      if (
        !answer.includes(secretOf(name)) ||
        answer.includes(secretOf(other)) ||
        answer.includes(`team-${other}`)
      )
        wrong.push(`${name} at ${server}: ${answer}`)
    }
    for (let from = 0; from < CALLS; from += 40)
      await Promise.all(Array.from({ length: 40 }, (_, at) => call(from + at)))
    expect(wrong).toEqual([])
    for (const { seen } of [legacy, modern]) {
      expect(seen.length).toBeGreaterThan(CALLS / 8)
      for (const { authorization, url, name } of seen) {
        const owner = CLIENTS.find(client => authorization === `Bearer ${secretOf(client)}`)
        expect([owner, url]).toEqual([name === '' ? owner : name, `/team-${owner}`])
      }
    }
    for (const { caller } of callers) {
      expect(await caller.request('tools/list')).toContain('modern__echo')
      expect(await caller.request('resources/list')).not.toContain('own://')
    }
  } finally {
    for (const { caller } of callers) await caller[Symbol.asyncDispose]()
  }
})

test('a client without the value gets one clear error, and no other client is affected', async () => {
  await using server = await echoServer('legacy')
  await using running = await startGateway({
    mcpServers: { a: { url: server.url, headers: { authorization: 'Bearer ${client.token}' } } },
    clients: withKeys({ ada: { values: { token: 'secret-of-ada' } }, poor: {} }),
  })
  const call = async (name: string): Promise<string> => {
    const caller = await callAs(running.origin, keyOf(name), { modern: true })
    try {
      return (await caller?.request('tools/call', '{"name":"a__echo","arguments":{}}')) ?? ''
    } finally {
      await caller?.[Symbol.asyncDispose]()
    }
  }
  expect(await call('ada')).toContain('Bearer secret-of-ada')
  for (let again = 0; again < 2; again++) {
    const refused = await call('poor')
    expect(refused).toContain(
      'the client \\"poor\\" has none. Fix: add \\"token\\" to \\"clients.poor.values\\".',
    )
    expect(refused).not.toContain('secret')
  }
  expect(await call('ada')).toContain('Bearer secret-of-ada')
  expect(server.seen).toHaveLength(2)
  const [status] = running.gateway.status()
  expect(status).toMatchObject({ state: 'ready', replicas: [{ state: 'ready' }] })
})
