import { expect, test } from 'vitest'
import { BIN, serve } from '../helpers/served.ts'
import { startGateway } from '../helpers/gateway.ts'
import { openSession } from '../helpers/http-client.ts'
import { everything, memory } from '../helpers/real-servers.ts'
import { makeScratch } from '../helpers/scratch.ts'
import { startStdio } from '../helpers/stdio-client.ts'

const FILE = {
  mcpServers: {
    everything,
    search: { url: 'https://search.example/mcp', headers: { Authorization: 'Bearer ${UNSET_TOKEN}' } },
  },
}
const REASON = 'the environment variable UNSET_TOKEN is not set'

test('an unset variable of one server leaves the others to be called, and a call to it says why', async () => {
  await using gateway = await startGateway(FILE, { problems: true })
  const client = await openSession(gateway.origin)
  const listed = await client.request('tools/list')
  expect(JSON.stringify(listed)).toContain('everything__echo')
  const echoed = await client.request('tools/call', {
    name: 'everything__echo',
    arguments: { message: 'hi' },
  })
  expect(JSON.stringify(echoed)).toContain('hi')
  const refused = await client.request('tools/call', { name: 'search__query', arguments: {} })
  expect(JSON.stringify(refused)).toContain(REASON)
  expect(JSON.stringify(refused)).toContain('Server \\"search\\"')
})

test('the start report and /readyz name what is wrong with one server', async () => {
  await using scratch = makeScratch()
  const file = scratch.write('servers.json', { ...FILE, gateway: { http: { port: 0 }, state: 'memory' } })
  await using served = await serve([BIN, 'serve', '--config', file], { ready: /Ctrl\+C/ })
  const rows = served.said.split('\n').filter(line => /^ {2}search /.test(line))
  expect(rows).toHaveLength(1)
  expect(rows[0]).toContain('failed')
  expect(rows[0]).toContain(REASON)
  const [, origin] = /listens on (http:\/\/[^/]+)/.exec(served.said) ?? []
  const response = await fetch(`${origin}/readyz`)
  expect(response.status).toBe(200)
  expect(await response.json()).toMatchObject({
    ready: true,
    servers: [
      { name: 'everything' },
      { name: 'search', state: 'failed', error: expect.stringContaining(REASON) },
    ],
  })
})

test('a required server whose entry is wrong keeps the gateway from being ready', async () => {
  const required = {
    mcpServers: { ...FILE.mcpServers, search: { ...FILE.mcpServers.search, required: true } },
  }
  await using gateway = await startGateway(required, { problems: true })
  await gateway.gateway.warmUp()
  const response = await fetch(`${gateway.origin}/readyz`)
  expect(response.status).toBe(503)
})

test('over stdio one wrong entry costs no other server', async () => {
  await using scratch = makeScratch()
  const file = scratch.write('servers.json', {
    mcpServers: { memory, broken: { command: 'x', timeout: 'soon' } },
    gateway: { state: 'memory' },
  })
  await using client = startStdio(file)
  await client.initialize()
  const answer = await client.request('tools/list')
  expect(JSON.stringify(answer)).toContain('memory__read_graph')
})
