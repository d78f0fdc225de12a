import { describe, expect, it } from 'vitest'
import { SessionEvents } from '../../../../src/front/http/event-store.ts'

const kept = (maxEvents = 1000, maxBytes = 1024 * 1024): SessionEvents =>
  new SessionEvents(() => ({ maxEvents, maxEventBytes: maxBytes }))

const texts = (events: SessionEvents, id: string): string[] | undefined =>
  events.after(id)?.events.map(({ text }) => text)

describe('SessionEvents', () => {
  it('gives the events of one stream after an id, with ids that go on', () => {
    const events = kept()
    const first = events.add(1, 'a')
    events.add(2, 'other')
    const second = events.add(1, 'b')
    events.add(1, 'c')
    expect(texts(events, first)).toEqual(['b', 'c'])
    expect(events.after(first)?.events[0]?.id).toBe(second)
    expect(texts(events, second)).toEqual(['c'])
    expect(events.after(second)?.stream).toBe(1)
  })

  it('does not give the empty event that opens a stream', () => {
    const events = kept()
    const opening = events.add(1, '')
    events.add(1, '')
    events.add(1, 'a')
    expect(texts(events, opening)).toEqual(['a'])
  })

  it.each(['', 'x', '1', '1-', '-1', '1-2-3', '1-99', '1e3-1', ' 1-1', '99999999999999999999-1'])(
    'knows no event %j',
    id => {
      const events = kept()
      events.add(1, 'a')
      expect(events.after(id)).toBeUndefined()
    },
  )

  it('keeps as many as are configured, which may be none', () => {
    const few = kept(2)
    const start = few.add(1, 'first')
    for (const text of ['a', 'b', 'c']) few.add(1, text)
    expect(texts(few, start)).toEqual(['b', 'c'])
    const none = kept(0)
    const id = none.add(1, 'first')
    none.add(1, 'a')
    expect(texts(none, id)).toEqual([])
  })

  it('counts bytes, not characters', () => {
    const events = kept(10, 5)
    const start = events.add(1, '')
    events.add(1, '\u20ac')
    events.add(1, '\u20ac')
    expect(texts(events, start)).toEqual(['\u20ac'])
  })

  it('keeps a thousand, and a mebibyte, the latest ones', () => {
    const many = kept()
    const start = many.add(1, 'first')
    for (let n = 0; n < 1500; n++) many.add(1, `${n}`)
    expect(texts(many, start)).toHaveLength(1000)
    expect(texts(many, start)?.at(-1)).toBe('1499')

    const large = kept()
    const begin = large.add(1, 'first')
    for (let n = 0; n < 10; n++) large.add(1, `${n}`.repeat(300_000))
    expect(texts(large, begin)?.map(text => text[0])).toEqual(['7', '8', '9'])
    // One that is larger than everything allowed is kept only while it was not delivered, until the next.
    large.add(1, 'x'.repeat(3_000_000), true)
    expect(texts(large, begin)).toHaveLength(1)
  })
})
