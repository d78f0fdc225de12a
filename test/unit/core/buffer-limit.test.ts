import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { BufferLimit } from '../../../src/core/buffer-limit.ts'
import type { DropReason } from '../../../src/core/drop-reason.ts'
import { Reception } from '../../../src/core/reception.ts'

const MIB = 1024 * 1024

/** A stream that knows whether it is read, and whether its message was given up. */
class Stream {
  reads = true
  why: DropReason | undefined
  readonly reception: Reception
  client: string
  constructor(limit: BufferLimit, client: string, server: string) {
    this.client = client
    this.reception = new Reception(
      limit,
      { client: () => this.client, server },
      this,
      why => (this.why = why),
    )
  }
  get givenUp(): boolean {
    return this.why !== undefined
  }
  pause(): void {
    this.reads = false
  }
  resume(): void {
    this.reads = true
  }
  at(bytes: number): this {
    this.reception.at(bytes)
    return this
  }
  /** So many bytes more of its message come. */
  drip(bytes: number): void {
    this.at(this.reception.bytes + bytes)
  }
  /** As much of a message of so many bytes comes as is read. */
  comes(bytes: number): this {
    const from = Math.max(MIB / 2, this.reception.bytes + MIB / 4)
    for (let at = from; at <= bytes && this.reads && !this.givenUp; at += MIB / 4) this.at(at)
    return this
  }
}

const reads = (streams: readonly Stream[]): boolean[] => streams.map(stream => stream.reads)

beforeEach(() => void vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'performance'] }))
afterEach(() => void vi.useRealTimers())

