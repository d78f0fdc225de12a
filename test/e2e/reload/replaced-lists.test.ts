import { expect, test } from 'vitest'
import { createMemoryStore } from '../../../src/state/memory.ts'
import type { Store } from '../../../src/state/store.ts'
import { startGateway } from '../../helpers/gateway.ts'
import { reload } from '../../helpers/reload.ts'
import { scriptedHttp, toolText, type ScriptedServer } from '../../helpers/scripted-servers.ts'
import { LegacySession } from '../../helpers/wire-clients.ts'

/** A name stands for another server after a reload: lists of the former one are neither shown nor stored for it. */

const CALL = '{"name":"a__t","arguments":{}}'
const LIST_CHANGED = '{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}'

const offers = (server: ScriptedServer, ...names: string[]): void => {
  server.results.set('tools/list', `{"tools":[${names.map(name => toolText(name)).join()}]}`)
}

const asksForTools = (text: string): boolean => text.includes('"tools/list"')

const pause = (ms: number): Promise<void> => new Promise(resolve => setTimeout(resolve, ms))

/** A store whose reads take as long as said, and which records what is written. */
function slowStore(): { store: Store; slow: { ms: number }; written: string[] } {
  const slow = { ms: 0 }
  const written: string[] = []
  const inner = createMemoryStore()
  const store = new Proxy(inner, {
    get(target, key) {
      const member: unknown = Reflect.get(target, key, target)
      if (typeof member !== 'function') return member
      return async (...given: unknown[]) => {
        if (key === 'set') written.push(String(given[1]))
        const value: unknown = await Reflect.apply(member, target, given)
        if ((key === 'get' || key === 'getMany') && slow.ms > 0) await pause(slow.ms)
        return value
      }
    },
  })
  return { store, slow, written }
}

test('a replaced server that still has a call says that its list has changed, and the list of its successor stays', async () => {
  await using old = await scriptedHttp({ sessions: true })
  await using next = await scriptedHttp({ sessions: true })
  offers(old, 't', 'old')
  offers(next, 't', 'new')
  const { store, written } = slowStore()
  await using running = await startGateway({ mcpServers: { a: old.entry } }, { store })
  const { gateway, origin } = running
  await gateway.warmUp()
  await using session = await LegacySession.open(origin)
  const list = (): Promise<string> => session.request('"l"', 'tools/list')
  expect(await list()).toContain('a__old')
  const answer = session.request('1', 'tools/call', CALL)
  const call = await old.called('t')
  await reload(gateway, { mcpServers: { a: next.entry } })
  await expect.poll(list, { timeout: 10_000 }).toContain('a__new')
  await expect.poll(() => written.some(text => text.includes('"new"')), { timeout: 10_000 }).toBe(true)
  written.length = 0

  offers(old, 't', 'old', 'older')
  const before = old.messages.all.filter(asksForTools).length
  old.say(LIST_CHANGED)
  // Longer than the delay that combines such notifications.
  await pause(400)
  expect(await list()).toContain('a__new')
  expect(await list()).not.toContain('a__old')
  expect(old.messages.all.filter(asksForTools)).toHaveLength(before)
  expect(written.filter(text => text.includes('old'))).toEqual([])

  // Its successor is heard.
  offers(next, 't', 'newer')
  next.say(LIST_CHANGED)
  await expect.poll(list, { timeout: 10_000 }).toContain('a__newer')
  call.answer('"result":{"content":[]}')
  expect(await answer).toContain('"content":[]')
})

test('a listing over a link that a reload replaces is done again over the new link', async () => {
  await using a = await scriptedHttp({ sessions: true })
  offers(a, 't', 'first')
  await using running = await startGateway({ mcpServers: { a: a.entry } })
  const { gateway, origin } = running
  await gateway.warmUp()
  await using session = await LegacySession.open(origin)
  expect(await session.request('"l"', 'tools/list')).toContain('a__first')
  const answer = session.request('1', 'tools/call', CALL)
  const call = await a.called('t')

  a.results.delete('tools/list')
  a.say(LIST_CHANGED)
  const isList = ({ method }: { method: string }): boolean => method === 'tools/list'
  const listing = await a.requests.take(isList, 'a listing')
  // The same server with other links.
  await reload(gateway, { mcpServers: { a: { ...a.entry, maxMessage: '1MiB' } } })
  listing.answer(`"result":{"tools":[${toolText('t')},${toolText('stale')}]}`)
  const again = await a.requests.take(isList, 'another listing')
  again.answer(`"result":{"tools":[${toolText('t')},${toolText('second')}]}`)
  await expect.poll(() => session.request('"l"', 'tools/list'), { timeout: 10_000 }).toContain('a__second')
  call.answer('"result":{"content":[]}')
  await answer
})

test('a server that is added again with another address does not get the stored lists of its namesake', async () => {
  await using a = await scriptedHttp({ sessions: true })
  await using old = await scriptedHttp({ sessions: true })
  offers(old, 'old')
  const { store, slow, written } = slowStore()
  const others = { a: a.entry }
  await using running = await startGateway({ mcpServers: { ...others, b: old.entry } }, { store })
  const { gateway, origin } = running
  await gateway.warmUp()
  await using session = await LegacySession.open(origin)
  const list = (): Promise<string> => session.request('"l"', 'tools/list')
  expect(await list()).toContain('b__old')
  await expect.poll(() => written.some(text => text.includes('"old"')), { timeout: 10_000 }).toBe(true)

  await reload(gateway, { mcpServers: others })
  slow.ms = 300
  await reload(gateway, { mcpServers: { ...others, b: old.entry } })
  await reload(gateway, { mcpServers: others })
  // Nothing listens there.
  await reload(gateway, { mcpServers: { ...others, b: { url: 'http://127.0.0.1:1/mcp' } } })
  await pause(1000)
  expect(await list()).not.toContain('b__old')
  expect(await list()).toContain('a__t')
})
