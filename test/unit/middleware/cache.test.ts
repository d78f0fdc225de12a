import { expect, it, onTestFinished } from 'vitest'
import { LINGER_MS } from '../../../src/cache/invalidation.ts'
import type { TierEntry } from '../../../src/cache/tier.ts'
import { askClient } from '../../../src/core/ask-client.ts'
import { GatewayError } from '../../../src/core/errors.ts'
import type { JsonObject, Outcome } from '../../../src/core/exchange.ts'
import { clientPrincipal } from '../../../src/core/principal.ts'
import { exchangeOf, serverConfig } from '../../helpers/fake-transport.ts'
import {
  markOf,
  result,
  rule,
  S,
  snapshotOf,
  tool,
  valueOf,
  world,
  type Reached,
  type World,
} from '../cache/world.ts'

const ANN = clientPrincipal('ann')
const BOB = clientPrincipal('bob')
const TOOLS = ['get', 'set', 'look'].map(name => `{"name":"${name}"}`)

function start(
  servers: Parameters<typeof world>[0],
  snapshots = [snapshotOf('s', TOOLS)],
  options: Parameters<typeof world>[2] = {},
): World {
  const made = world(servers, snapshots, options)
  onTestFinished(() => made.deadlines.close())
  return made
}

let numbers = 0

/** Calls, and lets the server answer with another number each time; what the client gets. */
async function call(
  made: World,
  own = 'get',
  {
    principal = ANN,
    args = {},
    answer,
  }: { principal?: typeof ANN; args?: object; answer?: Outcome | Error } = {},
): Promise<JsonObject> {
  const before = made.reached.length
  const exchange = exchangeOf('tools/call', { name: own, arguments: args }, { principal })
  const answering = made.call(exchange, { server: 's', own, exposed: own })
  await made.settle()
  for (const reached of made.reached.slice(before)) {
    if (answer instanceof Error) reached.reject(answer)
    else reached.resolve(answer ?? result({ content: [], n: ++numbers }))
  }
  return valueOf(await answering)
}

const isHit = (value: JsonObject): boolean => markOf(value) !== undefined
const LATE = new GatewayError('upstream_timeout', 'late', { delivery: 'unknown' })

it('gives a result again until its time is over', async () => {
  const made = start([S([tool('get', { cache: rule() })])])
  const first = await call(made)
  made.now += 999
  const again = await call(made)
  expect(again.n).toBe(first.n)
  expect(markOf(again)).toEqual({ hit: true, ageMs: 999, tier: 'memory', stale: false })
  made.now += 1
  expect(isHit(await call(made))).toBe(false)
})

it('gives no result for other roots of the server', async () => {
  const server = S([tool('get', { cache: rule() })])
  const made = start([{ ...server, roots: [{ uri: 'file:///one' }] }])
  await call(made)
  expect(isHit(await call(made))).toBe(true)
  const bounds = { maxBytes: 1_000_000, maxBytesPerClient: 1_000_000 }
  made.cache.reconfigure([{ ...server, roots: [{ uri: 'file:///two' }] }], bounds, undefined)
  expect(isHit(await call(made))).toBe(false)
  made.cache.reconfigure([{ ...server, roots: [{ uri: 'file:///one' }] }], bounds, undefined)
  expect(isHit(await call(made))).toBe(true)
})

it('keeps the counters of tools that only some clients see', async () => {
  const made = start([S([tool('*', { cache: rule() })])], undefined, {
    shown: () => [snapshotOf('s', TOOLS), snapshotOf('s', ['{"name":"other"}'])],
  })
  await call(made, 'other')
  made.snapshots.set('s', snapshotOf('s', TOOLS))
  await call(made, 'get')
  expect(made.cache.stats.list().map(({ tool: of }) => of)).toEqual(['other', 'get'])
})

