import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { expect, it, onTestFinished, vi } from 'vitest'
import type { ServerSnapshot } from '../../../src/catalog/snapshot.ts'
import { WHOLE } from '../../../src/catalog/view-names.ts'
import type { View } from '../../../src/catalog/view.ts'
import { Views } from '../../../src/catalog/views.ts'
import { configFrom } from '../../../src/config/load/load.ts'
import { SILENT } from '../../../src/core/logger.ts'
import { clientPrincipal, LOCAL, type Principal } from '../../../src/core/principal.ts'
import { atOnce } from '../../../src/core/slices.ts'
import { compilePolicies } from '../../../src/policy/policies.ts'
import { snapshotOf } from '../../helpers/snapshot.ts'

const toolEntry = (key: string) => ({ key, text: `{"name":"${key}","inputSchema":{"type":"object"}}` })

async function make(clients: object) {
  const config = await configFrom(
    {
      mcpServers: { a: { command: 'a' }, b: { command: 'b' } },
      clients,
      roles: { r: { rules: [{ effect: 'deny', match: ['a/*'], when: 'principal.name == tool.name' }] } },
      gateway: { state: 'memory' },
    },
    { env: {} },
  )
  const policies = await compilePolicies(config, SILENT)
  const snapshots = new Map<string, ServerSnapshot>()
  const set = (server: string, names: readonly string[], kind = ''): void =>
    void snapshots.set(
      server + kind,
      snapshotOf(server, { instructions: `This is ${server}.`, lists: { tools: names.map(toolEntry) } }),
    )
  const watched: string[] = []
  const changed: string[] = []
  const views = new Views({
    variants: () => [],
    config,
    serverInfo: '{}',
    logger: SILENT,
    snapshot: (server, kind = '') => snapshots.get(server + kind) ?? snapshots.get(server),
    policy: key => policies.byKey(key),
    watched: () => watched,
    onChange: name => void changed.push(name),
  })
  const of = (principal: Principal): string => views.of(WHOLE, policies.of(principal)) as string
  return { views, policies, snapshots, set, watched, changed, of }
}

const user = (name: string): Principal => ({ ...clientPrincipal('u'), id: `user:i ${name}`, name })

it('a view that was dropped is found again by its name, and what changes in it is still told', async () => {
  const { views, set, watched, changed, of } = await make({ u: { roles: ['r'] } })
  set('a', ['x', 'y'])
  set('b', ['z'])
  const [x, y] = [of(user('x')), of(user('y'))]
  watched.push(WHOLE, x, y)
  const before = views.view(x)
  for (let n = 0; n < 4500; n++) views.view(of(user(`u${n}`)))
  expect(views.view(x)).not.toBe(before)
  expect(
    views
      .view(x)
      ?.entries('tools')
      .map(({ name }) => name),
  ).toEqual(['y', 'z'])
  expect(
    views
      .view(y)
      ?.entries('tools')
      .map(({ name }) => name),
  ).toEqual(['x', 'z'])
  // Only x does not see x, so only x sees no difference.
  set('a', ['y'])
  await views.rebuild()
  // Again before any client has looked: what counts is what clients know.
  await views.rebuild()
  // In the order of the watchers: when y has been told, x was compared.
  while (!changed.includes(y)) await new Promise(resolve => setImmediate(resolve))
  expect(changed).toEqual([WHOLE, y])
  views.close()
})

it('of equal rules are one, and without rules they are the one of the endpoint', async () => {
  const { views, policies, set, of } = await make({ c: { deny: ['b/*'] }, d: {}, e: { default: 'deny' } })
  set('a', ['x'])
  set('b', ['z'])
  expect(of(clientPrincipal('d'))).toBe(WHOLE)
  expect(of(LOCAL)).toBe(WHOLE)
  expect(views.view(of(clientPrincipal('c')))).toBe(views.view(of({ ...clientPrincipal('c') })))
  expect(views.view(of(clientPrincipal('c')))?.instructions).toBe('This is a.')
  expect(views.of('b', policies.of(clientPrincipal('c')))).toBeUndefined()
  expect(views.of('nothing', policies.of(clientPrincipal('d')))).toBeUndefined()
  // Every client has the endpoint for all, be it empty.
  expect(views.view(of(clientPrincipal('e')))?.count('tools')).toBe(0)
})

