import { Writable } from 'node:stream'
import { expect, it } from 'vitest'
import { WriteQueue } from '../../../../../src/upstream/transport/stdio/write-queue.ts'

it('a request that was not written yet leaves the queue, and with it its bytes', async () => {
  const written: string[] = []
  let release = (): void => undefined
  const pipe = new Writable({
    write(chunk: Buffer, _encoding, done) {
      written.push(chunk.toString())
      release = done
    },
  })
  const queue = new WriteQueue(pipe, 1000, () => undefined)
  const push = (id: number): string => queue.push({ text: `${id}`.repeat(600), id, method: 'm' })
  expect(push(1)).toBe('taken')
  await new Promise(resolve => setImmediate(resolve))
  expect(queue.drop(1)).toBe(false)
  release()
  await new Promise(resolve => setImmediate(resolve))
  expect(push(2)).toBe('taken')
  expect(push(3)).toBe('full')
  expect(queue.drop(2)).toBe(true)
  expect(push(4)).toBe('taken')
  await new Promise(resolve => setImmediate(resolve))
  expect(written.map(text => text[0])).toEqual(['1', '4'])
})
