import { expect, test } from 'vitest'
import { SILENT, type LogFields, type Logger } from '../../../src/core/logger.ts'
import { onceLogger } from '../../../src/core/once-logger.ts'
import { sameness } from '../../../src/core/sameness.ts'

function recorder(): { readonly lines: [string, LogFields | undefined][]; readonly logger: Logger } {
  const lines: [string, LogFields | undefined][] = []
  const at = (own: LogFields): Logger => ({
    ...SILENT,
    warn: (message, fields) => void lines.push([message, { ...own, ...fields }]),
    child: fields => at({ ...own, ...fields }),
  })
  return { lines, logger: at({}) }
}

test('a record is written once for each server, also when only a time in it differs', () => {
  const { lines, logger } = recorder()
  const once = onceLogger(logger)
  for (const server of ['a', 'b'])
    for (const second of [1, 2, 3]) once.child({ server }).warn('Late.', { cause: `at 09:10:0${second}` })
  once.warn('Late.', { server: 'a', cause: 'no key' })
  expect(lines.map(([, fields]) => `${fields?.server} ${fields?.cause}`)).toEqual([
    'a at 09:10:01',
    'b at 09:10:01',
    'a no key',
  ])
})

test('of records that differ 20 are written, then their number whenever it has doubled', async () => {
  const { lines, logger } = recorder()
  const once = onceLogger(logger)
  for (const upTo of [50, 50, 60, 90])
    for (let at = 0; at < upTo; at++) {
      once.warn('Same.', { server: 'a', uri: `x://${at}` })
      if (at === upTo - 1) await Promise.resolve()
    }
  expect(lines.filter(([message]) => message === 'Same.')).toHaveLength(20)
  expect(lines.slice(20)).toEqual([
    ['Of these records 30 more are not written.', { about: 'Same.', alike: 30, server: 'a' }],
    ['Of these records 70 more are not written.', { about: 'Same.', alike: 70, server: 'a' }],
  ])
})

test('an endless number of different records ends in a bound', async () => {
  const { lines, logger } = recorder()
  const once = onceLogger(logger)
  for (let at = 0; at < 100_000; at++) {
    once.warn('Same.', { server: 'a', uri: `x://${'y'.repeat(at % 300)}${at % 1000}-${at}` })
    if (at % 100 === 0) await Promise.resolve()
  }
  expect(lines.length).toBeLessThan(40)
})

test('a record is written once, however many servers have many different ones', async () => {
  const { lines, logger } = recorder()
  const once = onceLogger(logger)
  const round = async (): Promise<void> => {
    for (let server = 0; server < 25; server++)
      for (let at = 0; at < 1100; at++)
        once.warn('Same.', { server: `s${server}`, uri: `x://${at % 1000}/${at}-` })
    await Promise.resolve()
  }
  await round()
  expect(lines.filter(([message]) => message === 'Same.')).toHaveLength(25 * 20)
  const written = lines.length
  for (let again = 0; again < 3; again++) await round()
  expect(lines.length).toBe(written)
  once.warn('Same.', { server: 'late', uri: 'x://1' })
  once.warn('Same.', { server: 'late', uri: 'x://1' })
  expect(lines.length).toBe(written + 1)
})

test('texts are the same but for what differs each time', () => {
  const said = (text: string): string => sameness(text, 240)
  expect(said('2026-11-27 09:10:22,123 [77] no key f5224db9-9fee-45e2-917a-7c77551d4237')).toBe(
    said('2026-11-28 10:11:23,456 [8] no key 33577a37-3dcb-4492-9b04-dd308e2d7db4'),
  )
  expect(said('gave up after 1.2 s, see /tmp/a-x1/log')).toBe(said('gave up after 30 s, see /tmp/b/log'))
  expect(said('HTTP 401')).not.toBe(said('HTTP 403'))
})
