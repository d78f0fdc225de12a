import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { BufferLimit } from '../../../src/core/buffer-limit.ts'
import { Reception } from '../../../src/core/reception.ts'

const MIB = 1024 * 1024

/** A stream that knows whether it is read, and whether its message was given up. */
class Stream {
  reads = true
  givenUp = false
  readonly reception: Reception
  client: string
  constructor(limit: BufferLimit, client: string, server: string) {
    this.client = client
    this.reception = new Reception(
      limit,
      { client: () => this.client, server },
      this,
      () => (this.givenUp = true),
    )
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
  /** As much of a message of so many bytes comes as is read. */
  comes(bytes: number): this {
    for (let at = MIB / 2; at <= bytes && this.reads; at += MIB / 4) this.at(at)
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

  it('waits for another message of its server that comes, for ten seconds at most', () => {
    const limit = new BufferLimit(8 * MIB)
    const first = new Stream(limit, 'a', 's').at(5 * MIB)
    const second = new Stream(limit, 'a', 's').at(3 * MIB)
    for (let second = 0; second < 9; second++) {
      vi.advanceTimersByTime(1000)
      first.at((6 + second) * MIB)
    }
    expect(second.reads).toBe(false)
    vi.advanceTimersByTime(2000)
    expect(second.reads).toBe(true)
    expect(first.givenUp).toBe(false)
  })

  it('is not counted while it is small', () => {
    const limit = new BufferLimit(MIB)
    for (let left = 100; left > 0; left--) new Stream(limit, 'a', 's').at(100_000)
    expect(limit.bytes).toBe(0)
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
