import { describe, expect, it, test } from 'vitest'
import { FairQueue } from '../../../../src/middleware/queue/fair-queue.ts'
import { type ServerQueue, type QueueRefusal, WaitingCall } from '../../../../src/middleware/queue/flow.ts'

class Entry extends WaitingCall {
  readonly client: string
  readonly at: ServerQueue
  outcome: 'granted' | QueueRefusal | undefined
  onGranted: () => void = () => undefined

  constructor(client: string, at: ServerQueue) {
    super()
    this.client = client
    this.at = at
  }

  granted(): void {
    if (this.outcome !== undefined) throw new Error(`granted after ${this.outcome}`)
    this.outcome = 'granted'
    this.onGranted()
  }

  refused(reason: QueueRefusal): void {
    if (this.outcome !== undefined) throw new Error(`refused after ${this.outcome}`)
    this.outcome = reason
  }
}

const FOREVER = Number.MAX_SAFE_INTEGER

/** Lets a client wait; returns its entry, with a refusal noted. */
function wait(
  queue: FairQueue,
  serverQueue: ServerQueue,
  client: string,
  weight = 1,
  withinMs = FOREVER,
): Entry {
  const entry = new Entry(client, serverQueue)
  const refusal = queue.wait(serverQueue, client, weight, entry, withinMs)
  if (refusal !== undefined) entry.outcome = refusal
  return entry
}

function single(permits: number, bound = 1000): { queue: FairQueue; serverQueue: ServerQueue } {
  const queue = new FairQueue({ permits: 1000, bound: 10_000 })
  return { queue, serverQueue: queue.serverQueue('s', { permits, bound }) }
}

/** Gives `turns` permits back, one after the other, and names the clients that got them. */
function turns(queue: FairQueue, serverQueue: ServerQueue, entries: readonly Entry[], count: number): string {
  let order = ''
  for (const entry of entries) entry.onGranted = () => (order += entry.client)
  for (let turn = 0; turn < count; turn++) queue.leave(serverQueue, 10)
  return order
}

describe('permits', () => {
  it('are taken while there are some, and go to a waiting call when they are returned', () => {
    const { queue, serverQueue } = single(2)
    expect([queue.enter(serverQueue), queue.enter(serverQueue), queue.enter(serverQueue)]).toEqual([
      true,
      true,
      false,
    ])
    const first = wait(queue, serverQueue, 'a')
    const second = wait(queue, serverQueue, 'a')
    expect(queue.waiting).toBe(2)
    queue.leave(serverQueue, 1)
    expect([first.outcome, second.outcome]).toEqual(['granted', undefined])
    expect([serverQueue.taken, serverQueue.waiting, queue.taken]).toEqual([2, 1, 2])
    queue.leave(serverQueue, 1)
    queue.leave(serverQueue, 1)
    queue.leave(serverQueue, 1)
    expect([serverQueue.taken, serverQueue.waiting, queue.taken, queue.waiting]).toEqual([0, 0, 0, 0])
  })

  it('of a free server are had while a full one has others waiting', () => {
    const queue = new FairQueue({ permits: 10, bound: 100 })
    const full = queue.serverQueue('full', { permits: 1, bound: 10 })
    const free = queue.serverQueue('free', { permits: 5, bound: 10 })
    queue.enter(full)
    const waiting = [wait(queue, full, 'a'), wait(queue, full, 'a')]
    expect(queue.enter(free)).toBe(true)
    // Calls that wait for their server hold no permit of the gateway.
    expect(queue.taken).toBe(2)
    queue.leave(free, 1)
    expect(waiting.map(({ outcome }) => outcome)).toEqual([undefined, undefined])
    queue.leave(full, 1)
    expect(waiting.map(({ outcome }) => outcome)).toEqual(['granted', undefined])
  })

  it('of the gateway go to a server that has room, whichever gave one back', () => {
    const queue = new FairQueue({ permits: 2, bound: 100 })
    const one = queue.serverQueue('one', { permits: 2, bound: 10 })
    const other = queue.serverQueue('other', { permits: 1, bound: 10 })
    queue.enter(one)
    queue.enter(other)
    const atFull = wait(queue, other, 'a')
    const atFree = wait(queue, one, 'b')
    queue.leave(one, 1)
    // "other" is full, though its client came first.
    expect([atFull.outcome, atFree.outcome]).toEqual([undefined, 'granted'])
    queue.leave(other, 1)
    expect(atFull.outcome).toBe('granted')
  })

  it('that calls gave up for a while come back to these calls first, in order', () => {
    const { queue, serverQueue } = single(1)
    queue.enter(serverQueue)
    queue.leaveForNow(serverQueue, 1)
    queue.enter(serverQueue)
    queue.leaveForNow(serverQueue, 1)
    queue.enter(serverQueue)
    const waiting = wait(queue, serverQueue, 'a')
    const [first, second] = [new Entry('x', serverQueue), new Entry('y', serverQueue)]
    expect([queue.enterAgain(serverQueue, first), queue.enterAgain(serverQueue, second)]).toEqual([
      false,
      false,
    ])
    queue.leave(serverQueue, 1)
    queue.leave(serverQueue, 1)
    expect([first.outcome, second.outcome, waiting.outcome]).toEqual(['granted', 'granted', undefined])
    queue.leave(serverQueue, 1)
    expect(waiting.outcome).toBe('granted')
  })
})