it('forgets the counters of tools that the server no longer lists, and of removed servers', async () => {
  const cached = S([tool('*', { cache: rule() })])
  const made = start([cached])
  for (const own of ['get', 'look']) await call(made, own)
  made.snapshots.set('s', snapshotOf('s', ['{"name":"look"}', '{"name":"watch"}']))
  await call(made, 'watch')
  expect(made.cache.stats.list().map(({ tool: of, misses }) => [of, misses])).toEqual([
    ['look', 1],
    ['watch', 1],
  ])
  made.cache.reconfigure([], { maxBytes: 1000, maxBytesPerClient: 1000 }, undefined)
  expect(made.cache.stats.list()).toEqual([])
})

it('stores nothing of tools without a rule, and does not touch their calls', async () => {
  const made = start([S([])])
  await call(made)
  expect(isHit(await call(made))).toBe(false)
  const exchange = exchangeOf('tools/call', { name: 'get' }, { principal: ANN })
  void made.call(exchange, { server: 's', own: 'get', exposed: 'get' })
  expect(made.reached.at(-1)?.exchange).toBe(exchange)
  expect(made.cache.stats.list()).toEqual([])
})

it('renews a result once while it is still given out', async () => {
  const made = start([S([tool('get', { cache: rule({ staleWhileRevalidateMs: 500 }) })])])
  const first = await call(made)
  made.now += 1200
  const exchange = exchangeOf(
    'tools/call',
    { name: 'get', arguments: {} },
    { principal: ANN, modern: true, progressToken: '1' },
  )
  const route = { server: 's', own: 'get', exposed: 'get' }
  const reached = made.reached.length
  for (let at = 0; at < 10; at++) {
    const value = valueOf(await made.call(exchange, route))
    expect([value.n, markOf(value)?.stale]).toEqual([first.n, true])
  }
  expect(made.reached).toHaveLength(reached + 1)
  const renewal = made.reached.at(-1)
  // It is in the name of the client, and nothing of it reaches the client.
  expect(renewal?.exchange).toMatchObject({
    principal: ANN,
    modern: false,
    request: { progressToken: undefined },
  })
  renewal?.exchange.notify('notifications/message', '{}')
  expect(exchange.heard).toEqual([])
  await expect(
    askClient((renewal as Reached).exchange, {
      method: 'roots/list',
      params: undefined,
      server: 's',
      cancellation: exchange.cancellation,
    }),
  ).rejects.toMatchObject({ code: 'cannot_ask' })
  exchange.cancellation.cancel('gone')
  expect(renewal?.exchange.cancellation.reason).toBeUndefined()
  // What asked is not kept, though; the next renewal is.
  renewal?.resolve(result({ content: [], n: 'asked' }))
  await made.settle()
  made.now += 100
  expect((await call(made)).n).toBe(first.n)
  expect(made.reached).toHaveLength(reached + 1)
})

it('keeps what a renewal brings, and waits before it tries one again that failed', async () => {
  const made = start([S([tool('get', { cache: rule({ staleWhileRevalidateMs: 5000 }) })])])
  const first = await call(made)
  made.now += 1200
  expect((await call(made, 'get', { answer: LATE })).n).toBe(first.n)
  await made.settle()
  const reached = made.reached.length
  made.now += 999
  await call(made)
  expect(made.reached).toHaveLength(reached)
  made.now += 1
  await call(made)
  expect(made.reached).toHaveLength(reached + 1)
  await made.settle()
  const fresh = await call(made)
  expect(fresh.n).not.toBe(first.n)
  expect(markOf(fresh)).toMatchObject({ stale: false, ageMs: 0 })
})

it('has a last resort when the server fails, but not for its answers and not for ever', async () => {
  const made = start([S([tool('get', { cache: rule({ staleIfErrorMs: 2000 }) })])])
  const first = await call(made)
  made.now += 2500
  const value = await call(made, 'get', { answer: LATE })
  expect([value.n, markOf(value)]).toEqual([first.n, { hit: true, ageMs: 2500, tier: 'memory', stale: true }])
  const broken = await call(made, 'get', { answer: result({ content: [], isError: true }) })
  expect(broken).toEqual({ content: [], isError: true })
  await expect(call(made, 'get', { answer: new GatewayError('quota_exhausted', 'no') })).rejects.toThrow('no')
  made.now += 500
  await expect(call(made, 'get', { answer: LATE })).rejects.toThrow('late')
})

