import { expect, test, vi } from 'vitest'
import { SILENT } from '../../../src/core/logger.ts'
import { ANONYMOUS } from '../../../src/core/principal.ts'
import { Subscriptions } from '../../../src/relay/subscriptions.ts'
import { TopicTable } from '../../../src/relay/topics.ts'
import { isPartOf } from '../../../src/relay/path-index.ts'
import type { Subscriber } from '../../../src/core/subscriber.ts'
import type { Link } from '../../../src/upstream/link/link.ts'
import type { Pool } from '../../../src/upstream/pool/pool.ts'
import type { LinkSlot } from '../../../src/upstream/pool/link-slot.ts'
import { exchangeOf } from '../../helpers/fake-transport.ts'

const SERVER = { name: 's', listTimeoutMs: 1000 }

/** A legacy server whose one link takes every subscription, or a modern one. */
function sceneOf(
  maxPerSubscriber = 1e6,
  modern: object = {},
): {
  subscriptions: Subscriptions
  asked: string[]
  subscribe: (uri: string, subscriber: Subscriber) => Promise<unknown>
  update: (uri: string, more?: object) => void
} {
  const asked: string[] = []
  const link = {
    server: SERVER,
    peer: { era: 'legacy', capabilities: {} },
    usable: true,
    logger: SILENT,
    transport: { traits: { ordered: true } },
    request: (method: string, params: string) => {
      asked.push(`${method} ${params}`)
      return Promise.resolve({ text: '{}', value: {} })
    },
    ...modern,
  } as unknown as Link
  const slot = {
    server: SERVER,
    current: link,
    pin: () => undefined,
    unpin: () => undefined,
    holds: (other: Link) => other === link,
    pick: () => link,
  } as unknown as LinkSlot
  const pool = { membership: { pending: undefined }, standing: () => slot } as unknown as Pool
  const subscriptions = new Subscriptions({
    pool: () => pool,
    logger: SILENT,
    maxPerSubscriber,
    receivesUpdates: () => true,
    onMissed: () => undefined,
  })
  subscriptions.opened(slot, link)
  return {
    subscriptions,
    asked,
    subscribe: (uri, subscriber) =>
      subscriptions.subscribe(
        exchangeOf('resources/subscribe', { uri }, { principal: ANONYMOUS }),
        { server: 's', own: uri, exposed: uri },
        subscriber,
      ),
    update: (uri, more) =>
      subscriptions.updated(link, { text: JSON.stringify({ uri, ...more }), value: { uri, ...more } }),
  }
}

const ANYONE = { principal: ANONYMOUS, view: '' }
const turn = (): Promise<void> => new Promise(resolve => setImmediate(resolve))

test('updates of one flooded resource reach all subscribers with pauses, and each gets the last one', async () => {
  const { subscribe, update } = sceneOf()
  let notified = 0
  const told = new Map<Subscriber, number>()
  const subscribers = Array.from({ length: 500 }, () => {
    const subscriber: Subscriber = {
      ...ANYONE,
      notify: () => {
        notified++
        told.set(subscriber, (told.get(subscriber) ?? 0) + 1)
        // A slow outlet: so many of them fill a slice.
        const until = performance.now() + 0.1
        while (performance.now() < until);
      },
    }
    return subscriber
  })
  for (const subscriber of subscribers) await subscribe('u://x', subscriber)
  for (let count = 0; count < 1000; count++) update('u://x')
  expect(notified, 'told before everything else had its turn').toBeLessThan(subscribers.length)
  const isUnderWay = notified > 0
  let most = 0
  for (let before = notified, still = 0; still < 20; before = notified) {
    await turn()
    most = Math.max(most, notified - before)
    still = notified === before ? still + 1 : 0
  }
  expect(most, 'told in one turn').toBeLessThan(subscribers.length)
  expect(told.size).toBe(subscribers.length)
  // The one that was under way, and the last one for all that came meanwhile. After a standstill none is under way yet.
  const times = isUnderWay ? 2 : 1
  expect(new Set(told.values())).toEqual(new Set([times]))
})

test('a server that tells of ever other parts of a resource keeps no more than a bounded number waiting', async () => {
  const { subscribe, update } = sceneOf()
  const uris: string[] = []
  await subscribe('u://x', {
    ...ANYONE,
    notify: (_, params) => {
      uris.push((JSON.parse(params ?? '') as { uri: string }).uri)
      const until = performance.now() + 0.05
      while (performance.now() < until);
    },
  })
  for (let at = 0; at < 5000; at++) update(`u://x/${at}`)
  for (let before = -1; before !== uris.length;) {
    before = uris.length
    for (let count = 0; count < 20; count++) await turn()
  }
  expect(uris.length).toBeLessThan(2500)
  expect(uris[0]).toBe('u://x/0')
  expect(uris, 'the whole stands for the parts that were too many').toContain('u://x')
})