describe('permits of another number', () => {
  const servers = (...names: string[]): ReadonlySet<string> => new Set(names)

  it('are given at once to those that wait, at a server and over all servers', () => {
    const queue = new FairQueue({ permits: 1, bound: 10 })
    const one = queue.serverQueue('one', { permits: 1, bound: 10 })
    queue.enter(one)
    const waiting = ['a', 'b', 'c'].map(client => wait(queue, one, client))
    queue.serverQueue('one', { permits: 5, bound: 10 })
    queue.resize({ permits: 3, bound: 10 }, servers('one'))
    expect(waiting.map(({ outcome }) => outcome)).toEqual(['granted', 'granted', undefined])
    expect([queue.taken, queue.waiting]).toEqual([3, 1])
  })

  it('leave the calls that have one alone when there are fewer, and those that wait when fewer may', () => {
    const { queue, serverQueue } = single(3)
    for (const _ of [1, 2, 3]) queue.enter(serverQueue)
    const waiting = ['a', 'b', 'c'].map(client => wait(queue, serverQueue, client))
    queue.serverQueue('s', { permits: 1, bound: 1 })
    queue.resize({ permits: 1, bound: 1 }, servers('s'))
    expect([queue.taken, queue.waiting]).toEqual([3, 3])
    expect(wait(queue, serverQueue, 'd').outcome).toBe('server_full')
    queue.leave(serverQueue, 1)
    queue.leave(serverQueue, 1)
    expect(waiting.map(({ outcome }) => outcome)).toEqual([undefined, undefined, undefined])
    queue.leave(serverQueue, 1)
    expect(waiting.map(({ outcome }) => outcome)).toEqual(['granted', undefined, undefined])
  })

  it('are none for a server that is removed: those that wait are refused, and the last one in it ends its queue', () => {
    const queue = new FairQueue({ permits: 2, bound: 10 })
    const serverQueue = queue.serverQueue('gone', { permits: 1, bound: 10 })
    const other = queue.serverQueue('other', { permits: 5, bound: 10 })
    queue.enter(serverQueue)
    queue.enter(other)
    const waiting = ['a', 'a', 'b'].map(client => wait(queue, serverQueue, client))
    const elsewhere = wait(queue, other, 'a')
    queue.resize({ permits: 2, bound: 10 }, servers('other'))
    expect(waiting.map(({ outcome }) => outcome)).toEqual(['removed', 'removed', 'removed'])
    expect([queue.taken, queue.waiting, elsewhere.outcome]).toEqual([2, 1, undefined])
    // Its server is back before the call has ended: it is still one place.
    expect(queue.serverQueue('gone', { permits: 1, bound: 10 })).toBe(serverQueue)
    queue.resize({ permits: 2, bound: 10 }, servers('other'))
    queue.leave(serverQueue, 1)
    expect([queue.taken, queue.waiting, elsewhere.outcome]).toEqual([2, 0, 'granted'])
    queue.resize({ permits: 2, bound: 10 }, servers('other'))
    expect(queue.serverQueue('gone', { permits: 1, bound: 10 })).not.toBe(serverQueue)
  })

  it('are found again by a call whose client was asked while its server was removed and added', () => {
    const queue = new FairQueue({ permits: 1, bound: 10 })
    const serverQueue = queue.serverQueue('a', { permits: 1, bound: 10 })
    queue.enter(serverQueue)
    queue.leaveForNow(serverQueue, 1)
    queue.resize({ permits: 1, bound: 10 }, servers())
    const added = queue.serverQueue('a', { permits: 1, bound: 10 })
    queue.resize({ permits: 1, bound: 10 }, servers('a'))
    queue.enter(added)
    const back = new Entry('x', serverQueue)
    expect(queue.enterAgain(serverQueue, back)).toBe(false)
    queue.leave(added, 1)
    expect(back.outcome).toBe('granted')
  })
})