it('has no last resort that was forgotten while the server failed', async () => {
  const made = start([S([tool('get', { cache: rule({ staleIfErrorMs: 2000 }) })])])
  await call(made)
  made.now += 1500
  const exchange = exchangeOf('tools/call', { name: 'get', arguments: {} }, { principal: ANN })
  const answer = made.call(exchange, { server: 's', own: 'get', exposed: 'get' })
  await made.settle()
  made.cache.invalidate('s', 'server')
  made.reached.at(-1)?.reject(LATE)
  await expect(answer).rejects.toThrow('late')
})

it('forgets what a server said when a call may change it, by tags where these are named', async () => {
  const made = start(
    [
      S([
        tool('get', { cache: rule() }),
        tool('a', { cache: rule({ tags: ['a'] }) }),
        tool('set_a', { invalidates: ['a'] }),
        tool('note', { invalidates: 'none' }),
        tool('look', { readOnly: true }),
        tool('always', { readOnly: false, cache: rule() }),
      ]),
    ],
    [
      snapshotOf(
        's',
        ['get', 'a', 'set', 'set_a', 'note', 'look', 'always'].map(name => `{"name":"${name}"}`),
      ),
    ],
  )
  const kept = async (): Promise<boolean[]> => {
    const hits = [isHit(await call(made, 'get')), isHit(await call(made, 'a'))]
    return hits
  }
  await kept()
  for (const harmless of ['note', 'look']) await call(made, harmless)
  expect(await kept()).toEqual([true, true])
  await call(made, 'set_a')
  expect(await kept()).toEqual([true, false])
  await call(made, 'set')
  expect(await kept()).toEqual([false, false])
  expect(await kept()).toEqual([true, true])
  await call(made, 'always')
  expect(await kept()).toEqual([false, false])
  expect(isHit(await call(made, 'always'))).toBe(false)
})

it('stores nothing while a call changes something, nor for a while when its outcome is unknown', async () => {
  const made = start([S([tool('get', { cache: rule() })])])
  const writing = made.call(exchangeOf('tools/call', { name: 'set' }), {
    server: 's',
    own: 'set',
    exposed: 'set',
  })
  await call(made)
  expect(isHit(await call(made))).toBe(false)
  made.reached[0]?.reject(LATE)
  await expect(writing).rejects.toThrow('late')
  await call(made)
  expect(isHit(await call(made))).toBe(false)
  made.now += LINGER_MS
  await call(made)
  expect(isHit(await call(made))).toBe(true)
})

it('trusts hints only where the configuration says so', async () => {
  const tools = [
    '{"name":"get","annotations":{"readOnlyHint":true,"idempotentHint":true}}',
    '{"name":"look","annotations":{"readOnlyHint":true}}',
    '{"name":"set"}',
  ]
  for (const cache of ['hints', undefined] as const) {
    const made = start([S([], { cache, hintsRule: rule() })], [snapshotOf('s', tools)])
    for (const own of ['get', 'look', 'get']) await call(made, own)
    expect(isHit(await call(made, 'get'))).toBe(cache === 'hints')
    expect(isHit(await call(made, 'look'))).toBe(false)
    await call(made, 'set')
    expect(isHit(await call(made, 'get'))).toBe(false)
  }
})

it('does not know a tool again whose definition has changed', async () => {
  const made = start([S([tool('get', { cache: rule() })])])
  await call(made)
  made.snapshots.set('s', snapshotOf('s', ['{"name":"get","description":"new"}']))
  expect(isHit(await call(made))).toBe(false)
  made.snapshots.set('s', snapshotOf('s', TOOLS))
  expect(isHit(await call(made))).toBe(true)
})

