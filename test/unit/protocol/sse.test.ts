import { describe, expect, test } from 'vitest'
import { EventParser, eventText } from '../../../src/protocol/sse.ts'
import type { ServerSentEvent } from '../../../src/protocol/sse.ts'

interface Heard {
  readonly events: ServerSentEvent[]
  readonly retries: number[]
  overflows: number
}

const bytes = (text: string): Buffer => Buffer.from(text, 'utf8')

/** What a parser hears of chunks. */
function heardOf(chunks: readonly Buffer[], maxChars = 10_000): Heard {
  const heard: Heard = { events: [], retries: [], overflows: 0 }
  const parser = new EventParser(
    {
      onEvent: event => heard.events.push(event),
      onRetry: ms => heard.retries.push(ms),
      onOverflow: () => heard.overflows++,
    },
    maxChars,
  )
  for (const chunk of chunks) parser.push(chunk)
  return heard
}

const message = (data: string, id?: string): ServerSentEvent => ({ event: 'message', data, id })

const STREAM =
  '\ufeffdata: {"é":"日本 😀\u2028"}\n\n' +
  ': a comment\n\n' +
  'event: other\r\nid: 1-2\r\ndata: one\r\ndata:two\r\ndata:  three\r\n\r\n' +
  'retry: 250\rdata\rdata\r\r' +
  'id\nretry: soon\nunknown: x\ndata: 4 \n\n' +
  'id: a\0b\ndata:5\n\nevent: none\nid: 9\n\ndata: last\n\ndata: unfinished\n'

const EXPECTED: Omit<Heard, 'overflows'> = {
  events: [
    message('{"é":"日本 😀\u2028"}'),
    { event: 'other', data: 'one\ntwo\n three', id: '1-2' },
    { event: 'message', data: '\n', id: '1-2' },
    { event: 'message', data: '4 ', id: '' },
    { event: 'message', data: '5', id: '' },
    { event: 'message', data: 'last', id: '9' },
  ],
  retries: [250],
}

describe('a stream', () => {
  test('as one chunk', () => {
    expect(heardOf([bytes(STREAM)])).toEqual({ ...EXPECTED, overflows: 0 })
  })

  test('one byte at a time', () => {
    const all = bytes(STREAM)
    expect(heardOf(Array.from(all, (_, at) => all.subarray(at, at + 1)))).toEqual({
      ...EXPECTED,
      overflows: 0,
    })
  })

  test('in two chunks, split anywhere', () => {
    const all = bytes(STREAM)
    for (let at = 0; at <= all.length; at++)
      expect(heardOf([all.subarray(0, at), all.subarray(at)]), `split at ${at}`).toEqual({
        ...EXPECTED,
        overflows: 0,
      })
  })

  test.each(['\n', '\r', '\r\n'])('with lines that end in %j', end => {
    const lines = ['id: 1', 'data: a', 'data: b', '', 'data: c', '', '']
    expect(heardOf([bytes(lines.join(end))]).events).toEqual([message('a\nb', '1'), message('c', '1')])
  })

  test('a byte order mark counts at the beginning only', () => {
    expect(heardOf([bytes('\ufeffdata: \ufeffa\n\n\ufeffdata: b\n\n')]).events).toEqual([message('\ufeffa')])
  })

  test('a long event in many chunks', () => {
    const data = 'x'.repeat(9000)
    const all = bytes(`data: ${data}\n\n`)
    const chunks = Array.from({ length: 10 }, (_, at) => all.subarray(at * 1000, (at + 1) * 1000))
    expect(heardOf(chunks).events).toEqual([message(data)])
  })
})

describe('an event that is too long', () => {
  test('on one line', () => {
    const heard = heardOf(
      [
        bytes('data: a\n\n'),
        bytes(`data: ${'x'.repeat(60)}`),
        bytes('x'.repeat(60)),
        bytes('\n\ndata: b\n\n'),
      ],
      100,
    )
    expect(heard).toEqual({ events: [message('a'), message('b')], retries: [], overflows: 1 })
  })

  test('in one chunk', () => {
    const heard = heardOf([bytes(`data: ${'x'.repeat(200)}\n\ndata: b\n\n`)], 100)
    expect(heard).toEqual({ events: [message('b')], retries: [], overflows: 1 })
  })

  test('its two ends are shown once it has ended, however it is split', () => {
    const all = bytes(`data: {"id":7,${'x'.repeat(2000)}\ndata: ${'y'.repeat(600)}"id":8}\n\ndata: b\n\n`)
    for (const size of [1, 7, 100, 5000]) {
      const skipped: [string, string][] = []
      const events: string[] = []
      const parser = new EventParser(
        {
          onEvent: ({ data }) => events.push(data),
          onRetry: () => undefined,
          onOverflow: () => undefined,
          onSkipped: (head, tail) => skipped.push([head, tail]),
        },
        100,
      )
      for (let at = 0; at < all.length; at += size) parser.push(all.subarray(at, at + size))
      expect(skipped).toHaveLength(1)
      expect(skipped[0]?.[0]).toMatch(/^\{"id":7,x+$/)
      expect(skipped[0]?.[1]).toMatch(/y"id":8\}$/)
      expect(skipped[0]?.[1].length).toBeLessThanOrEqual(512)
      expect(events).toEqual(['b'])
    }
  })

  test('over many lines, each of them in a chunk of its own', () => {
    const chunks = Array.from({ length: 30 }, () => bytes('data: 12345\n'))
    expect(heardOf([...chunks, bytes('\n')], 100)).toEqual({ events: [], retries: [], overflows: 1 })
  })

  test('in a field that is not read', () => {
    expect(heardOf([bytes(': '), bytes('x'.repeat(60)), bytes('x'.repeat(60))], 100).overflows).toBe(1)
  })
})