describe('what servers send', () => {
  it('for one client takes half of the room; what comes for another client is read at once', () => {
    const limit = new BufferLimit(32 * MIB)
    const first = new Stream(limit, 'a', 's').at(8 * MIB)
    const second = new Stream(limit, 'a', 's').at(8 * MIB)
    expect(reads([first, second])).toEqual([true, true])
    second.at(9 * MIB)
    expect(second.reads).toBe(false)
    expect(new Stream(limit, 'b', 'u').at(4 * MIB).reads).toBe(true)
  })

  it('from one server, over many streams and for many clients, takes half of the room', () => {
    const limit = new BufferLimit(32 * MIB)
    const hostile = Array.from({ length: 20 }, (_, at) => new Stream(limit, `c${at}`, 'hostile'))
    for (const stream of hostile) stream.comes(9 * MIB)
    // Each has one chunk before it waits.
    expect(limit.bytes).toBeLessThanOrEqual((16 + 20 / 2) * MIB)
    expect(new Stream(limit, 'x', 'healthy').comes(4 * MIB).reads).toBe(true)
  })

  it('leaves room to the other servers of the same client', () => {
    const limit = new BufferLimit(48 * MIB)
    const hostile = Array.from({ length: 5 }, () => new Stream(limit, 'a', 'hostile').comes(9 * MIB))
    expect(hostile.some(stream => !stream.reads)).toBe(true)
    expect(new Stream(limit, 'a', 'healthy').comes(10 * MIB).reads).toBe(true)
  })

  it('goes on when something has left', () => {
    const limit = new BufferLimit(16 * MIB)
    const first = new Stream(limit, 'a', 's').at(8 * MIB)
    const second = new Stream(limit, 'a', 's').at(4 * MIB)
    expect(second.reads).toBe(false)
    first.reception.end()
    expect(second.reads).toBe(true)
    expect(limit.bytes).toBe(4 * MIB)
  })

  it('is never all stopped: the oldest message goes on, however large it is', () => {
    const limit = new BufferLimit(8 * MIB)
    const streams = Array.from({ length: 5 }, () => new Stream(limit, 'a', 's').at(4 * MIB))
    expect(reads(streams)).toEqual([true, false, false, false, false])
    expect(streams[0]?.at(100 * MIB).reads).toBe(true)
    streams[0]?.reception.end()
    expect(streams[1]?.reads).toBe(true)
  })

  it('and is larger than the share of its client goes on, whatever comes for others', () => {
    const limit = new BufferLimit(8 * MIB)
    limit.waits('slow', 3 * MIB)
    const other = new Stream(limit, 'b', 't').at(2 * MIB)
    expect(new Stream(limit, 'a', 's').at(30 * MIB).reads).toBe(true)
    expect(other.reads).toBe(true)
  })

  it('waits for another message of its server for as long as that comes fast', () => {
    const limit = new BufferLimit(8 * MIB)
    const first = new Stream(limit, 'a', 's').at(5 * MIB)
    const second = new Stream(limit, 'a', 's').at(3 * MIB)
    for (let second = 0; second < 60; second++) {
      vi.advanceTimersByTime(1000)
      first.at((5 + (second + 1) / 3) * MIB)
    }
    expect([first.givenUp, second.reads]).toEqual([false, false])
    first.reception.end()
    expect(second.reads).toBe(true)
  })

  it('is not counted while it is small', () => {
    const limit = new BufferLimit(16 * MIB)
    for (let left = 100; left > 0; left--) new Stream(limit, 'a', 's').at(100_000)
    expect(limit.bytes).toBe(0)
  })

  it('is counted when it is small, once small messages hold as much as the room', () => {
    const limit = new BufferLimit(16 * MIB)
    const streams = Array.from({ length: 1000 }, () => new Stream(limit, 'a', 's'))
    let held = 0
    for (const stream of streams)
      for (let at = 16 * 1024; at <= 250_000 && stream.reads; at += 16 * 1024) {
        stream.at(at)
        held += 16 * 1024
      }
    // Small ones, the share of the server, and the first part of each one that waits.
    expect(held).toBeLessThan((16 + 10) * MIB + 1000 * 48 * 1024)
    for (const { reception } of streams) reception.end()
    expect([limit.bytes, new Stream(limit, 'a', 's').at(250_000).reads]).toEqual([0, true])
    expect(limit.bytes).toBe(0)
  })

  it('holds four times the room at most, with one message that is larger: the server that sends most has its newest given up', () => {
    const limit = new BufferLimit(8 * MIB)
    const honest = new Stream(limit, 'a', 'honest').at(MIB)
    const flood = Array.from({ length: 100 }, (_, at) => new Stream(limit, `c${at % 7}`, 'flood'))
    for (const stream of flood) stream.at(MIB)
    expect(limit.bytes).toBeLessThanOrEqual(33 * MIB)
    expect([honest.givenUp, flood[0]?.givenUp, flood.at(-1)?.givenUp]).toEqual([false, false, true])
    expect(flood.at(-1)?.why).toMatchObject({
      code: 'overloaded',
      what: expect.stringContaining('more than 32 MiB, and no server has more of that than this one'),
    })
  })

  it('over many servers for one client goes beyond its share one at a time where the room is full', () => {
    const limit = new BufferLimit(8 * MIB)
    const streams = Array.from({ length: 40 }, (_, at) => new Stream(limit, 'a', `s${at}`).comes(8 * MIB))
    expect(limit.bytes).toBeLessThan((16 + 8 + 40 / 2) * MIB)
    for (let round = 0; round < 40; round++) {
      for (const stream of streams.filter(({ reads }) => reads)) stream.comes(8 * MIB).reception.end()
      vi.advanceTimersByTime(500)
    }
    expect([limit.bytes, streams.some(({ givenUp }) => givenUp)]).toEqual([0, false])
  })
})

/** Lets seconds pass, in each of which so many bytes come of each message that is read. */
function drips(streams: readonly Stream[], seconds: number, bytes: number): void {
  for (let left = 2 * seconds; left > 0; left--) {
    vi.advanceTimersByTime(500)
    for (const stream of streams) if (stream.reads && !stream.givenUp) stream.drip(bytes / 2)
  }
}

