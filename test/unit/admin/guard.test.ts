import type { IncomingMessage } from 'node:http'
import { expect, test } from 'vitest'
import { AdminGuard } from '../../../src/admin/guard.ts'
import { AdminProblem } from '../../../src/admin/problem-details.ts'

const TOKEN = 'a-token-of-the-admin'

/** Status of the refusal; 200 without one. */
function statusOf(guard: AdminGuard, authorization: string | undefined): number {
  const request = { headers: { host: 'localhost', authorization }, socket: {} } as unknown as IncomingMessage
  try {
    guard.check(request)
    return 200
  } catch (error) {
    if (!(error instanceof AdminProblem)) throw error
    if (error.status === 429) expect(Number(error.headers['retry-after'])).toBeGreaterThanOrEqual(1)
    return error.status
  }
}

test('a caller that asks too often gets the time of its next try', () => {
  const guard = new AdminGuard({ hosts: new Set(), token: TOKEN })
  const statuses = Array.from({ length: 200 }, () => statusOf(guard, `Bearer ${TOKEN}`))
  expect(statuses.slice(0, 100)).toEqual(statuses.slice(0, 100).fill(200))
  expect(statuses.at(-1)).toBe(429)
})

test('wrong credentials are slowed down, and do not keep the right one out', () => {
  const guard = new AdminGuard({ hosts: new Set(), token: TOKEN })
  const statuses = Array.from({ length: 1000 }, (_, at) => statusOf(guard, `Bearer ${TOKEN}${at}`))
  expect(statuses.filter(status => status === 401).length).toBeLessThan(20)
  expect(statuses.at(-1)).toBe(429)
  expect(statusOf(guard, `Bearer ${TOKEN}`)).toBe(200)
  expect(statusOf(guard, `bearer  ${TOKEN}`)).toBe(200)
  expect(statusOf(guard, undefined)).toBe(429)
})
