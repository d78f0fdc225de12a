import { describe, expect, onTestFinished, test } from 'vitest'
import { startRawServer } from '../fixtures/servers/raw.js'
import type { RawServer, RawServerOptions } from '../fixtures/servers/raw.js'
import { startGateway } from '../helpers/gateway.ts'
import { rawAt } from '../../src/protocol/json-text.ts'
import { LegacySession, ModernHttp, withEnvelope } from '../helpers/wire-clients.ts'

/** Calls at servers with several replicas, some of which fail. */

async function replica(options: RawServerOptions): Promise<RawServer> {
  const server = await startRawServer(options)
  onTestFinished(() => server.close())
  return server
}

async function fronted(servers: readonly RawServer[], entry: Readonly<Record<string, unknown>> = {}) {
  const replicas = servers.map(({ url }, at) => ({ url, name: `r${at}` }))
  const running = await startGateway({ mcpServers: { up: { replicas, prefix: false, ...entry } } })
  onTestFinished(() => running[Symbol.asyncDispose]())
  return running
}

const callsAt = ({ received }: RawServer): number =>
  received.filter(text => text.includes('"method":"tools/call"')).length

const CALL = '{"name":"echo_raw","arguments":{"a":1}}'

describe.each(['legacy', 'modern'] as const)('replicas of the %s era', era => {
  test('those that are down are not noticed', async () => {
    const servers = [await replica({ era }), await replica({ era }), await replica({ era })]
    const { origin, gateway } = await fronted(servers)
    await using client = new ModernHttp(origin)
    for (let at = 0; at < 6; at++)
      expect(await client.request(String(at), 'tools/call', CALL)).toContain('"a":1')
    await servers[0]?.close()
    for (let at = 0; at < 12; at++)
      expect(await client.request(String(at), 'tools/call', CALL)).toContain('"a":1')
    await servers[1]?.close()
    for (let at = 0; at < 12; at++)
      expect(await client.request(String(at), 'tools/call', CALL)).toContain('"a":1')
    expect(servers.reduce((sum, server) => sum + callsAt(server), 0)).toBe(30)
    await servers[2]?.close()
    expect(await client.request('1', 'tools/call', CALL)).toMatch(/isError.*replica|cannot be reached/)
    expect(gateway.status()[0]?.state).toBeDefined()
  })

  test('a failure in the middle is not repeated, unless the tool allows it', async () => {
    const servers = [await replica({ era }), await replica({ era })]
    const { origin } = await fronted(servers, { tools: { big: { retry: true } } })
    await using client = new ModernHttp(origin)
    // Both are known by now, and the client stays with one of them where sessions are kept.
    for (let at = 0; at < 8; at++) await client.request(String(at), 'tools/call', CALL)
    const busy = servers.find(server => callsAt(server) > 0) as RawServer
    for (const server of servers) if (server === busy) server.setRefusal({ status: 500 })
    const before = servers.map(callsAt)
    const answers = []
    for (let at = 0; at < 2; at++) answers.push(await client.request(String(at), 'tools/call', CALL))
    const refused = answers.filter(text => text.includes('HTTP 500')).length
    expect(refused).toBeGreaterThanOrEqual(era === 'legacy' ? 1 : 0)
    expect(servers.reduce((sum, server, at) => sum + callsAt(server) - (before[at] ?? 0), 0)).toBe(
      2 - refused,
    )
    const big = '{"name":"big","arguments":{"bytes":3}}'
    for (let at = 0; at < 6; at++)
      expect(await client.request(String(at), 'tools/call', big)).toContain('"xxx"')
  })

  test('one that is busy is left alone for as long as it says', async () => {
    const servers = [await replica({ era }), await replica({ era })]
    const { origin } = await fronted(servers)
    await using client = new ModernHttp(origin)
    for (let at = 0; at < 8; at++) await client.request(String(at), 'tools/call', CALL)
    servers[0]?.setRefusal({ status: 429, headers: { 'retry-after': '30' } })
    for (let at = 0; at < 12; at++)
      expect(await client.request(String(at), 'tools/call', CALL)).toContain('"a":1')
    const refused = servers[0]?.requests.filter(({ text }) => text.includes('"tools/call"')).length ?? 0
    expect(refused - callsAt(servers[0] as RawServer)).toBeLessThanOrEqual(1)
  })
})

test('a session stays with its replica, and moves with its subscriptions when that is gone', async () => {
  const servers = [
    await replica({ era: 'legacy' }),
    await replica({ era: 'legacy' }),
    await replica({ era: 'legacy' }),
  ]
  const { origin } = await fronted(servers)
  await using session = await LegacySession.open(origin)
  const stream = await session.listen()
  for (let at = 0; at < 8; at++)
    expect(await session.request(String(at), 'tools/call', CALL)).toContain('"a":1')
  const counts = servers.map(callsAt)
  expect(counts.filter(count => count > 0)).toEqual([8])
  const home = servers[counts.indexOf(8)] as RawServer
  const uri = 'raw://shared/one'
  expect(await session.request('"s"', 'resources/subscribe', `{"uri":"${uri}"}`)).toContain('"result":{}')
  const updated = /"method":"notifications\/resources\/updated"/
  home.updated(uri)
  await stream.events.take(({ data }) => updated.test(data), 'an update at home')
  await home.close()
  expect(await session.request('"again"', 'tools/call', CALL)).toContain('"a":1')
  const others = servers.filter(server => server !== home)
  expect(others.map(callsAt).sort()).toEqual([0, 1])
  // What may have changed meanwhile is said to have changed.
  await stream.events.take(({ data }) => updated.test(data), 'an update after the move')
  const next = others.find(server => server.received.some(text => text.includes('"resources/subscribe"')))
  next?.updated(uri)
  await stream.events.take(({ data }) => updated.test(data), 'an update elsewhere')
  stream.destroy()
})

test('what a replica has asked is answered to that replica', async () => {
  const servers = [await replica({ era: 'modern' }), await replica({ era: 'modern' })]
  servers.forEach((server, at) =>
    server.answers.set(
      'tools/call',
      `"result":{"resultType":"input_required","requestState":"of r${at}","inputRequests":{"k":{"method":"elicitation/create","params":{"message":"?","requestedSchema":{"type":"object","properties":{}}}}}}`,
    ),
  )
  const { origin } = await fronted(servers)
  await using client = new ModernHttp(origin)
  const ask = async (more = ''): Promise<string> => {
    const capable = withEnvelope(`{"name":"echo_raw","arguments":{}${more}}`).replace(
      'clientCapabilities":{}',
      'clientCapabilities":{"elicitation":{"form":{}}}',
    )
    return await (
      await client.post('"q"', 'tools/call', capable)
    ).body
  }
  for (let round = 0; round < 24; round++) {
    const state = rawAt(await ask(), 'result', 'requestState')
    await ask(`,"inputResponses":{"k":{"action":"accept","content":{}}},"requestState":${state}`)
  }
  servers.forEach(({ received }, at) => {
    const states = received.flatMap(text => rawAt(text, 'params', 'requestState') ?? [])
    expect(states.length).toBeGreaterThan(0)
    expect(new Set(states)).toEqual(new Set([`"of r${at}"`]))
  })
})