it('what is denied has a reason, for the record', async () => {
  const { views, set, of } = await make({ c: { deny: ['b/*'] } })
  set('a', ['x'])
  set('b', ['z'])
  const view = views.view(of(clientPrincipal('c')))
  expect(view?.tool('b__z')).toBeUndefined()
  expect(view?.decisionOn('tools', 'b__z')).toMatchObject({ verdict: 'deny', rule: 'clients.c.deny' })
  expect(view?.decisionOn('tools', 'z')).toMatchObject({ verdict: 'deny' })
  expect(view?.decisionOn('tools', 'a__x')).toMatchObject({ verdict: 'allow', rule: 'default' })
  expect(view?.decisionOn('tools', 'nothing')).toBeUndefined()
})

it('names servers that were never listed only where something of them may be seen', async () => {
  const { views, set, of } = await make({
    c: { deny: ['b/*'] },
    d: { allow: ['tool:a/*'] },
    e: { deny: ['b/x'] },
  })
  set('a', ['x'])
  expect(views.view(of(clientPrincipal('c')))?.missing).toEqual([])
  expect(views.view(of(clientPrincipal('d')))?.missing).toEqual([])
  expect(views.view(of(clientPrincipal('e')))?.missing).toEqual(['b'])
})

const MANY = 20_000
const manyNames = (from: number): string[] => Array.from({ length: MANY }, (_, at) => `t${from + at}`)

/** Entries that are gone through for each turn of everything else, when looking at the clock takes a millisecond. */
async function entriesATurn(work: () => Promise<unknown> | undefined): Promise<number> {
  let turns = 0
  let turn = setImmediate(function next() {
    turns++
    turn = setImmediate(next)
  })
  await work()
  clearImmediate(turn)
  return MANY / turns
}

it('20,000 tools are merged, judged, written and compared in parts, and the views of before serve meanwhile', async () => {
  const { views, policies, set, watched, changed, of } = await make({ c: { deny: ['a/t1*'] } })
  let now = performance.now()
  const clock = vi.spyOn(performance, 'now').mockImplementation(() => ++now)
  onTestFinished(() => clock.mockRestore())
  const few = async (work: () => Promise<unknown> | undefined): Promise<void> =>
    expect(await entriesATurn(work)).toBeLessThan(500)
  set('a', manyNames(0))
  await few(() => views.known(WHOLE, policies.of(LOCAL)))
  const name = of(clientPrincipal('c'))
  await few(() => views.ready(name))
  const [whole, restricted] = [views.view(WHOLE) as View, views.view(name) as View]
  // Of the first page half of the entries are made, and all of them are in the signature.
  await few(() => views.list(whole, 'tools', '2025-11-25', undefined))
  expect(views.ready(WHOLE) ?? views.ready(name)).toBeUndefined()

  watched.push(WHOLE, name)
  set('a', manyNames(1))
  let served: View | undefined
  await few(() => {
    const replaced = views.rebuild()
    setImmediate(() => (served = views.view(WHOLE)))
    return replaced
  })
  expect(served).toBe(whole)
  expect(changed).toEqual([])
  expect(views.view(WHOLE)?.tool(`a__t${MANY}`)).toBeDefined()
  await few(async () => {
    while (changed.length < 2) await new Promise(resolve => setImmediate(resolve))
  })
  expect(changed).toEqual([WHOLE, name])
  expect(views.view(name)).not.toBe(restricted)
  expect(views.view(name)?.tool(`a__t${MANY}`)).toBeDefined()
  views.close()
})

it('made in parts, a page is the same as made at once', async () => {
  const { views, set, of } = await make({ c: { deny: ['a/t1*'] } })
  const other = await make({ c: { deny: ['a/t1*'] } })
  for (const each of [set, other.set]) each('a', manyNames(0))
  for (const name of [WHOLE, of(clientPrincipal('c'))]) {
    const view = (await views.made(name)) as View
    const page = await views.list(view, 'tools', '2026-07-28', undefined)
    expect(
      page.equals(atOnce((other.views.view(name) as View).listing('tools', '2026-07-28', undefined))),
    ).toBe(true)
  }
})