describe('turns', () => {
  it('go round the clients, and within one by arrival', () => {
    const { queue, serverQueue } = single(1)
    queue.enter(serverQueue)
    const entries = [...'aaaabcb'].map(client => wait(queue, serverQueue, client))
    expect(turns(queue, serverQueue, entries, 7)).toBe('abcabaa')
    const { queue: another, serverQueue: at } = single(1)
    another.enter(at)
    const own = [1, 2, 3].map(() => wait(another, at, 'a'))
    another.leave(at, 1)
    expect(own.map(({ outcome }) => outcome)).toEqual(['granted', undefined, undefined])
  })

  it('are shared by weight in the long run', () => {
    const { queue, serverQueue } = single(1, 100_000)
    queue.enter(serverQueue)
    const weights: Record<string, number> = { a: 1, b: 2, c: 7 }
    const entries = Object.entries(weights).flatMap(([client, weight]) =>
      Array.from({ length: 1000 }, () => wait(queue, serverQueue, client, weight)),
    )
    const order = turns(queue, serverQueue, entries, 1000)
    for (const [client, weight] of Object.entries(weights)) {
      const share = order.split(client).length - 1
      expect(Math.abs(share - weight * 100)).toBeLessThanOrEqual(2)
    }
  })

  it('come to a newcomer at once, though another has waited with hundreds', () => {
    const { queue, serverQueue } = single(1)
    queue.enter(serverQueue)
    const flood = Array.from({ length: 500 }, () => wait(queue, serverQueue, 'f'))
    turns(queue, serverQueue, flood, 100)
    const quiet = wait(queue, serverQueue, 'q')
    queue.leave(serverQueue, 1)
    queue.leave(serverQueue, 1)
    expect(quiet.outcome).toBe('granted')
  })

  it('are not earned by leaving and coming back', () => {
    const { queue, serverQueue } = single(1)
    queue.enter(serverQueue)
    const others = Array.from({ length: 20 }, () => wait(queue, serverQueue, 'o'))
    let order = ''
    for (const entry of others) entry.onGranted = () => (order += 'o')
    for (let turn = 0; turn < 12; turn++) {
      // Never has more than one waiting, so that its line is empty after each of its turns.
      const entry = wait(queue, serverQueue, 'x')
      entry.onGranted = () => (order += 'x')
      queue.leave(serverQueue, 1)
      if (entry.outcome !== 'granted') queue.remove(entry)
    }
    expect(order.split('x').length - 1).toBeLessThanOrEqual(7)
  })

  it('of the gateway are not saved up by a client that waited for a full server', () => {
    const queue = new FairQueue({ permits: 2, bound: 1000 })
    const slow = queue.serverQueue('slow', { permits: 1, bound: 500 })
    const fast = queue.serverQueue('fast', { permits: 10, bound: 500 })
    queue.enter(slow)
    queue.enter(fast)
    const patient = Array.from({ length: 20 }, () => wait(queue, slow, 'p'))
    const busy = Array.from({ length: 200 }, () => wait(queue, fast, 'b'))
    for (let turn = 0; turn < 100; turn++) queue.leave(fast, 1)
    expect(busy.filter(({ outcome }) => outcome === 'granted')).toHaveLength(100)
    for (let turn = 0; turn < 10; turn++) wait(queue, fast, 'p')
    let order = ''
    for (const entry of [...patient, ...busy]) entry.onGranted = () => (order += entry.client)
    for (let turn = 0; turn < 6; turn++) queue.leave(fast, 1)
    expect(order.length).toBeGreaterThanOrEqual(3)
    expect(order).toContain('b')
  })
})

