import { request, type IncomingMessage } from 'node:http'
import { once } from 'node:events'
import { expect, onTestFinished, test } from 'vitest'
import { startRawServer } from '../../fixtures/servers/raw.js'
import { askAdmin, folderForTest, servingWithSocket, type AdminAnswer } from '../../helpers/admin-client.ts'
import { freePort } from '../../helpers/served.ts'
import type { Duplex } from 'node:stream'

/** `GET /admin/mcp` and `GET /admin/logs` of a running gateway. */

const TOKEN = 'admin-token-0123456789'
const HEADERS = { host: 'localhost', connection: 'Upgrade', upgrade: 'mcp' }

/** Asks the socket for an upgrade. @returns the connection, or the answer that refuses it */
async function upgraded(
  socketPath: string,
  path: string,
  headers: Record<string, string> = {},
): Promise<Duplex | { status: number; text: string }> {
  return await new Promise((resolve, reject) => {
    const asked = request({ socketPath, path, headers: { ...HEADERS, ...headers }, agent: false })
    asked.on('upgrade', (_response, connection: Duplex) => {
      connection.on('error', () => {})
      onTestFinished(() => void connection.destroy())
      resolve(connection)
    })
    asked.on('response', (response: IncomingMessage) => {
      let text = ''
      response.setEncoding('utf8')
      response.on('data', (chunk: string) => (text += chunk))
      response.on('end', () => resolve({ status: response.statusCode ?? 0, text }))
    })
    asked.on('error', reject)
    asked.end()
  })
}

async function serving(): Promise<{ socket: string; at: string; stop: () => Promise<number | null> }> {
  const server = await startRawServer({ era: 'modern' })
  onTestFinished(() => server.close())
  const folder = folderForTest()
  const listen = `127.0.0.1:${await freePort()}`
  const file = folder.write('servers.json', {
    mcpServers: { up: { url: server.url } },
    clients: { ci: { allow: ['up/*'] } },
    gateway: { http: { port: 0 }, state: 'memory', admin: { listen, token: TOKEN } },
  })
  const { served, socket } = await servingWithSocket(folder, file)
  await expect.poll(() => served.said).toContain(`The admin API listens on http://${listen}.`)
  return { socket, at: `http://${listen}`, stop: () => served.stop() }
}

/** Sends a message and waits for the next line. */
async function ask(connection: Duplex, message: object): Promise<unknown> {
  const answered = once(connection, 'data') as Promise<[Buffer]>
  connection.write(`${JSON.stringify({ jsonrpc: '2.0', ...message })}\n`)
  const [chunk] = await answered
  return JSON.parse(chunk.toString())
}

const refusal = (answer: Duplex | { status: number; text: string }): unknown =>
  'status' in answer ? [answer.status, (JSON.parse(answer.text) as { detail: string }).detail] : 'upgraded'

test('an upgrade on the socket is a conversation, which an end of the gateway ends', async () => {
  const { socket, stop } = await serving()
  const connection = await upgraded(socket, '/admin/mcp?client=ci')
  if ('status' in connection) throw new Error(connection.text)
  const initialize = {
    id: 1,
    method: 'initialize',
    params: { protocolVersion: '2025-06-18', capabilities: {}, clientInfo: { name: 't', version: '1' } },
  }
  expect(await ask(connection, initialize)).toMatchObject({
    id: 1,
    result: { protocolVersion: '2025-06-18' },
  })
  expect(await ask(connection, { id: 2, method: 'ping' })).toEqual({ jsonrpc: '2.0', id: 2, result: {} })
  const closed = once(connection, 'close')
  expect(await stop()).toBe(0)
  await closed
})