describe('an event that is not too long', () => {
  test('over several lines, however they are split', () => {
    const all = bytes('data: 12345678901234567890\n'.repeat(4) + '\n')
    for (let size = 1; size < all.length; size++) {
      const chunks: Buffer[] = []
      for (let at = 0; at < all.length; at += size) chunks.push(all.subarray(at, at + size))
      expect(heardOf(chunks, 120).overflows, `chunks of ${size}`).toBe(0)
    }
  })

  test('after many comments', () => {
    const comments = Array.from({ length: 100 }, () => [bytes(': keep'), bytes('alive\n')]).flat()
    const heard = heardOf([bytes('data: a\n'), ...comments, bytes('\n')], 100)
    expect(heard).toEqual({ events: [message('a')], retries: [], overflows: 0 })
  })

  test('after many others', () => {
    const others = Array.from({ length: 100 }, () => [bytes('data: 1234'), bytes('567890\n\n')]).flat()
    expect(heardOf(others, 100).overflows).toBe(0)
  })
})

test('events are written so that they can be read', () => {
  const texts = [eventText('{"a":"é\u2028"}'), eventText('{}', '1-2')]
  expect(texts[0]).toBe('event: message\ndata: {"a":"é\u2028"}\n\n')
  expect(texts[1]).toBe('event: message\nid: 1-2\ndata: {}\n\n')
  expect(heardOf(texts.map(bytes)).events).toEqual([message('{"a":"é\u2028"}'), message('{}', '1-2')])
})

test('of an event that is too long nothing counts as held, however long it goes on', () => {
  let overflows = 0
  const parser = new EventParser(
    { onEvent: () => undefined, onRetry: () => undefined, onOverflow: () => overflows++ },
    1000,
  )
  parser.push(bytes('data: '))
  for (let left = 100; left > 0; left--) {
    parser.push(bytes('x'.repeat(500)))
    expect(parser.held).toBeLessThanOrEqual(1000)
  }
  expect(overflows).toBe(1)
})

test('an event of very many empty lines is too long', () => {
  const { overflows } = heardOf([bytes('data:\n'.repeat(10_000))], 100_000)
  expect(overflows).toBe(1)
})

/** A parser, and what it hears of ids that are too long. */
function parserOf(maxChars: number) {
  const events: ServerSentEvent[] = []
  const longIds: number[] = []
  const parser = new EventParser(
    {
      onEvent: event => events.push(event),
      onRetry: () => undefined,
      onOverflow: () => undefined,
      onLongId: chars => longIds.push(chars),
    },
    maxChars,
  )
  return { parser, events, longIds }
}

test('an id of more than 4 KiB counts as none, and is not held', () => {
  const { parser, events, longIds } = parserOf(1e6)
  const id = 'i'.repeat(4096)
  parser.push(bytes(`id: ${id}\ndata: a\n\nid: `))
  for (let at = 0; at < 100; at++) parser.push(bytes('x'.repeat(5000)))
  expect(parser.held).toBeGreaterThanOrEqual(500_000)
  parser.push(bytes('\n'))
  expect(parser.held).toBe(4096)
  parser.push(bytes('data: b\n\n'))
  expect(events).toEqual([message('a', id), message('b', id)])
  expect(longIds).toEqual([500_000])
})

test('an event with a name of more than 256 characters is of no known kind, and its name is not held', () => {
  const { parser, events } = parserOf(1e6)
  parser.push(bytes(`event: message${'e'.repeat(500_000)}\n`))
  expect(parser.held).toBe(256)
  parser.push(bytes('data: a\n\ndata: b\n\n'))
  expect(events.map(({ event, data }) => [event.length, data])).toEqual([
    [256, 'a'],
    [7, 'b'],
  ])
  expect(parser.held).toBe(0)
})

test('ids and names that are held count', () => {
  const { parser } = parserOf(1e6)
  parser.push(bytes('id: 12345\nevent: other\ndata: 1234567\nda'))
  expect(parser.held).toBe(5 + 5 + 7 + 2)
})

test('short lines that come with long comments hold no more than themselves', () => {
  const { parser } = parserOf(1e6)
  const before = process.memoryUsage().heapUsed
  for (let at = 0; at < 2000; at++) parser.push(bytes(`: ${'c'.repeat(60_000)}\ndata: ${'d'.repeat(20)}\n`))
  const held = process.memoryUsage().heapUsed - before
  expect(held / 1024 / 1024).toBeLessThan(60)
})
