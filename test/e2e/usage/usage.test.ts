import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { askAdmin, envOf, folderForTest } from '../../helpers/admin-client.ts'
import { callAs, keyOf, withKeys } from '../../helpers/callers.ts'
import { runIn } from '../../helpers/command-runs.ts'
import { hasRedis, startRedis } from '../../helpers/redis-server.ts'
import { rng } from '../../helpers/rng.ts'
import { Scrape } from '../../helpers/scrape.ts'
import { scriptedHttp, toolText, type ScriptedServer } from '../../helpers/scripted-servers.ts'
import { BIN, freePort, serve, type Served } from '../../helpers/served.ts'
import { openStore } from '../../../src/state/open.ts'
import { SILENT } from '../../../src/core/logger.ts'
import { readUsage } from '../../../src/observe/usage/usage-store.ts'
import { usageLines } from '../../../src/observe/usage/usage-report.ts'
import { withEnvelope } from '../../helpers/wire-clients.ts'

const TOKEN = 'token-of-the-scraper'
const ALL = ['0000-01-01', '9999-12-31'] as const
const call = (name: string, text: string): string =>
  withEnvelope(`{"name":"${name}","arguments":{"text":"${text}"}}`)

async function serverOf(tools: readonly string[]): Promise<ScriptedServer> {
  const server = await scriptedHttp()
  onTestFinished(() => server[Symbol.asyncDispose]())
  server.results.set('tools/list', `{"tools":[${tools.map(tool => toolText(tool)).join(',')}]}`)
  server.results.set('tools/call', '{"content":[{"type":"text","text":"done"}]}')
  return server
}

/** Calls that a server has got, by tool. */
function received(server: ScriptedServer, tool: string): number {
  return server.messages.all.filter(
    text => text.includes('"method":"tools/call"') && text.includes(`"name":"${tool}"`),
  ).length
}

describe.skipIf(!hasRedis())('three nodes on one Redis, one after the other restarted', () => {
  test('usage, metrics and the servers themselves count the same calls', async () => {
    const redis = await startRedis()
    onTestFinished(() => redis.stop())
    const [a, b] = [await serverOf(['read', 'write']), await serverOf(['find'])]
    const folder = folderForTest()
    const node = async (): Promise<Served & { readonly admin: string }> => {
      const admin = `127.0.0.1:${await freePort()}`
      const file = folder.write(`servers-${admin.replace(/\D/g, '')}.json`, {
        mcpServers: {
          a: { ...a.entry, cost: 2, tools: { write: { cost: 7 } } },
          b: { ...b.entry, tools: { find: { cache: { ttl: '1h', scope: 'shared' } } } },
        },
        clients: withKeys({ ada: {}, bob: {} }),
        gateway: {
          http: { port: await freePort() },
          state: redis.url,
          timeZone: 'UTC',
          admin: { listen: admin, token: TOKEN },
        },
      })
      const served = await serve([BIN, 'serve', '--config', file], { env: envOf(folder) })
      onTestFinished(async () => void (await served.stop()))
      return { ...served, stop: served.stop, admin: `http://${admin}` }
    }
    const counted = async ({ admin }: { readonly admin: string }): Promise<number> => {
      const asked = { path: '/metrics', headers: { authorization: `Bearer ${TOKEN}` } }
      const { text } = await askAdmin(admin, asked)
      return new Scrape(text).sum('manifold_requests_total', { method: 'tools/call', result: 'ok' })
    }
    const nodes = await Promise.all([node(), node(), node()])
    const random = rng(7)
    const sent: Record<string, number> = {}
    let metricsSum = 0
    for (let round = 0; round < 4; round++) {
      await Promise.all(
        nodes.map(async ({ origin }, at) => {
          const client = random() < 0.5 ? 'ada' : 'bob'
          await using caller = await callAs(origin, keyOf(client), { modern: at % 2 === 0 })
          const params = at % 2 === 0 ? withEnvelope : (text: string) => text
          const list = () => caller?.request('tools/list', params('{}')) ?? Promise.resolve('')
          await expect.poll(list, { timeout: 20_000 }).toMatch(/a__read.*b__find|b__find.*a__read/)
          for (let nth = 0; nth < 25; nth++) {
            const tool = ['a__read', 'a__write', 'b__find'][Math.floor(random() * 3)] ?? 'a__read'
            const text = `x${Math.floor(random() * 5)}`
            await caller?.request('tools/call', params(`{"name":"${tool}","arguments":{"text":"${text}"}}`))
            sent[`${client} ${tool.replace('__', ' ')}`] =
              (sent[`${client} ${tool.replace('__', ' ')}`] ?? 0) + 1
          }
        }),
      )
      // One node ends, as in a deployment, and another one takes its place.
      const [ended] = nodes.splice(0, 1)
      if (ended) {
        metricsSum += await counted(ended)
        await ended.stop()
      }
      nodes.push(await node())
    }
    for (const left of nodes) {
      metricsSum += await counted(left)
      await left.stop()
    }
    const store = await openStore(redis.url, SILENT)
    const days = await readUsage(store, ...ALL)
    await store.close()
    const lines = usageLines(days, { by: ['client', 'server', 'tool'] }).filter(
      ({ of }) => of.server !== '' && of.tool !== undefined,
    )
    expect(
      Object.fromEntries(lines.map(({ of, calls }) => [`${of.client} ${of.server} ${of.tool}`, calls])),
    ).toEqual(sent)
    expect(metricsSum).toBe(4 * 3 * 25)
    const sumOf = (tool: string, field: 'calls' | 'hits' | 'cost'): number =>
      lines.filter(({ of }) => of.tool === tool).reduce((sum, line) => sum + line[field], 0)
    for (const [server, tool] of [
      [a, 'read'],
      [a, 'write'],
      [b, 'find'],
    ] as const)
      expect(sumOf(tool, 'calls') - sumOf(tool, 'hits'), tool).toBe(received(server, tool))
    expect(sumOf('find', 'hits')).toBeGreaterThan(0)
    expect(sumOf('read', 'cost')).toBe(2 * received(a, 'read'))
    expect(sumOf('write', 'cost')).toBe(7 * received(a, 'write'))
  })
})