test('updates of one resource that say different things are all told, also while they wait', async () => {
  const { subscribe, update } = sceneOf()
  const told: unknown[] = []
  await subscribe('u://x', {
    ...ANYONE,
    notify: (_, params) => {
      told.push((JSON.parse(params ?? '') as { _meta: { n: number } })._meta.n)
      // The first one fills a slice: the others wait.
      const until = performance.now() + 30
      while (performance.now() < until);
    },
  })
  for (const n of [1, 2, 2, 3]) update('u://x', { _meta: { n } })
  expect(told).toEqual([1])
  await vi.waitFor(() => expect(told).toEqual([1, 2, 3]))
})

test('few updates are sent at once, in the order in which they came', async () => {
  const { subscribe, update } = sceneOf()
  const uris: unknown[] = []
  const subscriber: Subscriber = {
    ...ANYONE,
    notify: (_, params) => void uris.push(JSON.parse(params ?? '')),
  }
  await subscribe('u://a', subscriber)
  await subscribe('u://b/', subscriber)
  update('u://b/c')
  update('u://a')
  update('u://ab')
  update('u://b')
  expect(uris).toEqual([{ uri: 'u://b/c' }, { uri: 'u://a' }])
})

test('a session that subscribes to more resources than it may gets the limit, also when it asks for all at once', async () => {
  const { subscriptions, subscribe } = sceneOf(3)
  const one: Subscriber = { ...ANYONE, notify: () => undefined }
  const outcomes = await Promise.allSettled(
    ['a', 'b', 'c', 'd', 'e'].map(uri => subscribe(`u://${uri}`, one)),
  )
  expect(outcomes.map(({ status }) => status)).toEqual([
    'fulfilled',
    'fulfilled',
    'fulfilled',
    'rejected',
    'rejected',
  ])
  await expect(subscribe('u://d', one)).rejects.toThrow('"gateway.listen.maxResources"')
  // Again is no more.
  await subscribe('u://a', one)
  await subscribe('u://d', { ...ANYONE, notify: () => undefined })
  expect(subscriptions.size).toBe(4)
  subscriptions.leave(one)
  expect(subscriptions.size).toBe(1)
  await subscribe('u://e', one)
})

test('a session before a server that acknowledges late is subscribed to as many resources as it may be, each asked for and repeated on its own', async () => {
  const { subscriptions, subscribe } = sceneOf(100, {
    peer: { era: 'modern', capabilities: {} },
    stand: (_method: string, _params: string, { acknowledged }: { acknowledged: () => void }) => {
      const timer = setTimeout(acknowledged, 50)
      return () => clearTimeout(timer)
    },
  })
  const one: Subscriber = { ...ANYONE, notify: () => undefined }
  const asked: Promise<unknown>[] = []
  for (let at = 0; at < 100; at++) {
    asked.push(subscribe(`u://${at}`, one))
    if (at % 2 === 0) asked.push(subscribe(`u://${at}`, one))
    await turn()
  }
  await Promise.all(asked)
  expect(subscriptions.size).toBe(100)
  await expect(subscribe('u://more', one)).rejects.toThrow('"gateway.listen.maxResources"')
  subscriptions.leave(one)
  await subscribe('u://more', one)
  // What is known already takes no room while it is asked for again.
  const again = Array.from({ length: 60 }, () => subscribe('u://more', one))
  await Promise.all([...again, ...Array.from({ length: 99 }, (_, at) => subscribe(`u://${at}`, one))])
  expect(subscriptions.size).toBe(100)
  subscriptions.leave(one)
})