describe('a message that comes slowly', () => {
  it('gives up its room where another one has waited for ten seconds, with an error that names its rate', () => {
    const limit = new BufferLimit(48 * MIB)
    const slow = new Stream(limit, 'a', 's').comes(30 * MIB)
    const waiting = new Stream(limit, 'b', 's').comes(9 * MIB)
    drips([slow], 9, 28 * 1024)
    expect([slow.givenUp, waiting.reads]).toEqual([false, false])
    drips([slow], 3, 28 * 1024)
    expect([slow.givenUp, waiting.reads]).toEqual([true, true])
    expect(slow.why?.what).toBe(
      'began a large message that came at 28 KiB/s, less than 256 KiB/s, while other messages waited for room (48 MiB)',
    )
  })

  it('is one of 60 that drip: they never hold more than the room and what each has sent before it waits', () => {
    const limit = new BufferLimit(48 * MIB)
    const hostile = Array.from({ length: 60 }, () => new Stream(limit, 'a', 'hostile').comes(30 * MIB))
    let most = 0
    for (let second = 0; second < 300; second++) {
      drips(hostile, 1, 28 * 1024)
      for (const stream of hostile) if (stream.reads && !stream.givenUp) stream.comes(30 * MIB)
      most = Math.max(most, limit.bytes)
      const healthy = new Stream(limit, 'x', 'healthy').comes(4 * MIB)
      expect(healthy.reads).toBe(true)
      healthy.reception.end()
    }
    expect(most).toBeLessThan((48 + 60 / 2 + 60) * MIB)
  })

  it('stays where nothing waits for room, and where its room is of no use to what waits', () => {
    const limit = new BufferLimit(48 * MIB)
    const alone = new Stream(limit, 'a', 's').comes(20 * MIB)
    drips([alone], 60, 20_000)
    expect(alone.givenUp).toBe(false)
    const first = new Stream(limit, 'b', 't').comes(30 * MIB)
    const second = new Stream(limit, 'b', 't').comes(9 * MIB)
    for (let left = 15; left > 0; left--) {
      drips([alone], 1, 20_000)
      first.drip(MIB)
    }
    expect([alone.givenUp, first.givenUp, second.reads]).toEqual([false, false, false])
  })

  it('has no time counted in which it is not read', () => {
    const none = { largeFrom: MIB / 4, small: () => {}, received: () => {}, over: () => {} }
    const origin = { client: () => 'a', server: 's' }
    const reception = new Reception(none, origin, { pause: () => {}, resume: () => {} }, () => {})
    let bytes = MIB
    const seconds = (count: number, more: number): void => {
      for (let left = 2 * count; left > 0; left--) {
        vi.advanceTimersByTime(500)
        reception.at((bytes += more / 2))
        reception.look()
      }
    }
    reception.at(bytes)
    seconds(9, MIB)
    reception.wait()
    seconds(60, 0)
    expect(reception.bytesPerSecond).toBeUndefined()
    reception.goOn()
    seconds(3, MIB)
    expect(reception.bytesPerSecond).toBeGreaterThan(0.9 * MIB)
    seconds(20, 1024)
    expect(reception.bytesPerSecond).toBeLessThan(0.1 * MIB)
  })

  it('stays where it has come in bursts that are fast on average', () => {
    const limit = new BufferLimit(16 * MIB)
    const coming = new Stream(limit, 'a', 's').comes(9 * MIB)
    const waiting = new Stream(limit, 'a', 's').comes(8 * MIB)
    for (let left = 20; left > 0; left--) {
      drips([coming], 3, 20_000)
      coming.drip(MIB)
    }
    expect([coming.givenUp, waiting.reads]).toEqual([false, false])
  })

  it('does not hold up an honest server by its many messages: servers take turns where the room is full', () => {
    const limit = new BufferLimit(8 * MIB)
    limit.waits('slow', 30 * MIB)
    const hostile = Array.from({ length: 20 }, () => new Stream(limit, 'a', 'hostile').comes(7 * MIB))
    const honest = new Stream(limit, 'b', 'honest').comes(6 * MIB)
    expect(honest.reads).toBe(false)
    drips(hostile, 12, 20_000)
    expect(honest.reads).toBe(true)
    expect(hostile.filter(({ givenUp }) => givenUp).length).toBe(1)
  })
})

describe('turns', () => {
  it('go by the time that they took: quick messages of one server pass the slow ones of another', () => {
    const limit = new BufferLimit(8 * MIB)
    limit.waits('slow', 30 * MIB)
    const hostile = Array.from({ length: 6 }, () => new Stream(limit, 'a', 'hostile').comes(3 * MIB))
    const honest = Array.from({ length: 20 }, (_, at) => new Stream(limit, `b${at}`, 'honest').comes(3 * MIB))
    expect(honest.some(({ reads }) => reads)).toBe(false)
    let passed = 0
    // Two turns of the hostile server at most, each until it is known to be slow.
    for (let second = 0; second < 30 && passed < honest.length; second++) {
      drips(hostile, 1, 20_000)
      for (let going; (going = honest.find(({ reads, reception }) => reads && reception.bytes > 0)); passed++)
        going.comes(4 * MIB).reception.end()
    }
    expect(passed).toBe(honest.length)
  })

  it('end where the room becomes full beside them: two slow servers hold up a third one for a moment only', () => {
    const limit = new BufferLimit(8 * MIB)
    const bad = ['bad', 'worse'].flatMap(server =>
      Array.from({ length: 100 }, (_, at) => new Stream(limit, `a${at % 10}`, server).comes(MIB / 2)),
    )
    const honest = Array.from({ length: 20 }, (_, at) => new Stream(limit, `b${at}`, 'honest').comes(MIB / 2))
    let passed = 0
    for (let second = 0; second < 30 && passed < honest.length; second++) {
      drips(bad, 1, 20_000)
      for (let going; (going = honest.find(({ reads, reception }) => reads && reception.bytes > 0)); passed++)
        going.comes(MIB).reception.end()
    }
    expect(passed).toBe(honest.length)
  })
})

