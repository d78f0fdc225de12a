import { expect, test } from 'vitest'
import type { GatewayEvent } from '../../../src/core/events.ts'
import { callAs, keyOf, withKeys } from '../../helpers/callers.ts'
import { startGateway } from '../../helpers/gateway.ts'
import { RecordedEvents } from '../../helpers/recorded-events.ts'
import { scriptedHttp } from '../../helpers/scripted-servers.ts'

/** A listener that writes to what it is told of changes neither the call nor what the next listener hears. */

const CALL = '{"name":"a__t","arguments":{"x":1}}'

type Values = Record<string, unknown>

/** Writes to every member of a value and of what it holds, its getters included, as far as each lets it. */
function overwrite(value: unknown, depth = 0): void {
  if (typeof value !== 'object' || value === null || value instanceof Error || depth > 5) return
  const keys = new Set<string>(Object.keys(value))
  for (
    let at: unknown = Object.getPrototypeOf(value);
    at !== Object.prototype;
    at = Object.getPrototypeOf(at)
  )
    for (const [key, { get }] of Object.entries(Object.getOwnPropertyDescriptors(at ?? {})))
      if (get) keys.add(key)
  for (const key of keys) {
    overwrite((value as Values)[key], depth + 1)
    expect(Reflect.set(value, key, 'written'), `${key} can be written`).toBe(false)
  }
}

test.each([false, true])('a listener that writes to an event changes nothing (modern: %s)', async modern => {
  await using server = await scriptedHttp()
  await using running = await startGateway({
    mcpServers: { a: server.entry },
    clients: withKeys({ ci: { roles: ['r'] } }),
    roles: { r: { rules: [{ effect: 'allow', match: ['a/*'] }] } },
  })
  const failures: unknown[] = []
  running.gateway.on('*', (event: GatewayEvent) => {
    try {
      overwrite(event)
    } catch (error) {
      failures.push(error)
    }
  })
  const heard = new RecordedEvents(running.gateway)
  await running.gateway.warmUp()
  const caller = await callAs(running.origin, keyOf('ci'), { modern })
  for (const turn of [1, 2]) {
    const answer = caller?.request('tools/call', CALL)
    const call = await server.called('t')
    expect(call.params).toContain('"x":1')
    call.answer(`"result":{"content":[],"turn":${turn}}`)
    expect(await answer).toContain(`"turn":${turn}`)
  }
  await caller?.[Symbol.asyncDispose]()
  expect(failures).toEqual([])
  const calls = heard.of('request.ended').filter(({ request }) => request.method === 'tools/call')
  expect(calls).toHaveLength(2)
  for (const { principal, trace } of calls) {
    expect(principal.client).toBe('ci')
    expect(trace.route).toMatchObject({ server: 'a', own: 't', exposed: 'a__t' })
  }
  expect(heard.of('attempt.ended').map(({ trace }) => trace.route?.server)).toEqual(['a', 'a'])
  expect(heard.of('session.closed')).toHaveLength(modern ? 0 : 1)
})

test('a listener that empties the kinds of changed lists leaves clients to receive them', async () => {
  await using server = await scriptedHttp({ sessions: true })
  await using running = await startGateway({ mcpServers: { a: server.entry } })
  await running.gateway.warmUp()
  let emptied = 0
  running.gateway.on('list.changed', ({ kinds }) => {
    emptied++
    ;(kinds as string[]).length = 0
  })
  await using caller = await callAs(running.origin, undefined, { modern: false })
  await caller?.request('tools/list')
  server.results.set('tools/list', '{"tools":[]}')
  server.say('{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}')
  await expect.poll(() => emptied, { timeout: 10_000 }).toBe(1)
  await expect
    .poll(() => caller?.notifications.all.some(text => text.includes('list_changed')), { timeout: 10_000 })
    .toBe(true)
})