test('a subscriber that moves to another slot while an update waits for it gets it', async () => {
  const heard = { one: [] as string[], two: [] as string[] }
  const slotOf = (): LinkSlot => {
    const link = {
      server: SERVER,
      peer: { era: 'legacy', capabilities: {} },
      usable: true,
      logger: SILENT,
      request: () => Promise.resolve({ text: '{}', value: {} }),
    }
    const slot = { server: SERVER, current: link, pin: () => undefined, unpin: () => undefined }
    return { ...slot, holds: (other: unknown) => other === link, pick: () => link } as unknown as LinkSlot
  }
  const [left, right] = [slotOf(), slotOf()]
  let moved = false
  const standing = ({ principal }: { principal: { id: string } }): LinkSlot =>
    principal.id === 'one' && !moved ? left : right
  const subscriptions = new Subscriptions({
    pool: () => ({ membership: { pending: undefined }, standing }) as unknown as Pool,
    logger: SILENT,
    maxPerSubscriber: 1000,
    receivesUpdates: () => true,
    onMissed: () => undefined,
  })
  for (const slot of [left, right]) subscriptions.opened(slot, slot.current as Link)
  const subscribe = async (name: 'one' | 'two', uri: string, subscriber: Subscriber): Promise<unknown> =>
    await subscriptions.subscribe(
      exchangeOf('resources/subscribe', { uri }, { principal: { ...ANONYMOUS, id: name } }),
      { server: 's', own: uri, exposed: uri },
      subscriber,
    )
  const subscriberOf = (name: 'one' | 'two'): Subscriber => ({
    ...ANYONE,
    notify: (_, params) => {
      heard[name].push((JSON.parse(params ?? '') as { uri: string }).uri)
      const until = performance.now() + 1
      while (performance.now() < until);
    },
  })
  const [one, two] = [subscriberOf('one'), subscriberOf('two')]
  await subscribe('one', 'u://x', one)
  await subscribe('two', 'u://x', two)
  await subscribe('two', 'u://busy', two)
  const update = (slot: LinkSlot, uri: string): void =>
    subscriptions.updated(slot.current as Link, { text: JSON.stringify({ uri }), value: { uri } })
  for (let at = 0; at < 30; at++) update(right, `u://busy/${at}`)
  update(left, 'u://x')
  moved = true
  subscriptions.regroup('s')
  for (let count = 0; count < 200; count++) await turn()
  expect(heard.one).toEqual(['u://x'])
  // Nothing that it asked for has moved.
  expect(heard.two).not.toContain('u://x')
})

test('what is wanted of a slot is found in one pass over the URI, however many are wanted and however their lengths differ', () => {
  const slot = { server: SERVER, pin: () => undefined, unpin: () => undefined } as unknown as LinkSlot
  const table = new TopicTable<number>()
  const subscriber: Subscriber = { ...ANYONE, notify: () => undefined }
  const covering = (uri: string): string[] => {
    const found: string[] = []
    for (const wanted of table.near(slot, uri)) if (isPartOf(wanted.own, uri)) found.push(wanted.own)
    return found.sort()
  }
  for (let at = 0; at < 20_000; at++) table.add(slot, `u://${at}/x`, subscriber, at)
  for (const own of ['u://777', 'u://777/', 'u://77', 'u:/', 'u://777/x/y/z'])
    table.add(slot, own, subscriber, 0)
  expect(covering('u://777/x/y')).toEqual(['u:/', 'u://777', 'u://777/', 'u://777/x'])
  expect(covering('u://777/x')).toEqual(['u:/', 'u://777', 'u://777/', 'u://777/x'])
  expect(covering('u://777x')).toEqual(['u:/'])
  for (const wanted of table.by(subscriber)) table.remove(wanted, subscriber)
  expect(table.size).toBe(0)
  expect(covering('u://777/x')).toEqual([])
  // Prefixes of so many lengths, none of which is a part of the path: to look each of them up takes a hash of 8 KB each time.
  for (let length = 100; length < 8100; length++)
    table.add(slot, `${'/'.repeat(length)}x`, subscriber, length)
  for (let at = 0; at < 20_000; at++) table.add(slot, `u://${at}/x`, subscriber, at)
  const walks = vi.spyOn(Map.prototype, Symbol.iterator)
  const values = vi.spyOn(Map.prototype, 'values')
  const lookUps = vi.spyOn(Map.prototype, 'get')
  const compared = vi.spyOn(String.prototype, 'startsWith')
  const cut = vi.spyOn(String.prototype, 'slice')
  const spies = [walks, values, lookUps, compared, cut]
  const countOf = (uri: string): number[] => {
    for (const spy of spies) spy.mockClear()
    table.near(slot, uri)
    return spies.map(({ mock }) => mock.calls.length)
  }
  const [short, long] = [countOf('u://777/x/y'), countOf('/'.repeat(8191))]
  vi.restoreAllMocks()
  expect(short.every(count => count <= 20)).toBe(true)
  // One look-up for each slash, and nothing else.
  expect(long).toEqual([0, 0, expect.closeTo(8192, -1), 0, 0])
})
