import { expect, test } from 'vitest'
import { QuestionRoom } from '../../../src/core/question-room.ts'

const MIB = 1024 * 1024
/** Questions of one MiB of text each that a client may have open; a question counts for two copies. */
function takeAll(room: QuestionRoom, holder: string): (() => void)[] {
  const taken: (() => void)[] = []
  for (let next = room.take(holder, MIB); next; next = room.take(holder, MIB)) taken.push(next)
  return taken
}

test('questions that wait hold no more than the room, whatever clients do', () => {
  const room = new QuestionRoom(64 * MIB)
  let count = 0
  for (let client = 0; client < 100; client++) count += takeAll(room, `client ${client}`).length
  expect(count).toBeGreaterThan(20)
  expect(count).toBeLessThanOrEqual(32)
})

test('a client that holds much leaves room for one that holds little', () => {
  const room = new QuestionRoom(64 * MIB)
  for (let client = 0; client < 5; client++) takeAll(room, `client ${client}`)
  for (let at = 0; at < 100; at++) expect(room.take('small', 1000)).toBeDefined()
})

test('room that is given back twice is given back once', () => {
  const room = new QuestionRoom(64 * MIB)
  const taken = takeAll(room, 'a')
  const most = taken.length
  expect(most).toBe(12)
  for (const giveBack of [...taken, ...taken]) giveBack()
  expect(takeAll(room, 'a')).toHaveLength(most)
})

test('one question may fill what is not reserved', () => {
  const room = new QuestionRoom(64 * MIB)
  expect(room.take('a', 25 * MIB)).toBeUndefined()
  expect(room.take('a', 23 * MIB)).toBeDefined()
})
