import { expect, it } from 'vitest'
import { configFrom } from '../../src/config/load/load.ts'
import type { Config, ToolConfig } from '../../src/config/types.ts'
import { SILENT } from '../../src/core/logger.ts'
import { buildGateway, type RunningGateway } from '../../src/gateway/gateway.ts'
import { createMemoryStore } from '../../src/state/memory.ts'
import { rule, tool } from '../unit/cache/world.ts'
import { callAs } from '../helpers/callers.ts'
import { assertNothingLeft, takeStock } from '../helpers/leftovers.ts'
import { scriptedHttp, toolText } from '../helpers/scripted-servers.ts'

const MARK = 'io.github.mcp-manifold/cache'

interface Running extends AsyncDisposable {
  readonly gateway: RunningGateway
  readonly origin: string
}

async function start(entry: object, tools: readonly ToolConfig[]): Promise<Running> {
  const before = takeStock()
  const config = await configFrom({ mcpServers: { s: entry }, gateway: { http: { port: 0 } } }, { env: {} })
  const servers = config.servers.map(server => ({ ...server, tools }))
  const patched: Config = { ...config, servers }
  const gateway = await buildGateway(patched, { logger: SILENT, store: createMemoryStore() })
  const { url } = await gateway.listen()
  return {
    gateway,
    origin: new URL(url).origin,
    async [Symbol.asyncDispose]() {
      await gateway.close()
      await assertNothingLeft(before)
    },
  }
}

interface Answer {
  readonly result: {
    readonly n?: number
    readonly resultType?: string
    readonly _meta?: Record<string, unknown>
  }
}
const parse = (text: string): Answer => JSON.parse(text) as Answer

it('serves clients of both eras from one result, each in its own form', async () => {
  await using server = await scriptedHttp()
  await using running = await start(server.entry, [tool('t', { cache: rule({ ttlMs: 60_000 }) })])
  const { gateway } = running
  await using legacy = await callAs(running.origin, undefined, { modern: false })
  await using modern = await callAs(running.origin, undefined, { modern: true })
  if (!legacy || !modern) throw new Error('no endpoint')
  const first = legacy.request('tools/call', '{"name":"s__t","arguments":{"b":1,"a":2}}')
  const call = await server.called('t')
  call.answer('"result":{"content":[],"structuredContent":{"n":12345678901234567890,"x":1.0}}')
  const plain = await first
  expect(plain).not.toContain(MARK)
  const [again, other] = await Promise.all([
    legacy.request('tools/call', '{ "arguments" : { "a" : 2.0, "b" : 1 }, "name" : "s__t" }'),
    modern.request('tools/call', '{"name":"s__t","arguments":{"a":2,"b":1}}'),
  ])
  for (const text of [again, other]) {
    expect(text).toContain('{"n":12345678901234567890,"x":1.0}')
    expect(parse(text).result._meta?.[MARK]).toMatchObject({ hit: true, tier: 'memory', stale: false })
  }
  expect(parse(again).result).not.toHaveProperty('resultType')
  expect(parse(other).result.resultType).toBe('complete')
  expect(parse(other).result._meta).toHaveProperty(['io.modelcontextprotocol/serverInfo'])
  expect(gateway.cacheCounts()).toMatchObject([{ server: 's', tool: 't', hits: 2, misses: 1, stores: 1 }])
})

it('is invalidated when the server reports changed lists', async () => {
  await using server = await scriptedHttp()
  await using running = await start(server.entry, [tool('t', { cache: rule({ ttlMs: 60_000 }) })])
  await using client = await callAs(running.origin, undefined, { modern: false })
  if (!client) throw new Error('no endpoint')
  const ask = (): Promise<string> => client.request('tools/call', '{"name":"s__t"}')
  const first = ask()
  const call = await server.called('t')
  // On the stream of the call, so that it is heard before the answer.
  call.say('{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}')
  call.answer('"result":{"content":[],"n":1}')
  expect(parse(await first).result.n).toBe(1)
  const second = ask()
  ;(await server.called('t')).answer('"result":{"content":[],"n":2}')
  expect(parse(await second).result.n).toBe(2)
  expect(parse(await ask()).result).toMatchObject({ n: 2, _meta: { [MARK]: { hit: true } } })
})

it('stores no result of a call in which the server asked something, or tried to', async () => {
  await using server = await scriptedHttp()
  await using running = await start(server.entry, [tool('t', { cache: rule({ ttlMs: 60_000 }) })])
  await using client = await callAs(running.origin, undefined, { modern: false })
  if (!client) throw new Error('no endpoint')
  for (const n of [1, 2]) {
    const answer = client.request('tools/call', '{"name":"s__t"}')
    const call = await server.called('t')
    // The client cannot do that, and the server answers as well as it can without.
    call.say('{"jsonrpc":"2.0","id":7,"method":"roots/list"}')
    await server.messages.take(text => text.includes('"id":7'), 'the refusal')
    call.answer(`"result":{"content":[],"n":${n}}`)
    expect(parse(await answer).result.n).toBe(n)
  }
  expect(running.gateway.cacheCounts()).toMatchObject([{ stores: 0 }])
})

it('makes one call of those that are alike, whatever era they come from', async () => {
  await using server = await scriptedHttp()
  server.results.set('tools/list', `{"tools":[${toolText('t')},${toolText('other')}]}`)
  await using running = await start(server.entry, [tool('t', { cache: rule() })])
  await using legacy = await callAs(running.origin, undefined, { modern: false })
  await using modern = await callAs(running.origin, undefined, { modern: true })
  if (!legacy || !modern) throw new Error('no endpoint')
  const answers = [legacy, modern, legacy, modern].map(client =>
    client.request('tools/call', '{"name":"s__t","arguments":{}}'),
  )
  const call = await server.called('t')
  call.answer('"result":{"content":[],"n":1}')
  for (const answer of answers) expect(parse(await answer).result).toMatchObject({ n: 1, content: [] })
  expect(server.messages.all.filter(text => text.includes('"tools/call"'))).toHaveLength(1)
})
