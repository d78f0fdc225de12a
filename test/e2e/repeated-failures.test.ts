import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { startRawServer } from '../fixtures/servers/raw.js'
import { openSession } from '../helpers/http-client.ts'
import { makeScratch } from '../helpers/scratch.ts'
import { freePort, serveGateway } from '../helpers/served.ts'

/** Fails at each start, and says so with another id each time. */
const CRASH = `
require('node:fs').appendFileSync(process.env.STARTS, 'x')
console.error('Error: no key for request ' + require('node:crypto').randomUUID() + ' [' + process.pid + ']')
process.exit(1)`

/** Lists so many resources, the same for each caller. */
const RESOURCES = `
require('node:readline').createInterface({ input: process.stdin }).on('line', line => {
  const { id, method } = JSON.parse(line)
  if (id === undefined) return
  const resources = Array.from({ length: 50 }, (_, at) => ({ uri: 'x://' + at, name: 'n' + at }))
  const results = {
    initialize: { protocolVersion: '2025-11-25', capabilities: { resources: {} }, serverInfo: { name: 'x', version: '1' } },
    'resources/list': { resources },
    'resources/templates/list': { resourceTemplates: [] },
  }
  const result = results[method]
  console.log(JSON.stringify({ jsonrpc: '2.0', id, ...(result ? { result } : { error: { code: -32601, message: 'no' } }) }))
})`

const script = (code: string, env = {}): object => ({ command: process.execPath, args: ['-e', code], env })

test('lists that clients ask for tell nothing new of servers that failed before, nor of URIs that two servers offer', async () => {
  await using scratch = makeScratch()
  const starts = scratch.write('starts', '')
  const file = scratch.write('servers.json', {
    mcpServers: {
      crash: script(CRASH, { STARTS: starts }),
      away: { url: `http://127.0.0.1:${await freePort()}/mcp` },
      one: script(RESOURCES),
      two: script(RESOURCES),
    },
    gateway: { http: { port: 0 }, state: 'memory' },
  })
  await using gateway = await serveGateway(file)
  const records = (text: string): string[] => gateway.said.split('\n').filter(line => line.includes(text))
  for (const capabilities of [{}, { sampling: {} }, { elicitation: {} }, { roots: {} }]) {
    const client = await openSession(gateway.origin, '', capabilities)
    for (let times = 0; times < 5; times++) await client.request('tools/list')
    await client.request('resources/list')
  }
  // Tried anew behind the lists, several times.
  await expect.poll(() => readFileSync(starts).length).toBeGreaterThan(5)
  for (const server of ['crash', 'away']) {
    const failed = records('could not be listed').filter(line => line.includes(`"server":"${server}"`))
    expect(failed).toHaveLength(1)
  }
  expect(records('Error: no key for request').filter(line => line.includes('stderr'))).toHaveLength(1)
  expect(records('started once more').length).toBeLessThanOrEqual(1)
  expect(records('It printed the same').length).toBeLessThanOrEqual(1)
  const same = records('Two servers offer the same URI')
  expect(same.length).toBeLessThanOrEqual(21)
  expect(new Set(same).size).toBe(same.length)
  // One record where the lists are merged in one turn of the event loop, one at each doubling where a busy machine makes several turns.
  const omitted = records('"alike":').map(line => Number(/"alike":(\d+)/.exec(line)?.[1]))
  expect(omitted.length).toBeGreaterThan(0)
  expect(omitted.at(-1)).toBeLessThanOrEqual(30)
  for (const [at, count] of omitted.slice(1).entries()) expect(count).toBeGreaterThan(2 * (omitted[at] ?? 0))
})

test('a server that failed and is listed after all has one line for it, and another cause has one', async () => {
  await using scratch = makeScratch()
  const port = await freePort()
  const file = scratch.write('servers.json', {
    mcpServers: { late: { url: `http://127.0.0.1:${port}/mcp` } },
    gateway: { http: { port: 0 }, state: 'memory' },
  })
  await using gateway = await serveGateway(file)
  const client = await openSession(gateway.origin)
  const records = (text: string): string[] => gateway.said.split('\n').filter(line => line.includes(text))
  await expect.poll(() => records('could not be listed')).toHaveLength(1)
  const server = await startRawServer({ port })
  try {
    server.setRefusal({ status: 401 })
    const lists = async (): Promise<number> => {
      await client.request('tools/list')
      return records('could not be listed').length
    }
    await expect.poll(lists, { interval: 300 }).toBe(2)
    server.setRefusal(undefined)
    const listed = async (): Promise<number> => {
      await client.request('tools/list')
      return records('has been listed').length
    }
    await expect.poll(listed, { interval: 300 }).toBe(1)
    expect(records('could not be listed')).toHaveLength(2)
  } finally {
    await server.close()
  }
})