describe('a permit that is held', () => {
  it('is free again when it is given back, and the one of the gateway at once', () => {
    const queue = new FairQueue({ permits: 1, bound: 100 })
    const [one, other] = ['one', 'other'].map(name => queue.serverQueue(name, { permits: 1, bound: 10 })) as [
      ServerQueue,
      ServerQueue,
    ]
    queue.enter(one)
    const same = wait(queue, one, 'a')
    const elsewhere = wait(queue, other, 'b')
    queue.hold(one, 'a', 5)
    expect([same.outcome, elsewhere.outcome]).toEqual([undefined, 'granted'])
    queue.release(one, 'a', 10)
    // The gateway is full.
    expect([one.taken, queue.taken, same.outcome]).toEqual([0, 1, undefined])
    queue.leave(other, 5)
    expect(same.outcome).toBe('granted')
  })

  it('makes the turns of its client dearer, and those of no other', () => {
    const { queue, serverQueue } = single(4)
    for (let permit = 0; permit < 4; permit++) queue.enter(serverQueue)
    for (let call = 0; call < 3; call++) queue.hold(serverQueue, 'x', 1)
    const entries = [...'xxxxxxyyyyyy'].map(client => wait(queue, serverQueue, client))
    expect(turns(queue, serverQueue, entries, 1)).toBe('y')
    let order = ''
    for (const entry of entries) entry.onGranted = () => (order += entry.client)
    for (let turn = 0; turn < 6; turn++) {
      queue.enter(serverQueue)
      queue.leave(serverQueue, 1)
    }
    expect(order.split('y').length - 1).toBeGreaterThanOrEqual(4)
    for (let call = 0; call < 3; call++) queue.release(serverQueue, 'x', 1)
    expect(serverQueue.taken).toBe(4)
  })
})

describe('a line that is full', () => {
  it('refuses the client with the most waiting calls, and takes calls of the others', () => {
    const { queue, serverQueue } = single(1, 4)
    queue.enter(serverQueue)
    const flood = Array.from({ length: 5 }, () => wait(queue, serverQueue, 'f'))
    expect(flood.map(({ outcome }) => outcome)).toEqual([
      undefined,
      undefined,
      undefined,
      undefined,
      'server_full',
    ])
    const quiet = wait(queue, serverQueue, 'q')
    // The newest of the longest gave way.
    expect(quiet.outcome).toBeUndefined()
    expect(flood[3]?.outcome).toBe('server_full')
    expect(serverQueue.waiting).toBe(4)
    expect(wait(queue, serverQueue, 'q').outcome).toBeUndefined()
    expect(flood[2]?.outcome).toBe('server_full')
    // Both have two now: neither has to give way.
    expect(wait(queue, serverQueue, 'q').outcome).toBe('server_full')
    expect(wait(queue, serverQueue, 'f').outcome).toBe('server_full')
  })

  it('counts by weight', () => {
    const { queue, serverQueue } = single(1, 6)
    queue.enter(serverQueue)
    const heavy = Array.from({ length: 4 }, () => wait(queue, serverQueue, 'h', 4))
    const light = Array.from({ length: 2 }, () => wait(queue, serverQueue, 'l', 1))
    expect(wait(queue, serverQueue, 'h', 4).outcome).toBeUndefined()
    expect(light[1]?.outcome).toBe('server_full')
    expect(heavy.every(({ outcome }) => outcome === undefined)).toBe(true)
  })

  it('over all servers is that of the gateway', () => {
    const queue = new FairQueue({ permits: 100, bound: 5 })
    const serverQueues = ['a', 'b'].map(name => queue.serverQueue(name, { permits: 1, bound: 100 }))
    const [one, other] = serverQueues as [ServerQueue, ServerQueue]
    queue.enter(one)
    queue.enter(other)
    const flood = [one, one, one, other, other].map(serverQueue => wait(queue, serverQueue, 'f'))
    expect(wait(queue, other, 'f').outcome).toBe('gateway_full')
    expect(wait(queue, other, 'q').outcome).toBeUndefined()
    expect(flood.map(({ outcome }) => outcome)).toEqual([
      undefined,
      undefined,
      'gateway_full',
      undefined,
      undefined,
    ])
    expect(queue.waiting).toBe(5)
  })

  it('of length 0 lets no call wait', () => {
    const { queue, serverQueue } = single(1, 0)
    queue.enter(serverQueue)
    expect(wait(queue, serverQueue, 'a').outcome).toBe('server_full')
  })
})

