import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import type { JsonObject } from '../../src/core/exchange.ts'
import { bearer, callAs, keyOf, withKeys, type Caller } from '../helpers/callers.ts'
import { startGateway } from '../helpers/gateway.ts'
import { scriptedHttp, toolText } from '../helpers/scripted-servers.ts'
import { makeScratch } from '../helpers/scratch.ts'
import {
  answerOf,
  http,
  JSON_HEADERS,
  ModernHttp,
  requestText,
  StdioClient,
  withEnvelope,
} from '../helpers/wire-clients.ts'

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
        a: {
          ...server.entry,
          headers: { authorization: `Bearer ${SECRET}` },
          maxConcurrentCalls: 1,
          queue: 1,
        },
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
    principal: 'local',
    server: 'a',
    name: 't',
    replica: new URL(String(server.entry.url)).host,
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

describe.each([false, true])('with clients and keys, modern: %s', modern => {
  test('the deciding rule is in the record, and only there', async () => {
    await using scratch = makeScratch()
    const file = join(scratch.path, 'audit.jsonl')
    await using server = await scriptedHttp()
    server.results
      .set(
        'tools/list',
        `{"tools":[${['t', 'hidden', 'asked', 'watched'].map(name => toolText(name)).join()}]}`,
      )
      .set('prompts/list', '{"prompts":[{"name":"p"},{"name":"hidden"}]}')
      .set('resources/list', '{"resources":[{"uri":"x://a","name":"a"},{"uri":"x://hidden","name":"h"}]}')
      .set('tools/call', '{"content":[]}')
      .set('prompts/get', '{"messages":[]}')
      .set('resources/read', '{"contents":[]}')
      .set('completion/complete', '{"completion":{"values":[]}}')
    {
      await using running = await startGateway({
        mcpServers: { a: server.entry, b: { command: 'nothing-of-this-name' } },
        roles: { tester: { rules: [{ effect: 'deny', match: ['a/asked'], when: 'args.path == "bad"' }] } },
        clients: withKeys({
          ci: {
            roles: ['tester'],
            allow: ['tool:a/t', 'a/asked', 'a/watched', 'a/p', 'resource:a/x://*'],
            rules: [
              { effect: 'deny', match: ['a/*hidden'] },
              { effect: 'deny', match: ['a/watched'], shadow: true },
            ],
          },
          slow: { rate: '2/hour' },
          poor: { budget: { calls: '1/month' } },
          one: { concurrency: 1 },
        }),
        gateway: { audit: { file, args: 'full' } },
      })
      await running.gateway.warmUp()
      const { origin } = running
      const as = async (client: string): Promise<Caller> =>
        (await callAs(origin, keyOf(client), { modern })) as Caller
      {
        await using ci = await as('ci')
        const call = (name: string, args = '{}'): Promise<string> =>
          ci.request('tools/call', `{"name":"${name}","arguments":${args}}`)
        await ci.request('tools/list')
        expect(await call('a__t', `{"api_key":"${SECRET}","q":"mfd_${SECRET}${SECRET}${SECRET}"}`)).toContain(
          '"content":[]',
        )
        expect(await call('a__hidden')).toContain('Unknown tool')
        expect(await call('hidden')).toContain('Unknown tool')
        expect(await call('a__absent')).toContain('Unknown tool')
        expect(await call('a__asked', '{"path":"bad"}')).toContain('"isError":true')
        expect(await call('a__asked', '{"path":"good"}')).toContain('"content":[]')
        expect(await call('a__asked', '{}')).toContain('"isError":true')
        expect(await call('a__watched')).toContain('"content":[]')
        await ci.request('prompts/get', '{"name":"a__p"}')
        await ci.request('prompts/get', '{"name":"a__hidden"}')
        await ci.request('resources/read', '{"uri":"x://a"}')
        await ci.request('resources/read', '{"uri":"x://hidden"}')
        await ci.request(
          'completion/complete',
          '{"ref":{"type":"ref/prompt","name":"a__hidden"},"argument":{"name":"a","value":""}}',
        )
      }
      {
        await using slow = await as('slow')
        while (!(await slow.request('prompts/list')).includes('"error"'));
        await using poor = await as('poor')
        for (let at = 0; at < 2; at++) await poor.request('tools/call', '{"name":"a__t","arguments":{}}')
        await using one = await as('one')
        server.results.delete('tools/call')
        const first = one.request('tools/call', '{"name":"a__t","arguments":{}}')
        const request = await server.called('t')
        await one.request('tools/call', '{"name":"a__asked","arguments":{}}')
        request.answer(OK)
        await first
      }
      for (const wrong of [`mfd_${'w'.repeat(43)}`, 'x.y.z', undefined]) {
        const body = requestText('1', 'tools/list', modern ? withEnvelope() : undefined)
        const response = await http(`${origin}/mcp`, { headers: { ...JSON_HEADERS, ...bearer(wrong) }, body })
        expect(response.status).toBe(401)
        await response.body
      }
    }
    const text = readFileSync(file, 'utf8')
    for (const secret of [
      SECRET,
      'w'.repeat(20),
      ...['ci', 'slow', 'poor', 'one'].map(name => keyOf(name).slice(4)),
    ])
      expect(text).not.toContain(secret)
    const lines = linesOf(file)
    const of = (client: string): string[] =>
      lines
        .filter(line => line['client'] === client && !['server/discover'].includes(line['method'] as string))
        .map(({ event, method, exposed, name, rule, shadowed, code, quota }) =>
          [
            event,
            method,
            exposed ?? '',
            name ?? '',
            rule ?? '-',
            shadowed && `shadow ${String(shadowed)}`,
            code,
            quota,
          ]
            .filter(part => part !== undefined)
            .join(' '),
        )
    const allow = 'clients.ci.allow'
    const hidden = 'clients.ci.rules[0]'
    expect(of('ci')).toEqual([
      'allow tools/list   -',
      `allow tools/call a__t t ${allow}`,
      `deny tools/call a__hidden  ${hidden} unknown_name`,
      `deny tools/call hidden  ${hidden} unknown_name`,
      'deny tools/call a__absent  - unknown_name',
      'deny tools/call a__asked asked roles.tester.rules[0] denied',
      `allow tools/call a__asked asked ${allow}`,
      'deny tools/call a__asked asked roles.tester.rules[0] denied',
      `allow tools/call a__watched watched ${allow} shadow clients.ci.rules[1]`,
      `allow prompts/get a__p p ${allow}`,
      `deny prompts/get a__hidden  ${hidden} unknown_name`,
      `allow resources/read x://a x://a ${allow}`,
      `deny resources/read x://hidden  ${hidden} resource_not_found`,
      `deny completion/complete   ${hidden} unknown_name`,
    ])
    expect(lines.filter(({ method, client }) => client === 'ci' && method === 'tools/call')[0]).toMatchObject(
      {
        principal: 'client:ci',
        server: 'a',
        args: { api_key: '***', q: expect.not.stringContaining('hunter') },
        bytesOut: expect.any(Number),
      },
    )
    expect(of('slow').at(-1)).toBe('deny prompts/list   - rate_limited rate/hour')
    expect(of('poor').slice(-2)).toEqual([
      'allow tools/call a__t t -',
      'deny tools/call a__t t - quota_exhausted calls/month',
    ])
    expect(
      of('one')
        .filter(line => line.includes('tools/call'))
        .toSorted(),
    ).toEqual(['allow tools/call a__t t -', 'deny tools/call a__asked  - rate_limited concurrency'])
    expect(lines.filter(({ code }) => code === 'unauthenticated')).toEqual(
      Array.from({ length: 3 }, () =>
        expect.objectContaining({
          event: 'deny',
          status: 401,
          from: '127.0.0.1',
          reason: expect.any(String),
        }),
      ),
    )
  })
})
