import { expect, test } from 'vitest'
import { makeScratch } from '../helpers/scratch.ts'
import { freePort, serveGateway } from '../helpers/served.ts'
import { openSession } from '../helpers/http-client.ts'

/** Offers two resources, from some time after its start on. */
const SCRIPT = `
const resources = ['x://1', 'x://2'].map(uri => ({ uri, name: uri }))
const results = {
  initialize: { protocolVersion: '2025-11-25', capabilities: { resources: {} }, serverInfo: { name: 'x', version: '1' } },
  'resources/list': { resources },
  'resources/templates/list': { resourceTemplates: [] },
}
const answer = line => {
  const { id, method } = JSON.parse(line)
  if (id === undefined) return
  const result = results[method]
  console.log(JSON.stringify({ jsonrpc: '2.0', id, ...(result ? { result } : { error: { code: -32601, message: 'no' } }) }))
}
setTimeout(() => require('node:readline').createInterface({ input: process.stdin }).on('line', answer), Number(process.argv[1]))`

const startedAfter = (ms: number): object => ({ command: process.execPath, args: ['-e', SCRIPT, String(ms)] })

interface Line {
  readonly level: string
  readonly message: string
  readonly server?: string
  readonly first?: string
  readonly uri?: string
  readonly cause?: string
}

function linesOf(said: string): Line[] {
  return said.split('\n').flatMap(line => (line.startsWith('{"time"') ? (JSON.parse(line) as Line) : []))
}

test('four servers with the same URIs come up one after the other while clients list: each pair and URI is logged once', async () => {
  await using scratch = makeScratch()
  const file = scratch.write('servers.json', {
    mcpServers: { a: startedAfter(1800), b: startedAfter(1200), c: startedAfter(600), d: startedAfter(0) },
    gateway: { http: { port: 0 }, state: 'memory', catalog: { firstListTimeout: '300ms' } },
    profiles: { some: { servers: ['b', 'd'] }, others: { servers: ['c', 'd'] } },
  })
  await using gateway = await serveGateway(file)
  const clients = [
    await openSession(gateway.origin),
    await openSession(gateway.origin, 'some'),
    await openSession(gateway.origin, 'others', { sampling: {} }),
    await openSession(gateway.origin, '', { elicitation: {} }),
  ]
  const told = (): string[] =>
    linesOf(gateway.said).flatMap(({ message, first, server, uri }) =>
      message.startsWith('Two servers offer the same URI') ? `${[first, server].sort().join()} ${uri}` : [],
    )
  const until = Date.now() + 20_000
  while (!told().some(pair => pair.startsWith('a,')) && Date.now() < until)
    for (const client of clients) await client.request('resources/list')
  for (const client of clients) await client.request('resources/list')
  expect(told().length).toBeGreaterThan(0)
  expect([...new Set(told())].sort()).toEqual(told().sort())
})

test('the name of a server cannot be looked up: one line says so', async () => {
  await using scratch = makeScratch()
  const file = scratch.write('servers.json', {
    mcpServers: { typo: { url: 'http://no-such-host.invalid/mcp' } },
    gateway: { http: { port: 0 }, state: 'memory' },
  })
  await using gateway = await serveGateway(file)
  await expect.poll(() => gateway.said).toContain('could not be listed')
  await expect.poll(() => gateway.said).toContain('Ctrl+C')
  const said = linesOf(gateway.said).filter(({ level }) => level === 'warn' || level === 'error')
  expect(said.map(({ message }) => message)).toEqual(['The server could not be listed; it has no lists yet.'])
  expect(said[0]?.cause).toContain('Its host name is unknown here.')
})

test('Redis cannot be reached at the start: one line says so, with what that means', async () => {
  await using scratch = makeScratch()
  const file = scratch.write('servers.json', {
    mcpServers: { d: startedAfter(0), e: startedAfter(0) },
    gateway: { http: { port: 0 }, state: `redis://127.0.0.1:${await freePort()}` },
  })
  await using gateway = await serveGateway(file)
  await expect.poll(() => gateway.said).toContain('Ctrl+C')
  const said = linesOf(gateway.said).filter(({ level }) => level === 'warn' || level === 'error')
  const redis = said.filter(line => JSON.stringify(line).includes('cannot be reached'))
  expect(redis.map(({ message }) => message)).toHaveLength(1)
  expect(redis[0]?.message).toContain('The gateway keeps trying; until then lists')
})
