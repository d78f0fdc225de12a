import { describe, expect, it } from 'vitest'
import { CallTrace } from '../../../src/core/call-trace.ts'

describe('the time of the server', () => {
  it('is that from the first attempt to the end, whatever failed in between', () => {
    const trace = new CallTrace()
    trace.sent('a 1', 100)
    trace.sent('a 2', 150)
    trace.ended(170)
    expect(trace).toMatchObject({ replica: 'a 2', sentAt: 100, endedAt: 170, upstreamMs: 70 })
  })

  it('does not hold the time in which the client is asked', () => {
    const trace = new CallTrace()
    trace.sent('a', 100)
    trace.paused(110)
    trace.resumed(500)
    trace.ended(505)
    expect(trace).toMatchObject({ sentAt: 100, endedAt: 505, upstreamMs: 15 })
  })

  it('ends with the question where the server ends while its client is asked', () => {
    const trace = new CallTrace()
    trace.sent('a', 100)
    trace.paused(110)
    trace.ended(500)
    expect(trace).toMatchObject({ endedAt: 500, upstreamMs: 10 })
  })

  it('is the sum of several ways to servers', () => {
    const trace = new CallTrace()
    trace.sent('a', 100)
    trace.ended(110)
    trace.sent('b', 200)
    trace.ended(205)
    expect(trace).toMatchObject({ replica: 'b', sentAt: 200, endedAt: 205, upstreamMs: 15 })
  })

  it('is nothing where no server was reached', () => {
    const trace = new CallTrace()
    trace.ended(100)
    expect(trace).toMatchObject({ sentAt: 0, endedAt: 0, upstreamMs: 0 })
  })

  it('is split between the two requests of a client that comes back with answers', () => {
    const first = new CallTrace()
    first.sent('a', 100)
    first.paused(120)
    const second = new CallTrace()
    second.continues(first)
    second.resumed(900)
    second.ended(907)
    expect(first).toMatchObject({ replica: 'a', upstreamMs: 20 })
    expect(second).toMatchObject({ replica: 'a', upstreamMs: 7 })
  })

  it('is that of the attempt that answered where the first one never reached its replica', () => {
    const trace = new CallTrace()
    const beside = new CallTrace()
    beside.sent('b', 100)
    trace.answeredBy(beside)
    trace.ended(130)
    expect(trace).toMatchObject({ replica: 'b', sentAt: 100, upstreamMs: 30 })
  })
})

it('counts the bytes of an outcome once, with what goes before it', () => {
  const trace = new CallTrace()
  let reads = 0
  const outcome = {
    get text() {
      reads++
      return 'é'
    },
    head: '{}',
  }
  expect([trace.sizeOf(outcome), trace.sizeOf(outcome)]).toEqual([4, 4])
  expect(reads).toBe(1)
  expect(trace.sizeOf({ text: Buffer.from('abc') })).toBe(3)
})
