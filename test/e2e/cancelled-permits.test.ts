import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { startGateway } from '../helpers/gateway.ts'
import { serve, type Served } from '../helpers/served.ts'
import { ModernHttp, requestText, StdioClient, withEnvelope } from '../helpers/wire-clients.ts'
import { RunningTime } from '../helpers/running-time.ts'

/** Whose place a call keeps that was given up, at servers that go on as if nothing had happened. */

const IGNORE_CANCELLATION = fileURLToPath(
  new URL('../fixtures/servers/ignore-cancellation.js', import.meta.url),
)
const CONCURRENCY = 4
const CALLS = 17
/** The bound after which a server counts as done, the steps of deadlines, and a slow machine. */
const WITHIN_MS = 10_000 + 5000

const toolCall = (server: string, tool: string, ms = 0): string =>
  `{"name":"${server}__${tool}","arguments":{"ms":${ms}}}`

/** Servers that ignore cancellation, by name; those of HTTP are processes of their own. */
async function ignoringCancellation(names: readonly string[], options: Readonly<Record<string, unknown>>) {
  const processes = new Map<string, Served>()
  const mcpServers: Record<string, object> = {}
  for (const name of names) {
    const [mode = ''] = name.split('-')
    const served =
      mode === 'stdio' ? undefined : await serve([IGNORE_CANCELLATION, mode], { ready: /listening (\S+)/ })
    if (served) processes.set(name, served)
    const entry = served
      ? { url: served.origin }
      : { command: process.execPath, args: [IGNORE_CANCELLATION, 'stdio'] }
    mcpServers[name] = { ...entry, maxConcurrentCalls: CONCURRENCY, ...options }
  }
  return {
    mcpServers,
    /** What one of HTTP says itself, past the gateway. */
    async atOnce(name: string): Promise<string> {
      const body = requestText('1', 'tools/call', '{"name":"at_once"}')
      return await (await fetch(processes.get(name)?.origin ?? '', { method: 'POST', body })).text()
    },
    async [Symbol.asyncDispose]() {
      await Promise.all([...processes.values()].map(served => served.stop()))
    },
  }
}

test(`${CALLS} cancelled calls never run more than ${CONCURRENCY} at once, and another client is answered afterwards`, async () => {
  const names = ['stdio', 'legacy', 'modern'].flatMap(mode => [`${mode}-by-legacy`, `${mode}-by-modern`])
  await using servers = await ignoringCancellation(names, {})
  await using gateway = await startGateway({ mcpServers: servers.mcpServers })
  await gateway.gateway.warmUp()
  await using legacy = await StdioClient.legacy(gateway.gateway)
  await using modern = new ModernHttp(gateway.origin)
  await using other = new ModernHttp(gateway.origin)
  const atWork = 3000
  const cancel = async (name: string, id: string): Promise<void> => {
    if (name.endsWith('modern'))
      return await modern.leave(id, 'tools/call', withEnvelope(toolCall(name, 'late', atWork)), 50)
    legacy.send(requestText(id, 'tools/call', toolCall(name, 'late', atWork)))
    await sleep(50)
    legacy.send(`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":${id}}}`)
  }
  const cancelAll = async (name: string, at: number): Promise<void> => {
    for (let call = 0; call < CALLS; call++) await cancel(name, String(1 + at * CALLS + call))
  }
  await Promise.all(names.map(cancelAll))
  using time = new RunningTime()
  const answers = names.map(async name => {
    expect(await other.request('1', 'tools/call', toolCall(name, 'ok')), name).toContain('"ok"')
    return [name, time.ms] as const
  })
  const times = new Map(await Promise.all(answers))
  for (const [name, took] of times) expect(took, name).toBeLessThan(WITHIN_MS)
  // An answer after all gives the place back at once.
  for (const name of ['stdio-by-legacy', 'stdio-by-modern'])
    expect(times.get(name)).toBeLessThan(times.get('modern-by-modern') ?? 0)
  for (const name of names)
    expect(await other.request('2', 'tools/call', toolCall(name, 'at_once')), name).toMatch(/"text":"[1-4]"/)
})

test(`${CALLS} calls of which the first time out never run more than ${CONCURRENCY} at once`, async () => {
  const names = ['stdio', 'legacy', 'modern']
  await using servers = await ignoringCancellation(names, { timeout: '1s', queueTimeout: '2s' })
  await using gateway = await startGateway({ mcpServers: servers.mcpServers })
  await gateway.gateway.warmUp()
  await using client = await StdioClient.legacy(gateway.gateway)
  await using other = new ModernHttp(gateway.origin)
  const ids = names.flatMap((name, at) =>
    Array.from({ length: CALLS }, (_, call) => {
      const id = String(1 + at * CALLS + call)
      client.send(requestText(id, 'tools/call', toolCall(name, 'late', 4000)))
      return id
    }),
  )
  const outcomes = await Promise.all(ids.map(id => client.answer(id)))
  expect(outcomes.filter(text => text.includes('within 1 s'))).toHaveLength(CONCURRENCY * names.length)
  // The others had no place in time.
  expect(outcomes.filter(text => text.includes('is busy'))).toHaveLength((CALLS - CONCURRENCY) * names.length)
  for (const name of ['legacy', 'modern']) expect(await servers.atOnce(name)).toMatch(/"text":"4"/)
  for (;;) {
    const said = await other.request('1', 'tools/call', toolCall('stdio', 'at_once'))
    if (!said.includes('is busy')) {
      expect(said).toMatch(/"text":"4"/)
      break
    }
  }
})
