import { describe, expect, onTestFinished, test } from 'vitest'
import { envOf, folderForTest } from '../../helpers/admin-client.ts'
import { callAs, keyOf, withKeys } from '../../helpers/callers.ts'
import { runBeside, runIn } from '../../helpers/command-runs.ts'
import { startGateway } from '../../helpers/gateway.ts'
import { hasRedis, startRedis } from '../../helpers/redis-server.ts'
import { scriptedHttp } from '../../helpers/scripted-servers.ts'
import { BIN, freePort, serve } from '../../helpers/served.ts'
import { LegacySession, ModernHttp, requestText, withEnvelope } from '../../helpers/wire-clients.ts'
import { openStore } from '../../../src/state/open.ts'
import { SILENT } from '../../../src/core/logger.ts'
import { longestStage, type CallRecord } from '../../../src/observe/activity/call-record.ts'
import type { RunningGateway } from '../../../src/gateway/gateway.ts'

const OK = '"result":{"content":[{"type":"text","text":"done"}]}'
const call = (name: string): string =>
  withEnvelope(`{"name":"${name}","arguments":{"password":"hunter2hunter2"}}`)
const pause = (ms: number): Promise<void> => new Promise(resolve => setTimeout(resolve, ms))

/** The slowest call of a server, and the stage that is named for it. */
function slowest({ counts }: RunningGateway, server: string): [CallRecord | undefined, string | undefined] {
  const [record] = counts.calls.slowest({ server }, 1, Date.now())
  return [record, record && longestStage(record)]
}

describe('a bottleneck is named for what it is:', () => {
  test('calls that wait for their turn', async () => {
    await using server = await scriptedHttp()
    await using running = await startGateway({
      mcpServers: { a: { ...server.entry, maxConcurrentCalls: 1 } },
    })
    await running.gateway.warmUp()
    await using client = new ModernHttp(running.origin)
    const calls = [1, 2, 3].map(id => client.request(String(id), 'tools/call', call('a__t')))
    for (let nth = 0; nth < 3; nth++) {
      const asked = await server.called('t')
      await pause(150)
      asked.answer(OK)
    }
    await Promise.all(calls)
    const [record, stage] = slowest(running.gateway, 'a')
    expect(stage).toBe('queue')
    expect(record?.stages.queue).toBeGreaterThan(250)
  })

  test('a slow server', async () => {
    await using server = await scriptedHttp()
    await using running = await startGateway({ mcpServers: { a: server.entry } })
    await running.gateway.warmUp()
    await using client = new ModernHttp(running.origin)
    const answer = client.request('1', 'tools/call', call('a__t'))
    const asked = await server.called('t')
    await pause(200)
    asked.answer(OK)
    await answer
    const [record, stage] = slowest(running.gateway, 'a')
    expect(stage).toBe('upstream')
    expect(record).toMatchObject({
      server: 'a',
      name: 't',
      method: 'tools/call',
      result: 'ok',
      era: 'modern',
    })
  })

  test('a client that takes its time to answer a question', async () => {
    await using server = await scriptedHttp()
    await using running = await startGateway({ mcpServers: { a: server.entry } })
    await running.gateway.warmUp()
    await using client = await LegacySession.open(running.origin, { capabilities: '{"sampling":{}}' })
    const calling = client.post(requestText('1', 'tools/call', '{"name":"a__t"}'))
    const asked = await server.called('t')
    asked.say(
      '{"jsonrpc":"2.0","id":"q","method":"sampling/createMessage","params":{"maxTokens":1,"messages":[]}}',
    )
    const posted = await calling
    const { data } = await posted.events.take(event => event.data.includes('"method"'), 'the question')
    await pause(300)
    const { id } = JSON.parse(data) as { id: unknown }
    const refusal = `{"jsonrpc":"2.0","id":${JSON.stringify(id)},"error":{"code":-1,"message":"no"}}`
    await (
      await client.post(refusal)
    ).body
    await expect.poll(() => server.messages.all.some(text => text.includes('"message":"no"'))).toBe(true)
    asked.answer(OK)
    await posted.body
    expect(slowest(running.gateway, 'a')[1]).toBe('client')
  })

  test('a gateway without CPU', async () => {
    await using server = await scriptedHttp()
    await using running = await startGateway({ mcpServers: { a: server.entry } })
    await running.gateway.warmUp()
    await using client = new ModernHttp(running.origin)
    server.results.set('tools/call', '{"content":[]}')
    // A part of this process that takes the CPU as soon as a call has begun.
    const off = running.gateway.on('request.began', () => {
      const until = performance.now() + 200
      while (performance.now() < until);
    })
    await client.request('1', 'tools/call', call('a__t'))
    off()
    expect(slowest(running.gateway, 'a')[1]).toBe('gateway')
  })

  test.skipIf(!hasRedis())('a state store that answers slowly', async () => {
    await using server = await scriptedHttp()
    server.results.set('tools/call', '{"content":[]}')
    const redis = await startRedis()
    onTestFinished(() => redis.stop())
    const store = await openStore(redis.url, SILENT)
    await using running = await startGateway(
      { mcpServers: { a: { ...server.entry, tools: { t: { cache: { ttl: '1h', scope: 'shared' } } } } } },
      { store },
    )
    await running.gateway.warmUp()
    await using client = new ModernHttp(running.origin)
    redis.freeze()
    const answer = client.request('1', 'tools/call', call('a__t'))
    await pause(250)
    redis.thaw()
    await answer
    const [record, stage] = slowest(running.gateway, 'a')
    expect({ stage, stages: record?.stages }).toMatchObject({ stage: 'store' })
  })

  test('a server that takes its time to start', async () => {
    const SLOW = `setTimeout(() => require('node:readline').createInterface({ input: process.stdin }).on('line', line => {
      const { id, method } = JSON.parse(line)
      const result = method === 'initialize' ? { protocolVersion: '2025-06-18', capabilities: { tools: {} }, serverInfo: { name: 's', version: '1' } }
        : method === 'tools/list' ? { tools: [{ name: 't', inputSchema: { type: 'object' } }] } : { content: [] }
      if (id !== undefined) console.log(JSON.stringify({ jsonrpc: '2.0', id, result }))
    }), 700)`
    await using running = await startGateway({
      mcpServers: { a: { command: process.execPath, args: ['-e', SLOW], idle: '1s' } },
    })
    await running.gateway.warmUp()
    await expect.poll(() => running.gateway.statusOf('a')?.state, { timeout: 20_000 }).toBe('idle')
    await using client = new ModernHttp(running.origin)
    await client.request('1', 'tools/call', call('a__t'))
    expect(slowest(running.gateway, 'a')[1]).toBe('link')
  })
})