test('what was counted before a kill -9 is there, but for the last seconds; and after the end all of it', async () => {
  const server = await serverOf(['read'])
  const folder = folderForTest()
  const file = folder.write('servers.json', {
    mcpServers: { a: server.entry },
    gateway: { http: { port: await freePort() }, state: `lmdb:${join(folder.path, 'state')}` },
  })
  const start = () => serve([BIN, 'serve', '--config', file], { env: envOf(folder) })
  const calls = async (origin: string, count: number): Promise<void> => {
    await using caller = await callAs(origin, undefined, { modern: true })
    const list = () => caller?.request('tools/list', withEnvelope('{}')) ?? Promise.resolve('')
    await expect.poll(list, { timeout: 20_000 }).toContain('a__read')
    for (let nth = 0; nth < count; nth++) await caller?.request('tools/call', call('a__read', 'x'))
  }
  const shown = async (): Promise<number> => {
    const { stdout } = await runIn(folder, file, 'usage', '--by', 'server', '--server', 'a', '--json')
    const { lines } = JSON.parse(stdout) as { lines: { calls: number }[] }
    return lines[0]?.calls ?? 0
  }
  const first = await start()
  await calls(first.origin, 10)
  // It asks the running gateway, which writes first.
  expect(await shown()).toBe(10)
  process.kill(first.pid, 'SIGKILL')
  await first.exited
  expect(await shown()).toBe(10)

  const second = await start()
  onTestFinished(async () => void (await second.stop()))
  await calls(second.origin, 5)
  await second.stop()
  expect(await shown()).toBe(15)

  const table = await runIn(folder, file, 'usage', '--by', 'day,tool', '--since', '2d')
  expect(table.stdout).toMatch(/day +tool +calls +errors +from cache/)
  expect(table.stdout).toMatch(/\d{4}-\d\d-\d\d +read +15 +0 +0/)
  const csv = await runIn(folder, file, 'usage', '--by', 'tool', '--csv')
  expect(csv.stdout.split('\r\n')[0]).toBe(
    'tool,calls,errors,hits,upstreamMs,bytesIn,bytesOut,tokensOut,cost',
  )
  expect(csv.stdout).toMatch(/^read,15,0,0,/m)
  for (const [args, said] of [
    [['--by', 'week'], '--by takes one or more of day, client, server, tool'],
    [['--by', 'day', '--since', 'monday'], '--since is a number of days'],
  ] as const)
    expect(await runIn(folder, file, 'usage', ...args)).toMatchObject({
      code: 1,
      stderr: expect.stringContaining(said),
    })
})

test('a state in memory is known to the running gateway alone', async () => {
  const server = await serverOf(['read'])
  const folder = folderForTest()
  const file = folder.write('servers.json', {
    mcpServers: { a: server.entry },
    gateway: { http: { port: await freePort() }, state: 'memory' },
  })
  const none = await runIn(folder, file, 'usage', '--by', 'client')
  expect(none).toMatchObject({ code: 1, stderr: expect.stringContaining('The state is "memory"') })
  const served = await serve([BIN, 'serve', '--config', file], { env: envOf(folder) })
  onTestFinished(async () => void (await served.stop()))
  await using caller = await callAs(served.origin, undefined, { modern: true })
  const list = () => caller?.request('tools/list', withEnvelope('{}')) ?? Promise.resolve('')
  await expect.poll(list, { timeout: 20_000 }).toContain('a__read')
  await caller?.request('tools/call', call('a__read', 'x'))
  const shown = await runIn(folder, file, 'usage', '--by', 'client,tool')
  expect(shown.stdout).toMatch(/anonymous +read +1 /)
})