describe('a message that has stopped', () => {
  it('gives up its room within three seconds, where another one waits for it', () => {
    const limit = new BufferLimit(48 * MIB)
    const streams = Array.from({ length: 28 }, (_, at) => new Stream(limit, `c${at}`, 'hostile'))
    for (const stream of streams) stream.comes(9 * MIB)
    const [hung, waiting] = [true, false].map(has => streams.filter(stream => stream.reads === has))
    expect([hung?.length, waiting?.length]).toEqual([2, 26])
    vi.advanceTimersByTime(3000)
    expect(hung?.map(stream => stream.givenUp)).toEqual([true, true])
    expect(waiting?.some(stream => stream.reads)).toBe(true)
  })

  it('stays where nothing waits for room', () => {
    const limit = new BufferLimit(48 * MIB)
    const stream = new Stream(limit, 'a', 's').at(9 * MIB)
    vi.advanceTimersByTime(60_000)
    expect(stream.givenUp).toBe(false)
    expect(vi.getTimerCount()).toBe(0)
  })

  it('stays where its room is of no use to what waits', () => {
    const limit = new BufferLimit(48 * MIB)
    limit.waits('slow', 40 * MIB)
    const stalled = new Stream(limit, 'a', 's').at(2 * MIB)
    const waiting = new Stream(limit, 'slow', 't').at(2 * MIB)
    vi.advanceTimersByTime(9000)
    expect(waiting.reads).toBe(false)
    expect(stalled.givenUp).toBe(false)
  })

  it('has stopped as well when it comes byte by byte', () => {
    const limit = new BufferLimit(16 * MIB)
    const trickle = new Stream(limit, 'a', 's').at(8 * MIB)
    const waiting = new Stream(limit, 'a', 's').at(8 * MIB)
    expect(waiting.reads).toBe(false)
    for (let step = 1; step <= 30 && !trickle.givenUp; step++) {
      vi.advanceTimersByTime(100)
      trickle.at(8 * MIB + step)
    }
    expect(waiting.reads).toBe(true)
  })

  it('has not stopped while it is not read for want of room', () => {
    const limit = new BufferLimit(16 * MIB)
    const coming = new Stream(limit, 'a', 's').at(8 * MIB)
    const paused = new Stream(limit, 'a', 's').at(8 * MIB)
    for (let second = 1; second < 9; second++) {
      vi.advanceTimersByTime(1000)
      coming.at((8 + second) * MIB)
    }
    expect([coming.givenUp, paused.givenUp, paused.reads]).toEqual([false, false, false])
    expect(paused.reception.pausedMs(0)).toBeGreaterThanOrEqual(7900)
  })
})

