import { expect, test } from 'vitest'
import { Retries } from '../../../src/catalog/retries.ts'
import { monotonicNow } from '../../../src/core/clock.ts'

test('a try that is planned while starts are backed off is planned for their end', () => {
  const retries = new Retries(() => undefined)
  const notBefore = monotonicNow() + 30_000
  retries.later('a', notBefore)
  retries.later('b', monotonicNow() - 1)
  expect(retries.next('a')).toBeGreaterThanOrEqual(notBefore)
  expect(retries.next('a')).toBeLessThan(notBefore + 1000)
  expect(retries.next('b')).toBeLessThan(monotonicNow() + 1500)
  retries.close()
})
