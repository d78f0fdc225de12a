import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import type { JsonObject } from '../../src/core/exchange.ts'
import { bearer, callAs, keyOf, withKeys, type Caller } from '../helpers/callers.ts'
import { startGateway } from '../helpers/gateway.ts'
import { scriptedHttp } from '../helpers/scripted-servers.ts'
import { makeScratch } from '../helpers/scratch.ts'
import { http, JSON_HEADERS, requestText, type WireResponse } from '../helpers/wire-clients.ts'

/** What opens sessions and streams counts for the limits of its caller, over the real endpoint. */

const VERSION = '2025-11-25'
const INITIALIZE = requestText(
  '1',
  'initialize',
  `{"protocolVersion":"${VERSION}","capabilities":{},"clientInfo":{"name":"x","version":"1"}}`,
)
const LIMITED = {
  code: -32603,
  message: expect.stringContaining('of client "ci" is reached'),
  data: {
    code: 'rate_limited',
    limit: 'rate/hour',
    of: 'client:ci',
    amount: 3,
    retryAfterMs: expect.any(Number),
  },
}

/** A client that sends what it likes. */
const client = (origin: string, name: string) => {
  const send = (method: string, path: string, more: object, body?: string): Promise<WireResponse> =>
    http(origin + path, {
      method,
      headers: { ...JSON_HEADERS, ...bearer(keyOf(name)), ...more },
      ...(body !== undefined && { body }),
    })
  const inSession = (session: string): object => ({
    'mcp-session-id': session,
    'mcp-protocol-version': VERSION,
  })
  return {
    initialize: () => send('POST', '/mcp', {}, INITIALIZE),
    stream: (session: string) => send('GET', '/mcp', { ...inSession(session), accept: 'text/event-stream' }),
    deprecated: () => send('GET', '/sse', { accept: 'text/event-stream' }),
    post: (session: string, body: string) => send('POST', '/mcp', inSession(session), body),
  }
}

const messageOf = async (response: WireResponse): Promise<JsonObject> =>
  JSON.parse(await response.body) as JsonObject

test('sessions that are opened again and again are refused in time, and a ping never is', async () => {
  await using server = await scriptedHttp()
  await using running = await startGateway({
    mcpServers: { s: server.entry },
    clients: withKeys({ ci: { rate: '3/hour' }, cd: {} }),
  })
  const { initialize, post } = client(running.origin, 'ci')
  const sessions: string[] = []
  for (let at = 0; at < 3; at++) {
    const response = await initialize()
    expect(await messageOf(response)).toMatchObject({ result: { protocolVersion: VERSION } })
    sessions.push(response.headers['mcp-session-id'] as string)
  }
  for (let at = 0; at < 2; at++) {
    const response = await initialize()
    // A status of failure would hide from the client what the matter is.
    expect(response.status).toBe(200)
    expect(response.headers['mcp-session-id']).toBeUndefined()
    expect(await messageOf(response)).toEqual({ jsonrpc: '2.0', id: 1, error: LIMITED })
  }
  expect(running.gateway.sessions).toBe(3)
  for (let at = 0; at < 10; at++) {
    const response = await post(sessions[0] as string, requestText(String(at), 'ping', undefined))
    expect(await messageOf(response)).toEqual({ jsonrpc: '2.0', id: at, result: {} })
  }
  const other = await client(running.origin, 'cd').initialize()
  expect(await messageOf(other)).toMatchObject({ result: { protocolVersion: VERSION } })
})

test.each(['/mcp', '/sse'])(
  'event streams of %s are counted as well, without a place for long',
  async path => {
    await using server = await scriptedHttp()
    await using running = await startGateway({
      mcpServers: { s: server.entry },
      clients: withKeys({ ci: { rate: '3/hour', concurrency: 1 } }),
    })
    const { initialize, stream, deprecated } = client(running.origin, 'ci')
    const opening = await initialize()
    await opening.body
    const session = opening.headers['mcp-session-id'] as string
    const open = (): Promise<WireResponse> => (path === '/mcp' ? stream(session) : deprecated())
    const streams = [await open(), await open()]
    expect(streams.map(({ status }) => status)).toEqual([200, 200])
    const refused = await open()
    expect(refused.status).toBe(429)
    expect(Number(refused.headers['retry-after'])).toBeGreaterThan(60)
    expect(await messageOf(refused)).toEqual({ jsonrpc: '2.0', id: null, error: LIMITED })
    for (const one of streams) one.destroy()
  },
)

test('listen streams have a line in the audit log, with resources and without, and so has whatever is refused', async () => {
  await using scratch = makeScratch()
  const file = join(scratch.path, 'audit.jsonl')
  await using server = await scriptedHttp()
  server.results.set('resources/list', '{"resources":[{"uri":"x://a","name":"a"}]}')
  {
    await using running = await startGateway({
      mcpServers: { s: server.entry },
      clients: withKeys({ me: {}, ci: { rate: '3/hour' } }),
      gateway: { audit: { file } },
    })
    await running.gateway.warmUp()
    await using me = (await callAs(running.origin, keyOf('me'), { modern: true })) as Caller
    await me.listen('{"toolsListChanged":true}')
    await me.listen('{"resourceSubscriptions":["x://a"]}')
    const { initialize, stream } = client(running.origin, 'ci')
    const opening = await initialize()
    await opening.body
    for (let at = 0; at < 2; at++) await (await initialize()).body
    await (
      await initialize()
    ).body
    await (
      await stream(opening.headers['mcp-session-id'] as string)
    ).body
    await using ci = (await callAs(running.origin, keyOf('ci'), { modern: true }).catch(() => undefined)) as
      Caller | undefined
    expect(ci?.greeting ?? 'rate_limited').toContain('rate_limited')
  }
  const lines = readFileSync(file, 'utf8')
    .split('\n')
    .slice(0, -1)
    .map(line => JSON.parse(line) as JsonObject)
    .filter(({ method }) => method !== 'server/discover')
    .map(({ event, client: who, era, method, code, quota }) => [event, who, era, method, code, quota])
  expect(lines).toEqual([
    ['allow', 'me', 'modern', 'subscriptions/listen', undefined, undefined],
    ['allow', 'me', 'modern', 'subscriptions/listen', undefined, undefined],
    ['deny', 'ci', 'legacy', 'initialize', 'rate_limited', 'rate/hour'],
    ['deny', 'ci', 'legacy', 'GET', 'rate_limited', 'rate/hour'],
  ])
})