test('calls and tail show what was called, by which client and where its time went, and no argument', async () => {
  await using server = await scriptedHttp()
  const folder = folderForTest()
  const file = folder.write('servers.json', {
    mcpServers: { a: server.entry },
    clients: withKeys({ ada: {}, bob: {} }),
    gateway: { http: { port: await freePort() }, state: 'memory' },
  })
  expect((await runIn(folder, file, 'calls')).stderr).toContain('No gateway of this user runs')
  const served = await serve([BIN, 'serve', '--config', file], { env: envOf(folder) })
  onTestFinished(async () => void (await served.stop()))
  const tail = runBeside(folder, file, 'tail', '--client', 'ada')
  await using ada = await callAs(served.origin, keyOf('ada'), { modern: true })
  await using bob = await callAs(served.origin, keyOf('bob'), { modern: true })
  const list = () => ada?.request('tools/list', withEnvelope('{}')) ?? Promise.resolve('')
  await expect.poll(list, { timeout: 20_000 }).toContain('a__t')
  const answer = ada?.request('tools/call', call('a__t'))
  const asked = await server.called('t')
  await pause(150)
  asked.answer(OK)
  await answer
  await bob?.request('tools/call', call('a__missing'))

  const shown = await runIn(folder, file, 'calls')
  expect(shown.stdout).toMatch(/time +client +call +result +took +most of it/)
  expect(shown.stdout).toMatch(/ada +a\.t +ok +1\d\d ms +upstream 1\d\d ms: at the server/)
  expect(shown.stdout).toMatch(/bob +tools\/call a__missing +unknown_name/)
  const failed = JSON.parse((await runIn(folder, file, 'calls', '--failed', '--json')).stdout) as CallRecord[]
  expect(failed).toMatchObject([
    { client: 'bob', result: 'failed', code: 'unknown_name', name: 'a__missing' },
  ])
  const slow = await runIn(folder, file, 'calls', '--slow', '--server', 'a', '--limit', '1')
  expect(slow.stdout.trimEnd().split('\n')).toHaveLength(2)
  expect((await runIn(folder, file, 'calls', '--limit', '0')).stderr).toContain('--limit is a whole number')
  await expect.poll(() => tail.stdout()).toMatch(/ada +a\.t +ok/)
  expect(tail.stdout()).not.toContain('bob')
  await served.stop()
  const end = await tail.end
  for (const { stdout, stderr } of [shown, slow, end]) expect(stdout + stderr).not.toContain('hunter2')
})
