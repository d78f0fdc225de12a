import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { openSession } from '../helpers/http-client.ts'
import { makeScratch } from '../helpers/scratch.ts'
import { serveGateway } from '../helpers/served.ts'

/** Never answers a call. Notes in a file what it is called and what is cancelled. */
const HANGS = `
const note = text => require('node:fs').appendFileSync(process.env.NOTES, text + '\\n')
require('node:readline').createInterface({ input: process.stdin }).on('line', line => {
  const { id, method } = JSON.parse(line)
  if (method === 'tools/call' || method === 'notifications/cancelled') note(method)
  const results = {
    initialize: { protocolVersion: '2025-11-25', capabilities: { tools: {} }, serverInfo: { name: 'x', version: '1' } },
    'tools/list': { tools: [{ name: 'hang', inputSchema: { type: 'object' } }] },
  }
  if (id === undefined || method === 'tools/call') return
  const answer = results[method] ? { result: results[method] } : { error: { code: -32601, message: 'no' } }
  console.log(JSON.stringify({ jsonrpc: '2.0', id, ...answer }))
})`

test('calls that the end of the gateway cuts off are cancelled at their server and warned of once', async () => {
  await using scratch = makeScratch()
  const notes = scratch.write('notes', '')
  const noted = (method: string): number => readFileSync(notes, 'utf8').split(method).length - 1
  const file = scratch.write('servers.json', {
    mcpServers: { hangs: { command: process.execPath, args: ['-e', HANGS], env: { NOTES: notes } } },
    gateway: { http: { port: 0 }, state: 'memory', shutdownTimeout: '1s' },
  })
  await using gateway = await serveGateway(file)
  const client = await openSession(gateway.origin)
  const calls = [1, 2, 3].map(n => client.call('hangs__hang', { n }))
  await expect.poll(() => noted('tools/call')).toBe(3)
  const before = gateway.said.length
  await gateway.stop()
  for (const said of await Promise.all(calls)) expect(said).toContain('The gateway is shutting down')
  const after = gateway.said.slice(before).split('\n')
  expect(after.filter(line => /"level":"(warn|error)"/.test(line))).toEqual([
    expect.stringContaining('Calls that were still in flight were ended.'),
  ])
  expect(after.join('\n')).not.toContain('tools/call failed')
  expect(noted('notifications/cancelled')).toBe(3)
})