describe('what clients do not read', () => {
  it('stops what comes for the same client until it is read', () => {
    const limit = new BufferLimit(16 * MIB)
    limit.waits('a', 10 * MIB)
    const stream = new Stream(limit, 'a', 's').at(MIB)
    expect(stream.reads).toBe(false)
    limit.waits('a', -10 * MIB)
    expect(stream.reads).toBe(true)
  })

  it('stops what comes for the same client for ten seconds at most', () => {
    const limit = new BufferLimit(16 * MIB)
    limit.waits('a', 20 * MIB)
    const stream = new Stream(limit, 'a', 's').at(MIB)
    vi.advanceTimersByTime(9000)
    expect(stream.reads).toBe(false)
    vi.advanceTimersByTime(3000)
    expect(stream.reads).toBe(true)
    stream.reception.end()
    expect(limit.bytes).toBe(20 * MIB)
    vi.advanceTimersByTime(2000)
    expect(vi.getTimerCount()).toBe(0)
  })

  it('lets what comes for the same client go on one at a time after ten seconds, a turn of each server', () => {
    const limit = new BufferLimit(16 * MIB)
    limit.waits('a', 40 * MIB)
    const streams = Array.from({ length: 12 }, (_, at) => new Stream(limit, 'a', `s${at % 3}`).at(MIB))
    vi.advanceTimersByTime(11_000)
    for (let left = streams.length; left > 0; left--) {
      const going = streams.filter(({ reads, reception }) => reads && reception.bytes > 0)
      expect(going).toHaveLength(1)
      for (const stream of going) stream.comes(6 * MIB).reception.end()
      expect(limit.bytes).toBeLessThanOrEqual((40 + 12 + 6) * MIB)
    }
    expect(limit.bytes).toBe(40 * MIB)
  })

  it('stops everything where many clients do not read', () => {
    const limit = new BufferLimit(48 * MIB)
    for (let at = 0; at < 60; at++) {
      const stream = new Stream(limit, `c${at}`, `s${at % 2}`).comes(10 * MIB)
      if (!stream.reads) continue
      stream.reception.end()
      limit.waits(`c${at}`, 10 * MIB)
    }
    expect(limit.bytes).toBeLessThanOrEqual((96 + 10 + 60 / 2) * MIB)
  })

  it('stops nothing for a client that has read everything, where eight others hold a quarter each', () => {
    const limit = new BufferLimit(48 * MIB)
    for (let at = 0; at < 8; at++) limit.waits(`slow ${at}`, 12 * MIB)
    expect(new Stream(limit, 'a', 's').comes(10 * MIB).reads).toBe(true)
    // Nor for a client that is reading another answer.
    limit.waits('b', 400_000)
    expect(new Stream(limit, 'b', 't').at(400_000).reads).toBe(true)
    expect(new Stream(limit, 'slow 1', 'u').at(MIB).reads).toBe(false)
  })

  it('leaves each client a floor, however many others do not read', () => {
    const limit = new BufferLimit(48 * MIB)
    for (let at = 0; at < 30; at++) limit.waits(`slow ${at}`, 12 * MIB)
    expect(new Stream(limit, 'a', 's').at(350_000).reads).toBe(true)
    expect(new Stream(limit, 'b', 't').at(350_000).reads).toBe(true)
    expect(new Stream(limit, 'c', 'u').at(MIB).reads).toBe(false)
  })

  it('is ended where a client that has read everything waits for a second', () => {
    const limit = new BufferLimit(48 * MIB)
    const slow = Array.from({ length: 12 }, (_, at) => `slow ${at}`)
    for (const client of slow) limit.waits(client, 12 * MIB)
    limit.unreadBy({
      endLongest: () => {
        const client = slow.shift()
        if (client !== undefined) limit.waits(client, -12 * MIB)
        return client !== undefined
      },
    })
    const own = new Stream(limit, 'slow 11', 'u').at(2 * MIB)
    vi.advanceTimersByTime(2000)
    // A client that does not read has nothing of others ended.
    expect([own.reads, slow.length]).toEqual([false, 12])
    const stream = new Stream(limit, 'a', 's').comes(10 * MIB)
    expect(stream.reads).toBe(false)
    vi.advanceTimersByTime(1500)
    expect(stream.comes(10 * MIB).reads).toBe(true)
    expect(slow.length).toBe(8)
  })

  it('stops a stream no longer once others have calls on it', () => {
    const limit = new BufferLimit(48 * MIB)
    limit.waits('slow', 40 * MIB)
    const stream = new Stream(limit, 'slow', 's').at(4 * MIB)
    expect(stream.reads).toBe(false)
    stream.client = 'server s'
    vi.advanceTimersByTime(500)
    expect(stream.reads).toBe(true)
    stream.reception.end()
    expect(limit.bytes).toBe(40 * MIB)
  })

  it('stops nothing that comes for other clients, however much it is', () => {
    const limit = new BufferLimit(48 * MIB)
    limit.waits('slow', 120 * MIB)
    expect(new Stream(limit, 'b', 's').at(15 * MIB).reads).toBe(true)
    limit.waits('slower', 120 * MIB)
    expect(new Stream(limit, 'c', 't').at(9 * MIB).reads).toBe(true)
  })
})
