import { afterEach, expect, test, vi } from 'vitest'
import { startGateway } from '../helpers/gateway.ts'
import { childrenOf, takeStock } from '../helpers/leftovers.ts'
import { OFFICIAL_CLIENTS } from '../helpers/official-clients.ts'
import type { OfficialClient } from '../helpers/official-clients.ts'
import { everything, serveEverything } from '../helpers/real-servers.ts'

/** Clients come and go; what they took must go with them. */

const ROUNDS = 200
/** Rounds at once. */
const ABREAST = 8

afterEach(() => {
  vi.restoreAllMocks()
})

/** What a client that has left should no longer be able to use. */
interface Traces {
  readonly sessions: Set<string>
  readonly endpoints: Set<string>
}

/** Notes each session id and each SSE endpoint that the clients are given, by watching the `fetch` that all of them use. */
function watchFetch(): Traces {
  const traces: Traces = { sessions: new Set(), endpoints: new Set() }
  const original = globalThis.fetch
  vi.spyOn(globalThis, 'fetch').mockImplementation(async (input, init) => {
    const url = new URL(input instanceof Request ? input.url : input)
    if (init?.method === 'POST' && url.search !== '') traces.endpoints.add(url.href)
    const response = await original(input, init)
    const session = response.headers.get('mcp-session-id')
    if (session !== null) traces.sessions.add(session)
    return response
  })
  return traces
}

test(`${ROUNDS} clients that come and go leave nothing behind`, { timeout: 120_000 }, async () => {
  const clients = OFFICIAL_CLIENTS.filter(client => client.full && client.front !== 'stdio')
  expect(new Set(clients.map(client => client.front))).toEqual(new Set(['http', 'sse']))
  await using upstream = await serveEverything('streamableHttp')
  await using served = await startGateway({
    mcpServers: { local: everything, remote: { url: upstream.endpoint } },
  })
  const entrance = { configFile: '', origin: served.origin }

  const round = async (client: OfficialClient, number: number): Promise<void> => {
    await using connected = await client.connect(entrance)
    const server = number % 2 === 0 ? 'local' : 'remote'
    const result = await connected.callTool(`${server}__echo`, { message: `round ${number}` })
    expect(result.content).toEqual([{ type: 'text', text: `Echo: round ${number}` }])
  }
  const rounds = async (from: number, to: number): Promise<void> => {
    for (let at = from; at < to; at += ABREAST)
      await Promise.all(
        Array.from({ length: Math.min(ABREAST, to - at) }, (_, index) =>
          round(clients[(at + index) % clients.length] as OfficialClient, at + index),
        ),
      )
  }

  // Everything that is kept on purpose, links to upstreams above all, is there after some rounds.
  await rounds(0, 4 * clients.length)
  const before = takeStock()
  const traces = watchFetch()
  await rounds(0, ROUNDS)
  vi.restoreAllMocks()

  expect(childrenOf(process.pid)).toEqual(before.children)
  // Not one more for every client: connections kept alive, on either side, are as many as clients at once.
  const after = takeStock().resources
  expect(after.get('TCPSocketWrap') ?? 0).toBeLessThanOrEqual(
    (before.resources.get('TCPSocketWrap') ?? 0) + 4 * ABREAST,
  )
  expect(after.get('Timeout') ?? 0).toBeLessThanOrEqual((before.resources.get('Timeout') ?? 0) + 4)

  expect(traces.sessions.size).toBeGreaterThan(ROUNDS / 4)
  expect(traces.endpoints.size).toBeGreaterThan(ROUNDS / 10)
  const ping = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'ping' })
  const headers = { 'content-type': 'application/json', accept: 'application/json, text/event-stream' }
  const statuses = new Set<number>()
  for (const session of traces.sessions) {
    const response = await fetch(`${served.origin}/mcp`, {
      method: 'POST',
      headers: { ...headers, 'mcp-session-id': session },
      body: ping,
    })
    await response.arrayBuffer()
    statuses.add(response.status)
  }
  for (const endpoint of traces.endpoints) {
    const response = await fetch(endpoint, { method: 'POST', headers, body: ping })
    await response.arrayBuffer()
    statuses.add(response.status)
  }
  expect(statuses).toEqual(new Set([404]))
})