describe('a call that cannot be served in time', () => {
  const observed = (): { queue: FairQueue; serverQueue: ServerQueue } => {
    const made = single(2)
    for (let call = 0; call < 20; call++) {
      made.queue.enter(made.serverQueue)
      made.queue.leave(made.serverQueue, 100)
    }
    made.queue.enter(made.serverQueue)
    made.queue.enter(made.serverQueue)
    return made
  }

  it('is refused at once', () => {
    const { queue, serverQueue } = observed()
    // Two permits for 100 ms each: the first in line waits 50 ms, the fourth 200.
    expect(wait(queue, serverQueue, 'a', 1, 60).outcome).toBeUndefined()
    expect(wait(queue, serverQueue, 'a', 1, 60).outcome).toBe('too_late')
    for (let more = 0; more < 8; more++) wait(queue, serverQueue, 'a')
    // Another client's turn is the next but one, however many the first has.
    expect(wait(queue, serverQueue, 'b', 1, 110).outcome).toBeUndefined()
    expect(wait(queue, serverQueue, 'c', 1, 60).outcome).toBe('too_late')
    expect(queue.retryAfterMs(serverQueue)).toBeCloseTo((serverQueue.waiting + 1) * 50, 0)
  })

  it('is not refused on a guess', () => {
    const { queue, serverQueue } = single(1)
    queue.enter(serverQueue)
    queue.leave(serverQueue, 1e9)
    queue.enter(serverQueue)
    expect(wait(queue, serverQueue, 'a', 1, 1000).outcome).toBeUndefined()
  })
})

describe('leaving', () => {
  it('the line at any permit in it changes nothing for the others', () => {
    const { queue, serverQueue } = single(1)
    queue.enter(serverQueue)
    const entries = [0, 1, 2, 3].map(() => wait(queue, serverQueue, 'a'))
    queue.remove(entries[2] as Entry)
    queue.remove(entries[0] as Entry)
    queue.remove(entries[0] as Entry)
    expect(serverQueue.waiting).toBe(2)
    queue.leave(serverQueue, 1)
    queue.leave(serverQueue, 1)
    expect(entries.map(({ outcome }) => outcome)).toEqual([undefined, 'granted', undefined, 'granted'])
  })

  it('is forgotten: clients that come and go leave nothing behind', () => {
    const { queue, serverQueue } = single(1)
    queue.enter(serverQueue)
    for (let client = 0; client < 10_000; client++) queue.remove(wait(queue, serverQueue, `client ${client}`))
    expect(serverQueue.flows.size).toBeLessThan(100)
    expect(serverQueue.turns.size).toBeLessThan(100)
  })

  it('for good refuses every waiting call', () => {
    const { queue, serverQueue } = single(1)
    queue.enter(serverQueue)
    const entries = ['a', 'a', 'b'].map(client => wait(queue, serverQueue, client))
    queue.close()
    expect(entries.map(({ outcome }) => outcome)).toEqual(['closed', 'closed', 'closed'])
    expect(wait(queue, serverQueue, 'c').outcome).toBe('closed')
    expect(queue.waiting).toBe(0)
  })
})

