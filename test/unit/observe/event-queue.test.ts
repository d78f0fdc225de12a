import { expect, it } from 'vitest'
import { EventBus } from '../../../src/core/event-bus.ts'
import type { GatewayEvent } from '../../../src/core/events.ts'
import { SILENT } from '../../../src/core/logger.ts'
import { EventQueue } from '../../../src/observe/event-queue.ts'
import { deferred } from '../../helpers/deferred.ts'

const settle = (): Promise<void> => new Promise(resolve => setImmediate(resolve))
const at = (time: number): GatewayEvent => ({ type: 'shutdown.began', time })
const told = (events: readonly GatewayEvent[]): (number | string)[] =>
  events.map(event => (event.type === 'events.lost' ? `lost ${event.count}` : event.time))

it('hands over what comes in order, in another turn, the next when the last is taken', async () => {
  const gate = deferred<void>()
  const taken: (number | string)[][] = []
  const queue = new EventQueue({
    logger: SILENT,
    take: events => {
      taken.push(told(events))
      return gate.promise
    },
  })
  queue.listener(at(1))
  queue.listener(at(2))
  expect(taken).toEqual([])
  await settle()
  await settle()
  queue.listener(at(3))
  expect(taken).toEqual([[1, 2]])
  gate.resolve()
  await queue.close()
  expect(taken).toEqual([[1, 2], [3]])
  queue.listener(at(4))
  await settle()
  expect(taken).toHaveLength(2)
})

it('events above it are dropped and counted, and the listener gets the position', async () => {
  const gate = deferred<void>()
  const taken: (number | string)[] = []
  const queue = new EventQueue({
    logger: SILENT,
    maxEvents: 2,
    take: async events => {
      taken.push(...told(events))
      await gate.promise
    },
  })
  for (let time = 1; time <= 5; time++) queue.listener(at(time))
  expect([queue.waiting, queue.lost]).toEqual([2, 3])
  await settle()
  await settle()
  queue.listener(at(6))
  gate.resolve()
  await queue.close()
  expect(taken).toEqual([1, 2, 'lost 3', 6])
  expect(queue.lost).toBe(3)
})

it('the last losses are reported, too, though no record follows them', async () => {
  const taken: (number | string)[] = []
  const queue = new EventQueue({
    logger: SILENT,
    maxEvents: 1,
    take: events => void taken.push(...told(events)),
  })
  for (let time = 1; time <= 3; time++) queue.listener(at(time))
  await queue.close()
  expect(taken).toEqual([1, 'lost 2'])
})

it('holds a bounded number of bytes, whatever clients send', () => {
  const queue = new EventQueue({
    logger: SILENT,
    maxBytes: 100_000,
    take: () => new Promise(() => undefined),
  })
  const text = JSON.stringify({ text: 'x'.repeat(5000) })
  const event = {
    ...at(1),
    request: { method: 'm', params: { text, value: {} }, progressToken: undefined },
  } as GatewayEvent
  for (let times = 0; times < 10; times++) queue.listener(event)
  expect([queue.waiting, queue.lost]).toEqual([2, 8])
})

it('a listener that fails loses what it was given, goes on with the next, and is logged once', async () => {
  const records: string[] = []
  const taken: (number | string)[] = []
  const queue = new EventQueue({
    logger: { ...SILENT, error: message => void records.push(message) },
    take: events => {
      if (events[0]?.time !== 3) throw new Error('no')
      taken.push(...told(events))
    },
  })
  const bus = new EventBus(SILENT)
  bus.on('*', queue.listener)
  for (let time = 1; time <= 3; time++) {
    bus.emit(at(time))
    await settle()
    await settle()
  }
  await queue.close()
  expect(taken).toEqual([3])
  expect(queue.lost).toBe(2)
  expect(records).toHaveLength(1)
})