it('forgets a tool or a server on request, and what is on its way', async () => {
  const made = start([S([tool('*', { cache: rule() })])])
  const both = async (): Promise<boolean[]> => [
    isHit(await call(made, 'get')),
    isHit(await call(made, 'look')),
  ]
  await both()
  made.cache.clear('s', 'get')
  expect(made.cache.size).toBe(1)
  expect(await both()).toEqual([false, true])
  const answer = made.call(
    exchangeOf('tools/call', { name: 'get', arguments: { x: 1 } }, { principal: ANN }),
    { server: 's', own: 'get', exposed: 'get' },
  )
  await made.settle()
  made.cache.clear()
  expect(made.cache.size).toBe(0)
  made.reached.at(-1)?.resolve(result({ content: [] }))
  await answer
  expect(isHit(await call(made, 'get', { args: { x: 1 } }))).toBe(false)
})

it('keeps no result that is too large, and none that says it is no whole answer', async () => {
  const made = start([S([tool('get', { cache: rule({ maxBytes: 100 }) })])])
  for (const answer of [
    result({ content: [], pad: 'é'.repeat(50) }),
    result({ content: [], task: { taskId: '1' } }),
    result({ resultType: 'input_required' }, true),
    { kind: 'result', text: '7', value: 7, modern: false } as const,
  ])
    await call(made, 'get', { answer })
  expect(made.cache.size).toBe(0)
})

it('remembers for each client whose resources a kept result names', async () => {
  const learned: string[] = []
  const made = start([S([tool('get', { cache: rule({ scope: 'shared' }) })])], undefined, {
    onLinks: (principal, server, value) => learned.push(`${principal} ${server} ${JSON.stringify(value)}`),
  })
  const link = { type: 'resource_link', uri: 'a://b', name: 'b' }
  await call(made, 'get', { answer: result({ content: [{ type: 'text', text: 'x' }, link] }) })
  await call(made, 'get', { principal: BOB })
  expect(learned).toEqual([`${BOB.id} s {"content":[{"type":"resource_link","uri":"a://b"}]}`])
})

// Resources

const read = async (
  made: World,
  uri: string,
  principal = ANN,
  more: JsonObject = { ttlMs: 1000 },
  modern = true,
): Promise<JsonObject> => {
  const exchange = exchangeOf('resources/read', { uri }, { principal, modern: true })
  const answering = made.call(exchange, { server: 'm', own: uri, exposed: uri })
  const before = made.reached.length
  await made.settle()
  for (const reached of made.reached.slice(Math.max(0, before - 1)))
    reached.resolve(
      result({ resultType: 'complete', contents: [{ uri, text: `${++numbers}` }], ...more }, modern),
    )
  return valueOf(await answering)
}

it('stores results of a modern server by their own scope and time to live', async () => {
  const made = start([serverConfig({ name: 'm' })], [snapshotOf('m', [], 'modern')])
  await read(made, 'a://private')
  made.now += 400
  expect(await read(made, 'a://private')).toMatchObject({ ttlMs: 600 })
  expect(isHit(await read(made, 'a://private', BOB))).toBe(false)
  await read(made, 'a://public', ANN, { ttlMs: 1000, cacheScope: 'public' })
  expect(isHit(await read(made, 'a://public', BOB))).toBe(true)
  for (const more of [{}, { ttlMs: 0 }, { ttlMs: -1 }, { ttlMs: '5' }]) {
    await read(made, 'a://none', ANN, more)
    expect(isHit(await read(made, 'a://none', ANN, more))).toBe(false)
  }
  made.now += 600
  expect(isHit(await read(made, 'a://private'))).toBe(false)
})

it('forgets a resource that has changed, and those a call may have changed', async () => {
  const made = start([serverConfig({ name: 'm' })], [snapshotOf('m', ['{"name":"set"}'], 'modern')])
  await read(made, 'a://1')
  await read(made, 'a://2')
  made.cache.resourceChanged('m', 'a://1')
  expect(isHit(await read(made, 'a://1'))).toBe(false)
  expect(isHit(await read(made, 'a://2'))).toBe(true)
  const writing = made.call(exchangeOf('tools/call', { name: 'set' }), {
    server: 'm',
    own: 'set',
    exposed: 'set',
  })
  made.reached.at(-1)?.resolve(result({ content: [] }))
  await writing
  expect(isHit(await read(made, 'a://2'))).toBe(false)
})

