import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { BufferLimit, Reception } from '../../../src/core/buffer-limit.ts'

const MIB = 1024 * 1024

/** A stream that knows whether it is read. */
class Stream {
  reads = true
  pause(): void {
    this.reads = false
  }
  resume(): void {
    this.reads = true
  }
}

function reception(limit: BufferLimit, owner: string): { stream: Stream; reception: Reception } {
  const stream = new Stream()
  return { stream, reception: new Reception(limit, owner, stream) }
}

describe('what servers send', () => {
  it('of one owner takes half of the room; another owner is read at once', () => {
    const limit = new BufferLimit(32 * MIB)
    const first = reception(limit, 'a')
    const second = reception(limit, 'a')
    first.reception.at(8 * MIB)
    second.reception.at(8 * MIB)
    expect([first.stream.reads, second.stream.reads]).toEqual([true, true])
    second.reception.at(9 * MIB)
    expect(second.stream.reads).toBe(false)
    const other = reception(limit, 'b')
    other.reception.at(4 * MIB)
    expect(other.stream.reads).toBe(true)
  })

  it('goes on when something has left', () => {
    const limit = new BufferLimit(16 * MIB)
    const first = reception(limit, 'a')
    const second = reception(limit, 'a')
    first.reception.at(8 * MIB)
    second.reception.at(4 * MIB)
    expect(second.stream.reads).toBe(false)
    first.reception.end()
    expect(second.stream.reads).toBe(true)
    expect(limit.bytes).toBe(4 * MIB)
  })

  it('is never all stopped: the oldest message goes on, however large it is', () => {
    const limit = new BufferLimit(8 * MIB)
    const streams = Array.from({ length: 5 }, () => reception(limit, 'a'))
    for (const { reception: each } of streams) each.at(4 * MIB)
    expect(streams.map(({ stream }) => stream.reads)).toEqual([true, false, false, false, false])
    streams[0]?.reception.at(100 * MIB)
    expect(streams[0]?.stream.reads).toBe(true)
    streams[0]?.reception.end()
    expect(streams[1]?.stream.reads).toBe(true)
  })

  it('of a server that stops in the middle of a message holds up no other', () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'performance'] })
    try {
      const limit = new BufferLimit(8 * MIB)
      const stalled = reception(limit, 'a')
      stalled.reception.at(5 * MIB)
      const others = ['b', 'c', 'a'].map(owner => reception(limit, owner))
      for (const { reception: each } of others) each.at(3 * MIB)
      expect(others.map(({ stream }) => stream.reads)).toEqual([false, false, false])
      vi.advanceTimersByTime(3000)
      expect(others.map(({ stream }) => stream.reads)).toEqual([true, false, false])
      // The first one comes, so the others wait for it; but no longer than ten seconds.
      for (let left = 12; left > 0; left--) {
        others[0]?.reception.at((20 - left) * MIB)
        vi.advanceTimersByTime(1000)
      }
      expect(others.map(({ stream }) => stream.reads)).toEqual([true, true, true])
    } finally {
      vi.useRealTimers()
    }
  })

  it('is not counted while it is small', () => {
    const limit = new BufferLimit(MIB)
    for (let left = 100; left > 0; left--) reception(limit, 'a').reception.at(100_000)
    expect(limit.bytes).toBe(0)
  })
})

describe('what clients do not read', () => {
  beforeEach(() => void vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'performance'] }))
  afterEach(() => void vi.useRealTimers())

  it('stops the servers of the same owner until it is read', () => {
    const limit = new BufferLimit(16 * MIB)
    limit.waits('a', 10 * MIB)
    const { stream, reception: each } = reception(limit, 'a')
    each.at(MIB)
    expect(stream.reads).toBe(false)
    limit.waits('a', -10 * MIB)
    expect(stream.reads).toBe(true)
  })

  it('stops them for ten seconds at most', () => {
    const limit = new BufferLimit(16 * MIB)
    limit.waits('a', 20 * MIB)
    const first = reception(limit, 'b')
    const second = reception(limit, 'c')
    first.reception.at(MIB)
    second.reception.at(MIB)
    expect([first.stream.reads, second.stream.reads]).toEqual([false, false])
    vi.advanceTimersByTime(9000)
    expect(first.stream.reads).toBe(false)
    vi.advanceTimersByTime(3000)
    expect([first.stream.reads, second.stream.reads]).toEqual([true, true])
    first.reception.at(5 * MIB)
    expect(first.stream.reads).toBe(true)
    first.reception.end()
    expect(second.stream.reads).toBe(true)
    second.reception.end()
    expect(limit.bytes).toBe(20 * MIB)
    vi.advanceTimersByTime(2000)
    expect(vi.getTimerCount()).toBe(0)
  })
})