it('what is wished for while views are replaced leads to one more replacement, and what has not changed stays', async () => {
  const { views, set, policies } = await make({ c: {} })
  set('a', ['x'])
  set('b', ['y'])
  const [a, b] = [views.view('a'), views.view('b')]
  set('a', ['x', 'x2'])
  const first = views.rebuild()
  expect(views.rebuild()).toBe(first)
  await Promise.resolve()
  await new Promise(resolve => setImmediate(resolve))
  set('a', ['x3'])
  const second = views.rebuild()
  expect(second).not.toBe(first)
  expect(views.upToDate).toBeDefined()
  await second
  expect(views.upToDate).toBeUndefined()
  expect(views.view('a')?.tool('x3')).toBeDefined()
  expect(views.view('a')).not.toBe(a)
  expect(views.view('b')).toBe(b)
  expect(views.of('b', policies.of(LOCAL))).toBe('b')
})

it('lists that a server shows one kind of client are kept once, however often they change', async () => {
  const { views, snapshots, set, of } = await make({ c: { deny: ['a/y'] } })
  set('a', ['x'])
  const seen: WeakRef<ServerSnapshot>[] = []
  const names = [WHOLE, of(clientPrincipal('c')), 'a'].flatMap(name => [
    views.named(name, 'ls'),
    views.named(name, 'lrs'),
  ])
  for (let n = 0; n < 50; n++) {
    for (const kind of ['ls', 'lrs']) set('a', ['x', `t${n}`], kind)
    seen.push(new WeakRef(snapshots.get('als') as ServerSnapshot))
    await views.rebuild()
    for (const name of names) {
      await views.ready(name)
      expect(views.view(name)?.count('tools')).toBe(2)
    }
    // Kinds that are shown the same share a view.
    for (const at of [0, 2, 4])
      expect(views.view(names[at] as string)).toBe(views.view(names[at + 1] as string))
  }
  setFlagsFromString('--expose-gc')
  const gc = runInNewContext('gc') as () => void
  await new Promise(resolve => setImmediate(resolve))
  gc()
  expect(seen.filter(ref => ref.deref()).length).toBeLessThan(5)
  views.close()
})

it('when one kind of client is shown something else, its views are replaced and those of the others stay', async () => {
  const { views, set, watched, changed, of } = await make({ c: { deny: ['a/y'] } })
  set('a', ['x'])
  set('a', ['x', 's'], 'ls')
  set('a', ['x', 'e'], 'le')
  const restricted = of(clientPrincipal('c'))
  const names = [WHOLE, restricted].flatMap(name => ['l', 'ls', 'le'].map(kind => views.named(name, kind)))
  for (const name of names) await views.ready(name)
  const before = names.map(name => views.view(name))
  expect(before[0]).toBe(views.view(WHOLE))
  expect(before[3]).toBe(views.view(restricted))
  watched.push(...names)
  set('a', ['x', 's2'], 'ls')
  await views.rebuild()
  while (changed.length < 2) await new Promise(resolve => setImmediate(resolve))
  expect(changed).toEqual([names[1], names[4]])
  expect(names.filter((name, at) => views.view(name) !== before[at])).toEqual(changed)
  // Now it is shown what all are shown, and then all are shown something else.
  set('a', ['x'], 'ls')
  await views.rebuild()
  expect(views.view(names[1] as string)).toBe(views.view(WHOLE))
  expect(views.view(names[4] as string)).toBe(views.view(restricted))
  set('a', ['x', 'n'])
  await views.rebuild()
  expect(names.map(name => views.view(name)?.count('tools'))).toEqual([2, 1, 2, 2, 1, 2])
  expect(views.view(names[4] as string)?.tool('a__n')).toBeUndefined()
  views.close()
})

