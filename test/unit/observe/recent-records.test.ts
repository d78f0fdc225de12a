import { Writable } from 'node:stream'
import { describe, expect, test } from 'vitest'
import { createLogger } from '../../../src/observe/logger.ts'
import { RecentRecords } from '../../../src/observe/recent-records.ts'
import type { LogRecord } from '../../../src/observe/record.ts'

const record = (message: string, server?: string): LogRecord => ({
  time: new Date(0),
  level: 'info',
  message,
  fields: { server },
})

async function all(lines: AsyncIterableIterator<string> | undefined): Promise<string[]> {
  const messages: string[] = []
  if (lines) for await (const line of lines) messages.push((JSON.parse(line) as { message: string }).message)
  return messages
}

describe('the last records of the log', () => {
  test('are bounded by lines', async () => {
    const records = new RecentRecords({ maxLines: 3, maxBytes: 1e6 })
    for (const message of ['a', 'b', 'c', 'd']) records.add(record(message))
    expect(await all(records.read(undefined, false))).toEqual(['b', 'c', 'd'])
  })

  test('are bounded by bytes', async () => {
    const records = new RecentRecords({ maxLines: 1000, maxBytes: 1000 })
    for (let n = 0; n < 100; n++) records.add(record(`${n}${'ü'.repeat(100)}`))
    const kept = await all(records.read(undefined, false))
    expect(kept.length).toBeGreaterThan(1)
    expect(Buffer.byteLength(kept.join(''))).toBeLessThanOrEqual(1000)
    expect(kept.at(-1)).toMatch(/^99/)
  })

  test('are read for one server', async () => {
    const records = new RecentRecords()
    records.add(record('of a', 'a'))
    records.add(record('of b', 'b'))
    records.add(record('of none'))
    expect(await all(records.read('b', false))).toEqual(['of b'])
  })

  test('hold no secret that the logger gets', async () => {
    const records = new RecentRecords()
    const stream = new Writable({ write: (_chunk, _encoding, done) => done() })
    const logger = createLogger({ level: 'info', stream, recent: records })
    logger.info('Authorization: Bearer sekrit-token-value', { token: 'sekrit' })
    logger.debug('not at this level')
    const lines: string[] = []
    for await (const line of records.read(undefined, false) ?? []) lines.push(line)
    expect(lines).toHaveLength(1)
    expect(lines[0]).not.toContain('sekrit')
  })

  test('are followed until they end', async () => {
    const records = new RecentRecords()
    records.add(record('before'))
    const read = all(records.read(undefined, true))
    records.add(record('after'))
    await new Promise(resolve => setImmediate(resolve))
    records.end()
    expect(await read).toEqual(['before', 'after'])
    expect(await all(records.read(undefined, true))).toEqual(['before', 'after'])
  })

  test('wait for a slow reader within a bound, and too many readers are refused', async () => {
    const records = new RecentRecords()
    const readers = Array.from({ length: 16 }, () => records.read(undefined, true))
    expect(records.read(undefined, true)).toBeUndefined()
    for (let n = 0; n < 1500; n++) records.add(record(String(n)))
    records.end()
    const kept = await all(readers[0])
    expect(kept).toHaveLength(1000)
    expect(kept.at(-1)).toBe('1499')
  })

  test('wait for a slow reader within a bound of bytes', async () => {
    const records = new RecentRecords()
    const reader = records.read(undefined, true)
    for (let n = 0; n < 900; n++) records.add(record(`${n}${'x'.repeat(8000)}`))
    records.end()
    const kept = await all(reader)
    expect(kept.at(-1)).toMatch(/^899x/)
    expect(kept.join('').length).toBeLessThan(1024 * 1024)
    expect(kept.join('').length).toBeGreaterThan(900 * 1024)
  })

  test('a reader that stops makes room for another', async () => {
    const records = new RecentRecords()
    const readers = Array.from({ length: 16 }, () => records.read(undefined, true))
    await readers[0]?.return?.()
    const next = records.read(undefined, true)
    expect(next).toBeDefined()
    for (const reader of [...readers, next]) await reader?.return?.()
  })
})
