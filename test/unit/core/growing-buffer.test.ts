import { execFileSync } from 'node:child_process'
import { expect, it } from 'vitest'
import { GrowingBuffer } from '../../../src/core/growing-buffer.ts'

const MIB = 1024 * 1024
const DIST = new URL('../../../dist/core/growing-buffer.js', import.meta.url).href

it.each([10, 300 * 1024, 5 * MIB])('%i bytes that come in pieces of odd sizes are what they were', size => {
  const bytes = Buffer.from(Array.from({ length: size }, (_, at) => 32 + (at % 90)))
  const growing = new GrowingBuffer(8 * MIB)
  for (let start = 0, step = 1; start < size; step = Math.min(100_000, step * 3)) {
    const end = Math.min(size, start + step)
    growing.append(bytes, start, end)
    start = end
  }
  expect(growing.size).toBe(size)
  expect(growing.view.subarray(0, size).equals(bytes)).toBe(true)
  expect(growing.toString()).toBe(bytes.toString())
})

it('characters that end in another piece are whole', () => {
  const bytes = Buffer.from('é🙂'.repeat(100_000))
  const growing = new GrowingBuffer(MIB)
  for (let start = 0; start < bytes.length; start += 7)
    growing.append(bytes, start, Math.min(bytes.length, start + 7))
  expect(growing.toString()).toBe('é🙂'.repeat(100_000))
})

it('what a large message took is given back at once, and the next one begins empty', () => {
  const script = `
    import { GrowingBuffer } from ${JSON.stringify(DIST)}
    const growing = new GrowingBuffer(${64 * MIB})
    const chunk = Buffer.alloc(${MIB}, 'x')
    const resident = () => process.memoryUsage.rss() / ${MIB}
    for (let round = 0; round < 3; round++) {
      const before = resident()
      for (let left = 40; left > 0; left--) growing.append(chunk)
      const full = resident()
      growing.clear()
      console.log(full - before, resident() - before, growing.size)
    }`
  const printed = execFileSync(process.execPath, ['--input-type=module', '--eval', script], {
    encoding: 'utf8',
  })
  const rounds = printed
    .trim()
    .split('\n')
    .map(line => line.split(' ').map(Number))
  expect(rounds).toHaveLength(3)
  for (const [full = 0, left = 0, size] of rounds) {
    expect(full).toBeGreaterThan(30)
    expect(left).toBeLessThan(10)
    expect(size).toBe(0)
  }
})

it('a message may be larger than was said', () => {
  const growing = new GrowingBuffer(MIB)
  for (let left = 3; left > 0; left--) growing.append(Buffer.alloc(MIB, String(left)))
  expect(growing.toString()).toBe('3'.repeat(MIB) + '2'.repeat(MIB) + '1'.repeat(MIB))
})
