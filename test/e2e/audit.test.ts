import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import type { JsonObject } from '../../src/core/exchange.ts'
import { startGateway } from '../helpers/gateway.ts'
import { scriptedHttp } from '../helpers/scripted-servers.ts'
import { makeScratch } from '../helpers/scratch.ts'
import { answerOf, ModernHttp, requestText, StdioClient, withEnvelope } from '../helpers/wire-clients.ts'

const OK = '"result":{"content":[]}'
const SECRET = 'hunter2hunter2'

function linesOf(file: string): JsonObject[] {
  return readFileSync(file, 'utf8')
    .split('\n')
    .slice(0, -1)
    .map(line => JSON.parse(line) as JsonObject)
}

test.each(['digest', 'full'])('every request has its line, and no secret is in any: %s', async args => {
  await using scratch = makeScratch()
  const file = join(scratch.path, 'audit.jsonl')
  await using server = await scriptedHttp()
  {
    await using gateway = await startGateway({
      mcpServers: {
        a: { ...server.entry, headers: { authorization: `Bearer ${SECRET}` }, concurrency: 1, queue: 1 },
      },
      gateway: { audit: { file, args } },
    })
    await gateway.gateway.warmUp()
    await using client = await StdioClient.legacy(gateway.gateway)
    await using modern = new ModernHttp(gateway.origin)
    await client.request('1', 'tools/list')
    const call = `{"name":"a__t","arguments":{"q":"x","password":"${SECRET}"}}`
    client.send(requestText('2', 'tools/call', call))
    const first = await server.called('t')
    client.send(requestText('3', 'tools/call', '{"name":"a__t"}'))
    expect(await client.request('4', 'tools/call', '{"name":"a__t"}')).toContain('may wait')
    client.send('{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":3}}')
    expect(await client.request('5', 'tools/call', `{"name":"token=${SECRET}"}`)).toContain('Unknown tool')
    first.answer(OK)
    await client.answer('2')
    const meta = '{"traceparent":"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}'
    const sent = modern.post('6', 'tools/call', withEnvelope(`{"name":"a__t","_meta":${meta}}`), {
      authorization: `Bearer ${SECRET}`,
    })
    ;(await server.called('t')).answer('"error":{"code":-32050,"message":"no"}')
    await answerOf(await sent)
  }
  const lines = linesOf(file)
  expect(readFileSync(file, 'utf8')).not.toContain(SECRET)
  const seen = lines.map(({ event, method, era, code, exposed }) =>
    [event, method, era, code, exposed].join(' '),
  )
  // What ends in the same moment has no order.
  expect(seen.toSorted()).toEqual([
    'allow tools/call legacy  a__t',
    'allow tools/call modern -32050 a__t',
    'allow tools/list legacy  ',
    'deny tools/call legacy overloaded a__t',
    'deny tools/call legacy unknown_name token=***',
    'error tools/call legacy cancelled a__t',
  ])
  const [served, traced, , , , waited] = lines.toSorted((one, other) =>
    (seen[lines.indexOf(one)] as string) < (seen[lines.indexOf(other)] as string) ? -1 : 1,
  )
  expect(waited).toMatchObject({ server: 'a', name: 't' })
  expect(waited?.['waitedMs']).toBeGreaterThan(0)
  expect(served).toMatchObject({
    principal: 'client:local',
    server: 'a',
    name: 't',
    replica: 'a http',
    waitedMs: 0,
  })
  expect(served?.['upstreamMs']).toBeGreaterThan(0)
  expect(served?.['durationMs']).toBeGreaterThanOrEqual(served?.['upstreamMs'] as number)
  expect(served?.['args']).toEqual(
    args === 'full' ? { q: 'x', password: '***' } : expect.stringMatching(/^[\da-f]{16}$/),
  )
  expect(traced).toMatchObject({ principal: 'anonymous', trace: '4bf92f3577b34da6a3ce929d0e0e4736' })
})

test('without clients there is none, unless it is asked for', async () => {
  await using scratch = makeScratch()
  {
    await using server = await scriptedHttp()
    await using gateway = await startGateway(
      { mcpServers: { a: server.entry }, gateway: {} },
      { env: { XDG_STATE_HOME: scratch.path } },
    )
    await using client = await StdioClient.legacy(gateway.gateway)
    await client.request('1', 'tools/list')
  }
  expect(existsSync(join(scratch.path, 'mcp-manifold', 'audit.jsonl'))).toBe(false)
})
