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