// What is behind the memory

function tiered(get: (key: string) => Promise<TierEntry | undefined>): { made: World; written: TierEntry[] } {
  const written: TierEntry[] = []
  const made = start([S([tool('get', { cache: rule() })])], undefined, {
    tier: { get: (_, key) => get(key), set: (_, __, entry) => void written.push(entry) },
  })
  return { made, written }
}

const entry = (changes: Partial<TierEntry> = {}): TierEntry => ({
  text: '{"content":[],"n":"behind"}',
  modern: false,
  storedAt: 1_000_000,
  upstreamMs: 3,
  tags: ['tool:get'],
  ...changes,
})

it.each<[string, Parameters<typeof rule>[0], Parameters<typeof rule>[0]]>([
  ['what is ignored of the arguments', { ignoreArgs: ['x'] }, {}],
  ['the tags', {}, { tags: ['t'] }],
])('does not take from behind the memory what was kept when %s were others', async (_, before, after) => {
  const kept = new Map<string, TierEntry>()
  const of = (changes: Parameters<typeof rule>[0]): World =>
    start([S([tool('get', { cache: rule(changes) }), tool('set', { invalidates: ['t'] })])], undefined, {
      tier: {
        get: async (_server, key) => kept.get(key),
        set: (_server, key, one) => void kept.set(key, one),
      },
    })
  const first = await call(of(before), 'get', { args: { x: 1 } })
  // As it was, it is found again.
  expect(await call(of(before), 'get', { args: { x: 1 } })).toMatchObject({ n: first.n })
  // No call that changes something would make it outdated; and it may have been asked for with an argument that counts now.
  const args = before?.ignoreArgs ? {} : { x: 1 }
  expect(isHit(await call(of(after), 'get', { args }))).toBe(false)
})

it('asks the tier behind the memory once for all, and then answers from memory', async () => {
  let asked = 0
  const { made, written } = tiered(async () => (asked++, entry()))
  const all = await Promise.all(Array.from({ length: 10 }, () => call(made)))
  expect(all.map(value => markOf(value)?.tier)).toEqual(Array.from({ length: 10 }, () => 'store'))
  expect(markOf(await call(made))?.tier).toBe('memory')
  expect([asked, made.reached.length, written.length]).toEqual([1, 0, 0])
})

it.each<[string, () => Promise<TierEntry | undefined>]>([
  ['knows nothing', async () => undefined],
  ['fails', () => Promise.reject(new Error('away'))],
  ['has something else', async () => entry({ text: '[]' })],
  ['has something damaged', async () => entry({ text: '{' })],
  ['has something old', async () => entry({ storedAt: 999_000 })],
  ['has something from a clock that is ahead', async () => entry({ storedAt: 1_002_000 })],
])('asks the server when what is behind the memory %s', async (_, get) => {
  const { made, written } = tiered(get)
  expect(isHit(await call(made))).toBe(false)
  expect(written).toMatchObject([{ storedAt: 1_000_000, tags: ['tool:get'], modern: false }])
})

it('does not wait long for what is behind the memory, and takes it when it comes', async () => {
  let answer: (entry: TierEntry) => void = () => undefined
  const { made } = tiered(() => new Promise(resolve => (answer = resolve)))
  const exchange = exchangeOf('tools/call', { name: 'get', arguments: {} }, { principal: ANN })
  const answering = made.call(exchange, { server: 's', own: 'get', exposed: 'get' })
  while (made.reached.length === 0) await made.settle()
  answer(entry())
  await made.settle()
  expect(markOf(await call(made))?.tier).toBe('memory')
  made.reached[0]?.resolve(result({ content: [] }))
  expect(isHit(valueOf(await answering))).toBe(false)
})

it('takes nothing from behind the memory that was forgotten here', async () => {
  const { made } = tiered(async () => entry())
  made.cache.invalidate('s', 'server')
  expect(isHit(await call(made))).toBe(false)
})