it('every client of a kind is notified of a change, also where its view was dropped', async () => {
  const { views, set, watched, changed, of } = await make({ u: { roles: ['r'] } })
  set('a', ['x'])
  for (let n = 0; n < 4100; n++) {
    const name = views.named(of(user(`u${n}`)), 'l')
    await views.ready(name)
    watched.push(name)
  }
  set('a', ['x', 'y'])
  await views.rebuild()
  await vi.waitFor(() => expect(changed).toHaveLength(4100), 20_000)
  views.close()
})

it('one definition that cannot be merged is left out, and the lists of the others are shown', async () => {
  const { views, snapshots, set } = await make({})
  set('a', ['x'])
  set('b', ['z'])
  await views.made(WHOLE)
  set('b', ['z', 'z2'])
  const broken = snapshots.get('a') as ServerSnapshot
  const resources = [{ key: 7 as unknown as string, text: '{"uri":7}' }]
  snapshots.set('a', { ...broken, lists: { ...broken.lists, resources } })
  await views.rebuild()
  expect(views.view(WHOLE)?.tool('b__z2')).toBeDefined()
  expect(views.view(WHOLE)?.tool('a__x')).toBeDefined()
  expect(views.view(WHOLE)?.count('resources')).toBe(0)
  views.close()
})

it('while long lists are replaced, what is shown without them is there at once', async () => {
  const { views, policies, set } = await make({ c: { deny: ['b/y'] } })
  set('a', manyNames(0))
  set('b', ['x', 'y'])
  const named = (endpoint: string): string => views.named(endpoint, 'l')
  for (const name of [WHOLE, 'a', 'b'].map(named)) await views.ready(name)
  set('a', manyNames(1))
  let isDone = false
  const replaced = views.rebuild().then(() => (isDone = true))
  const restricted = views.of('b', policies.of(clientPrincipal('c'))) as string
  await new Promise(resolve => setImmediate(resolve))
  expect((await views.made(named('b')))?.count('tools')).toBe(2)
  expect((await views.made(named(restricted)))?.count('tools')).toBe(1)
  expect(isDone).toBe(false)
  const before = views.view(named(restricted))
  expect((await views.made(WHOLE))?.tool(`a__t${MANY}`)).toBeDefined()
  await replaced
  expect(views.ready(named(restricted))).toBeUndefined()
  expect(views.view(named(restricted))).toBe(before)
  views.close()
})

it('what is replaced while a view is being made is in that view', async () => {
  const { views, set, of } = await make({ c: { deny: ['a/t1*'] } })
  set('a', manyNames(0))
  const name = of(clientPrincipal('c'))
  await views.ready(WHOLE)
  const made = [name, 'a', views.named('a', 'l')].map(each => views.ready(each))
  await new Promise(resolve => setImmediate(resolve))
  set('a', ['x'])
  await views.rebuild()
  expect(views.view(WHOLE)?.count('tools')).toBe(1)
  await Promise.all(made)
  for (const each of [name, 'a', views.named('a', 'l')]) expect(views.view(each)?.count('tools')).toBe(1)
  views.close()
})

it('a replacement that fails is tried again until it succeeds, but not under another configuration', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
  onTestFinished(() => void vi.useRealTimers())
  const { views, set, snapshots } = await make({})
  set('a', ['x'])
  views.view(WHOLE)
  set('a', ['y'])
  const get = vi.spyOn(snapshots, 'get').mockImplementationOnce(() => {
    throw new Error('a defect')
  })
  await expect(views.rebuild()).rejects.toThrow('a defect')
  expect(views.view(WHOLE)?.tool('a__x')).toBeDefined()
  await vi.advanceTimersByTimeAsync(1000)
  await views.upToDate
  expect(views.view(WHOLE)?.tool('a__y')).toBeDefined()
  expect(vi.getTimerCount()).toBe(0)

  set('a', ['z'])
  get.mockImplementationOnce(() => {
    throw new Error('a defect')
  })
  await expect(views.rebuild()).rejects.toThrow('a defect')
  expect(vi.getTimerCount()).toBe(1)
  views.supersede()
  expect(vi.getTimerCount()).toBe(0)
  views.close()
})