/** A small generator with a seed, so that a failure can be run again. */
function random(seed: number): (below: number) => number {
  let state = seed
  return below => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return Math.floor((state / 2 ** 32) * below)
  }
}

test.each(Array.from({ length: 40 }, (_, seed) => seed))('whatever happens, seed %i', seed => {
  const pick = random(seed)
  const permits = 1 + pick(6)
  const bound = pick(12)
  const queue = new FairQueue({ permits, bound })
  const serverQueues = Array.from({ length: 1 + pick(4) }, (_, at) =>
    queue.serverQueue(`s${at}`, { permits: 1 + pick(4), bound: pick(8) }),
  )
  const waiting = new Set<Entry>()
  const holding: ServerQueue[] = []
  let [acquired, returned, granted] = [0, 0, 0]
  const settle = (): void => {
    for (const entry of waiting) {
      if (entry.outcome === undefined) continue
      waiting.delete(entry)
      if (entry.outcome !== 'granted') continue
      granted++
      holding.push(entry.at)
    }
  }
  for (let step = 0; step < 3000; step++) {
    const serverQueue = serverQueues[pick(serverQueues.length)] as ServerQueue
    const action = pick(10)
    if (action < 5) {
      if (queue.enter(serverQueue)) {
        acquired++
        holding.push(serverQueue)
      } else {
        const client = pick(5)
        const entry = wait(queue, serverQueue, `c${client}`, 1 + client, pick(3) === 0 ? 50 : FOREVER)
        if (entry.outcome === undefined) waiting.add(entry)
      }
    } else if (action < 8) {
      const at = pick(holding.length)
      const [held] = holding.splice(at, 1)
      if (held) {
        returned++
        queue.leave(held, pick(100))
      }
    } else if (action === 8) {
      const [entry] = [...waiting].slice(pick(waiting.size))
      if (entry) {
        queue.remove(entry)
        waiting.delete(entry)
      }
    } else {
      const [held] = holding.splice(pick(holding.length), 1)
      if (held) {
        returned++
        queue.leaveForNow(held, pick(100))
        const entry = new Entry('back', held)
        if (queue.enterAgain(held, entry)) {
          acquired++
          holding.push(held)
        } else waiting.add(entry)
      }
    }
    settle()
    // What is taken is what was given and not returned; no client has more than there is.
    const wrong: string[] = []
    const holds = (what: string, condition: boolean): void => void (condition || wrong.push(what))
    holds('given = taken + returned', queue.taken === acquired + granted - returned)
    holds('taken = held', queue.taken === holding.length)
    holds('taken <= permits', queue.taken <= permits)
    holds('waiting <= bound', queue.waiting <= bound)
    let counted = 0
    for (const each of serverQueues) {
      const held = holding.filter(other => other === each).length
      const mine = [...waiting].filter(({ at }) => at === each)
      const ordinary = mine.filter(({ flow }) => flow !== undefined).length
      counted += ordinary
      holds('taken = held, of a server', each.taken === held)
      holds('taken <= permits, of a server', each.taken <= each.permits)
      holds('waiting, of a server', each.waiting === ordinary)
      holds('waiting <= bound, of a server', each.waiting <= each.bound)
      holds('returning', each.returning.size === mine.length - ordinary)
      const room = each.taken < each.permits && queue.taken < permits
      holds('no call waits that could have a permit', !room || mine.length === 0)
    }
    holds('waiting, of all servers', queue.waiting === counted)
    if (wrong.length > 0) expect.fail(`step ${step}: ${wrong.join(', ')}`)
  }
  // Every call that still waits gets a turn.
  while (holding.length > 0) {
    queue.leave(holding.pop() as ServerQueue, 1)
    settle()
  }
  expect([waiting.size, queue.taken, queue.waiting]).toEqual([0, 0, 0])
})