test('a peer that reads nothing does not hold the end of the gateway', async () => {
  const folder = folderForTest()
  const large = `
    const readline = require('node:readline').createInterface({ input: process.stdin })
    readline.on('line', line => {
      const { id, method } = JSON.parse(line)
      const result = method === 'initialize'
        ? { protocolVersion: '2025-06-18', capabilities: { tools: {} }, serverInfo: { name: 't', version: '1' } }
        : method === 'tools/list' ? { tools: [{ name: 'large', inputSchema: { type: 'object' } }] }
        : method === 'tools/call' ? { content: [{ type: 'text', text: 'x'.repeat(8e6) }] } : {}
      if (id !== undefined) process.stdout.write(JSON.stringify({ jsonrpc: '2.0', id, result }) + '\\n')
    })`
  const file = folder.write('servers.json', {
    mcpServers: { up: { command: process.execPath, args: ['-e', large], prefix: false } },
    gateway: { http: { port: 0 }, state: 'memory', shutdownTimeout: '1s' },
  })
  const { served, socket } = await servingWithSocket(folder, file)
  const connection = await upgraded(socket, '/admin/mcp')
  if ('status' in connection) throw new Error(connection.text)
  const clientInfo = { name: 't', version: '1' }
  const params = { protocolVersion: '2025-06-18', capabilities: {}, clientInfo }
  await ask(connection, { id: 1, method: 'initialize', params })
  connection.write(
    `${JSON.stringify({ jsonrpc: '2.0', id: 2, method: 'tools/call', params: { name: 'large' } })}\n`,
  )
  // The beginning of the answer.
  await once(connection, 'data')
  connection.pause()
  const begun = performance.now()
  expect(await served.stop()).toBe(0)
  expect(performance.now() - begun).toBeLessThan(12_000)
})

test('conversations leave connections of the socket for everything else', async () => {
  const { socket } = await serving()
  const open = await Promise.all(Array.from({ length: 24 }, () => upgraded(socket, '/admin/mcp')))
  expect(open.filter(connection => 'status' in connection)).toEqual([])
  expect(refusal(await upgraded(socket, '/admin/mcp'))).toEqual([503, expect.stringContaining('24 commands')])
  expect((await askAdmin(socket, { path: '/admin/status' })).status).toBe(200)
  const [first] = open
  if (first && !('status' in first)) first.destroy()
  await expect.poll(async () => refusal(await upgraded(socket, '/admin/mcp'))).toBe('upgraded')
})

test('what cannot be served is refused before the upgrade', async () => {
  const { socket } = await serving()
  const unknown = await upgraded(socket, '/admin/mcp?endpoint=nowhere')
  expect(refusal(unknown)).toEqual([422, expect.stringContaining('nowhere')])
  expect(refusal(await upgraded(socket, '/admin/mcp?client=x'))).toEqual([
    422,
    expect.stringContaining('"x"'),
  ])
  expect(refusal(await upgraded(socket, '/admin/mcp?a=b'))).toEqual([
    422,
    expect.stringContaining('"endpoint"'),
  ])
  expect(refusal(await upgraded(socket, '/admin/status'))).toEqual([
    404,
    expect.stringContaining('/admin/mcp'),
  ])
  expect(refusal(await upgraded(socket, '/admin/mcp', { upgrade: 'websocket' }))).toEqual([
    404,
    expect.stringContaining('Upgrade: mcp'),
  ])
  const page = await upgraded(socket, '/admin/mcp', { origin: 'http://evil.example' })
  expect(refusal(page)).toEqual([403, expect.stringContaining('web pages')])
})

test('the address of the network has no conversations, also for the holder of the token', async () => {
  const { at, socket } = await serving()
  const headers = { authorization: `Bearer ${TOKEN}`, connection: 'Upgrade', upgrade: 'mcp' }
  const answer = await askAdmin(at, { path: '/admin/mcp', headers })
  expect(answer.status).toBe(426)
  expect(answer.headers['upgrade']).toBe('mcp')
  expect((await askAdmin(socket, { path: '/admin/mcp' })).status).toBe(426)
  const { body }: AdminAnswer = await askAdmin(socket, { path: '/admin/openapi.json' })
  expect(Object.keys(body.paths as object)).toEqual(expect.arrayContaining(['/admin/mcp', '/admin/logs']))
})

test('the log is given as lines, of one server or of all', async () => {
  const { socket } = await serving()
  const all = await askAdmin(socket, { path: '/admin/logs' })
  expect(all.status).toBe(200)
  expect(all.headers['content-type']).toContain('application/x-ndjson')
  const records = all.text
    .trimEnd()
    .split('\n')
    .map(line => JSON.parse(line) as Record<string, unknown>)
  expect(records.length).toBeGreaterThan(0)
  for (const record of records)
    expect(Object.keys(record)).toEqual(expect.arrayContaining(['time', 'level', 'message']))
  const none = await askAdmin(socket, { path: '/admin/logs?server=nowhere' })
  expect([none.status, none.body.detail]).toEqual([
    422,
    expect.stringContaining('There is no server "nowhere"'),
  ])
  expect((await askAdmin(socket, { path: '/admin/logs?follow=yes' })).status).toBe(422)
  expect((await askAdmin(socket, { path: '/admin/logs?lines=5' })).status).toBe(422)
})
