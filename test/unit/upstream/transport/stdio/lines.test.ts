import { describe, expect, it } from 'vitest'
import { LineSplitter } from '../../../../../src/upstream/transport/stdio/line-splitter.ts'
import { responseId } from '../../../../../src/upstream/transport/shared/response-id.ts'
import { cpuMs } from '../../../../helpers/running-time.ts'

type Seen = string | { head: string; tail: string; size: number }

function split(maxBytes: number, chunks: readonly (string | Buffer)[]): Seen[] {
  const seen: Seen[] = []
  const splitter = new LineSplitter(maxBytes, {
    onLine: (bytes, start, end) => void seen.push(bytes.toString('utf8', start, end)),
    onLongLine: (head, tail, size) => void seen.push({ head: head.toString(), tail: tail.toString(), size }),
  })
  for (const chunk of chunks) splitter.push(Buffer.from(chunk as string))
  splitter.end()
  return seen
}

/** Processor milliseconds for one line of `bytes` in chunks of `chunkBytes`. */
function time(bytes: number, chunkBytes: number): number {
  const splitter = new LineSplitter(100_000_000, { onLine: () => {}, onLongLine: () => {} })
  const chunk = Buffer.alloc(chunkBytes, 'x')
  const started = cpuMs()
  for (let sent = 0; sent < bytes; sent += chunkBytes) splitter.push(chunk)
  splitter.push(Buffer.from('\n'))
  return cpuMs() - started
}

describe('LineSplitter', () => {
  const text = 'one\n\ntwo é 🙂\r\nthree'
  const expected = ['one', '', 'two é 🙂\r', 'three']

  it('drops nothing where no line has begun, and returns the next line whole', () => {
    const seen: string[] = []
    const splitter = new LineSplitter(100, {
      onLine: (bytes, start, end) => void seen.push(bytes.toString('utf8', start, end)),
      onLongLine: () => void seen.push('long'),
    })
    splitter.push(Buffer.from('one\n'))
    expect(splitter.skip()).toHaveLength(0)
    splitter.push(Buffer.from('t'))
    splitter.push(Buffer.from('wo\n'))
    expect(seen).toEqual(['one', 'two'])
  })

  it('cuts at newlines wherever the chunks are cut', () => {
    const bytes = Buffer.from(text)
    for (let size = 1; size <= bytes.length; size++) {
      const chunks: Buffer[] = []
      for (let at = 0; at < bytes.length; at += size) chunks.push(bytes.subarray(at, at + size))
      expect(split(100, chunks)).toEqual(expected)
    }
  })

  it('takes a line of just the limit and skips a longer one, whatever the chunks', () => {
    for (const size of [1, 3, 7, 1000]) {
      const bytes = Buffer.from(`${'a'.repeat(10)}\n${'b'.repeat(11)}\nc\n`)
      const chunks: Buffer[] = []
      for (let at = 0; at < bytes.length; at += size) chunks.push(bytes.subarray(at, at + size))
      expect(split(10, chunks)).toEqual([
        'a'.repeat(10),
        { head: 'b'.repeat(11), tail: 'b'.repeat(11), size: 11 },
        'c',
      ])
    }
  })

  it('keeps both ends of a long line', () => {
    const line = `HEAD${'x'.repeat(5000)}TAIL`
    for (const size of [1, 100, 513, 10_000]) {
      const chunks: string[] = []
      for (let at = 0; at < line.length; at += size) chunks.push(line.slice(at, at + size))
      const [seen, next] = split(2000, [...chunks, '\nnext\n'])
      expect(seen).toEqual({ head: line.slice(0, 512), tail: line.slice(-512), size: line.length })
      expect(next).toBe('next')
    }
  })

  it('takes linear time for a line of 30 MB, in small and in large chunks', () => {
    time(1_000_000, 16)
    // Copying everything for each chunk would take minutes in the first case.
    expect(time(30_000_000, 16)).toBeLessThan(5000)
    expect(time(30_000_000, 65_536)).toBeLessThan(1000)
  })
})

describe('responseId', () => {
  it.each([
    ['{"jsonrpc":"2.0","id":7,"result":{"x', 'x"}}', 7],
    ['{ "id" : 8 , "jsonrpc" : "2.0" , "result" : {', '}}', 8],
    ['{"jsonrpc":"2.0","id":9,"error":{"code":1', '}}', 9],
    ['{"result":{"x', '"},"jsonrpc":"2.0","id":10}', 10],
    ['{"jsonrpc":"2.0","result":{"x', '"},"id":11}\r', 11],
    ['{"error":{"x', '"},"id":12,"jsonrpc":"2.0"}', 12],
  ])('finds it in %s … %s', (head, tail, id) => {
    expect(responseId(head, tail)).toBe(id)
  })

  it.each([
    ['{"jsonrpc":"2.0","id":7,"method":"sampling/createMessage","params":{', '}}'],
    ['{"method":"x","params":{', '},"jsonrpc":"2.0","id":7}'],
    ['{"result":{"x', '","id":7}}'],
    ['{"result":"x', String.raw`,\"id\":7}"}`],
    ['{"jsonrpc":"2.0","id":"7","result":{', '}}'],
    ['{"result":{', '},"id":"7"}'],
    ['[{"jsonrpc":"2.0","id":7,"result":{', '}}]'],
    ['', ''],
  ])('finds none in %s … %s', (head, tail) => {
    expect(responseId(head, tail)).toBeUndefined()
  })
})
