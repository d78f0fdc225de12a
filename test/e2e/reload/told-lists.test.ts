import { expect, onTestFinished, test, vi } from 'vitest'
import { View } from '../../../src/catalog/view.ts'
import { Views } from '../../../src/catalog/views.ts'
import { Audience } from '../../../src/gateway/audience.ts'
import { bearer, keyOf, withKeys } from '../../helpers/callers.ts'
import { startGateway } from '../../helpers/gateway.ts'
import { reload } from '../../helpers/reload.ts'
import { scriptedHttp, toolText, type ScriptedServer } from '../../helpers/scripted-servers.ts'
import { LegacySession, type WireResponse } from '../../helpers/wire-clients.ts'

/** What clients hear of lists that change right before a reload, and how much of that the turn of the swap does. */

const LIST_CHANGED = '{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}'

/** Lets a server offer 3,000 tools: `first`, and others. */
const offer = (server: ScriptedServer, first: string): void => {
  const names = [first, ...Array.from({ length: 2999 }, (_, at) => `t${at}`)]
  server.results.set('tools/list', `{"tools":[${names.map(name => toolText(name)).join()}]}`)
}

/**
 * Holds the next build of a generation until the lists of the former one have been replaced, after the server has said
 * that its tools have changed.
 */
function changeDuringNextBuild(server: ScriptedServer, first: string): void {
  const { adopt } = Views.prototype
  const spy = vi.spyOn(Views.prototype, 'adopt').mockImplementation(async function (
    this: Views,
    former: Views,
    samePolicies: boolean,
  ) {
    spy.mockRestore()
    const replaced = new Promise<void>(resolve => {
      const rebuild = former.rebuild.bind(former)
      former.rebuild = () => {
        const done = rebuild()
        void done.then(resolve)
        return done
      }
    })
    offer(server, first)
    server.say(LIST_CHANGED)
    await replaced
    await adopt.call(this, former, samePolicies)
  })
  onTestFinished(() => spy.mockRestore())
}

test('a list that changes right before a reload is sent to every client', async () => {
  await using a = await scriptedHttp({ sessions: true })
  const profiles = Object.fromEntries([1, 2, 3, 4, 5, 6].map(at => [`p${at}`, { servers: ['a'] }]))
  offer(a, 'before')
  await using running = await startGateway({ mcpServers: { a: a.entry }, profiles })
  const { gateway, origin } = running
  await gateway.warmUp()
  const clients: { readonly session: LegacySession; readonly stream: WireResponse }[] = []
  for (const name of Object.keys(profiles)) {
    const session = await LegacySession.open(origin, { path: `/mcp/${name}` })
    expect(await session.request('1', 'tools/list')).toContain('before')
    clients.push({ session, stream: await session.listen() })
  }
  const told = (): number[] =>
    clients.map(
      ({ stream }) => stream.events.all.filter(({ data }) => data.includes('tools/list_changed')).length,
    )
  changeDuringNextBuild(a, 'after')
  await reload(gateway, { mcpServers: { a: { ...a.entry, timeout: '11s' } }, profiles })

  await expect.poll(told, { timeout: 10_000 }).toEqual([1, 1, 1, 1, 1, 1])
  for (const { session } of clients) expect(await session.request('2', 'tools/list')).toContain('after')
  // Once each, also where a comparison was under way.
  await new Promise(resolve => setTimeout(resolve, 300))
  expect(told()).toEqual([1, 1, 1, 1, 1, 1])
  for (const { session } of clients) await session[Symbol.asyncDispose]()
})

test('the turn of the swap makes no view, also where a changed list has dropped those of every client', async () => {
  await using a = await scriptedHttp({ sessions: true })
  offer(a, 'before')
  const names = Array.from({ length: 20 }, (_, at) => `c${at}`)
  const rules = (name: string) => [{ effect: 'deny', match: [`a/t${name.slice(1)}`] }]
  const clients = withKeys(
    Object.fromEntries(names.map(name => [name, { rules: rules(name), default: 'allow' }])),
  )
  await using running = await startGateway({ mcpServers: { a: a.entry }, clients })
  const { gateway, origin } = running
  await gateway.warmUp()
  for (const name of names) {
    const session = await LegacySession.open(origin, { headers: bearer(keyOf(name)) })
    await session.request('1', 'tools/list')
  }
  let inSwap = false
  let made = 0
  const { seenIn } = Audience.prototype
  const swap = vi.spyOn(Audience.prototype, 'seenIn').mockImplementation(function (this: Audience, ...given) {
    inSwap = true
    setImmediate(() => (inSwap = false))
    return seenIn.apply(this, given)
  })
  const { making } = View
  const make = vi.spyOn(View, 'making').mockImplementation(function* (...given) {
    if (inSwap) made++
    return yield* making.apply(View, given)
  })
  onTestFinished(() => {
    swap.mockRestore()
    make.mockRestore()
  })
  changeDuringNextBuild(a, 'after')
  await reload(gateway, { mcpServers: { a: { ...a.entry, timeout: '11s' } }, clients })
  expect(swap).toHaveBeenCalledOnce()
  expect(made).toBe(0)
})
