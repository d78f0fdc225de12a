import { expect, test } from 'vitest'
import { makeScratch } from '../helpers/scratch.ts'
import { serveGateway } from '../helpers/served.ts'

/** Lists one tool, ends with the first call, and cannot be started again. */
const ONCE = `
const { existsSync, writeFileSync } = require('node:fs')
const [marker] = process.argv.slice(1)
if (existsSync(marker)) process.exit(3)
require('node:readline').createInterface({ input: process.stdin }).on('line', line => {
  const { id, method, params } = JSON.parse(line)
  if (id === undefined) return
  const say = result => console.log(JSON.stringify({ jsonrpc: '2.0', id, result }))
  if (method === 'initialize')
    say({ protocolVersion: params.protocolVersion, capabilities: { tools: {} }, serverInfo: { name: 'once', version: '1' } })
  else if (method === 'tools/list') say({ tools: [{ name: 't', inputSchema: { type: 'object' } }] })
  else if (method === 'tools/call') { writeFileSync(marker, ''); process.exit(3) }
  else console.log(JSON.stringify({ jsonrpc: '2.0', id, error: { code: -32601, message: 'unknown' } }))
})`

interface Status {
  readonly state: string
  readonly nextTry?: number | string
}

test('a listed server cannot be started again: only a call tries it, and no time is named at which nothing is tried', async () => {
  await using scratch = makeScratch()
  const file = scratch.write('servers.json', {
    mcpServers: { once: { command: process.execPath, args: ['-e', ONCE, `${scratch.path}/marker`] } },
    gateway: { http: { port: 0 }, state: 'memory', log: 'error' },
  })
  await using gateway = await serveGateway(file)
  const status = async (): Promise<Status> => {
    const { servers } = (await (await fetch(`${gateway.origin}/readyz`)).json()) as { servers: Status[] }
    return servers[0] as Status
  }
  await expect.poll(async () => (await status()).state).toBe('ready')
  const call = async (id: number): Promise<string> => {
    const meta = {
      'io.modelcontextprotocol/protocolVersion': '2026-07-28',
      'io.modelcontextprotocol/clientInfo': { name: 'c', version: '1' },
      'io.modelcontextprotocol/clientCapabilities': {},
    }
    const response = await fetch(`${gateway.origin}/mcp`, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        accept: 'application/json, text/event-stream',
        'mcp-protocol-version': '2026-07-28',
        'mcp-method': 'tools/call',
        'mcp-name': 'once__t',
      },
      body: JSON.stringify({
        jsonrpc: '2.0',
        id,
        method: 'tools/call',
        params: { name: 'once__t', arguments: {}, _meta: meta },
      }),
    })
    return await response.text()
  }
  for (let id = 1; id <= 4; id++) await call(id)
  const { state, nextTry } = await status()
  expect(['failed', 'stopped']).toContain(state)
  expect(nextTry).toBe('call')
})
