import { runInNewContext } from 'node:vm'
import { expect, it } from 'vitest'
import { EVENT_TYPES, EventBus } from '../../../src/core/event-bus.ts'
import type { GatewayEvent } from '../../../src/core/events.ts'
import { SILENT, type LogFields } from '../../../src/core/logger.ts'

const SHUTDOWN: GatewayEvent = { type: 'shutdown.began', time: 1 }
const LOST: GatewayEvent = { type: 'events.lost', time: 2, count: 3 }
const settle = (): Promise<void> => new Promise(resolve => setImmediate(resolve))

it('says what is listened to, for as long as it is', () => {
  const bus = new EventBus(SILENT)
  expect(Object.values(bus.heard).some(Boolean)).toBe(false)
  const off = bus.on('shutdown.began', () => undefined)
  const offToo = bus.on('shutdown.began', () => undefined)
  expect(bus.heard['shutdown.began']).toBe(true)
  expect(bus.heard['events.lost']).toBe(false)
  off()
  off()
  expect(bus.heard['shutdown.began']).toBe(true)
  offToo()
  expect(bus.heard['shutdown.began']).toBe(false)
})

it.each(['request.began', 'request.ended', 'quota.refused', '*'] as const)(
  'receives requests for %s',
  type => {
    const bus = new EventBus(SILENT)
    const off = bus.on(type as '*', () => undefined)
    expect(bus.hearsRequests).toBe(true)
    off()
    expect(bus.hearsRequests).toBe(false)
  },
)

it('tells in the order of the listeners, those of one type and those of all', () => {
  const bus = new EventBus(SILENT)
  const heard: string[] = []
  bus.on('*', ({ type }) => void heard.push(`all ${type}`))
  bus.on('shutdown.began', ({ type }) => void heard.push(`one ${type}`))
  bus.emit(SHUTDOWN)
  bus.emit(LOST)
  expect(heard).toEqual(['all shutdown.began', 'one shutdown.began', 'all events.lost'])
  expect(EVENT_TYPES.every(type => bus.heard[type])).toBe(true)
})

it('freezes an event as soon as anything but the gateway hears it, whichever was first', () => {
  const bus = new EventBus(SILENT)
  const frozen: boolean[] = []
  const note = (event: GatewayEvent): void => void frozen.push(Object.isFrozen(event))
  bus.hear('shutdown.began', note)
  bus.emit({ ...SHUTDOWN })
  const off = bus.on('*', note)
  bus.emit({ ...SHUTDOWN })
  off()
  bus.emit({ ...SHUTDOWN })
  expect(frozen).toEqual([false, true, true, false])
})

const refuse = (): never => {
  throw new Error('not to be read')
}

it.each([
  ['an object whose text cannot be made', { toString: refuse }],
  ['an object without a prototype', Object.create(null)],
  ['an error whose message cannot be read', Object.defineProperty(new Error(), 'message', { get: refuse })],
  ['a proxy that refuses everything', new Proxy({}, { get: refuse, getPrototypeOf: refuse })],
])('a listener that throws %s costs the others nothing', async (_, thrown: unknown) => {
  const records: (LogFields | undefined)[] = []
  const bus = new EventBus({ ...SILENT, error: (_message, fields) => void records.push(fields) })
  let heard = 0
  bus.on('*', () => {
    throw thrown
  })
  bus.on('*', () => Promise.reject(thrown as Error))
  bus.on('*', () => void heard++)
  bus.emit(SHUTDOWN)
  await settle()
  expect([heard, bus.failures]).toEqual([1, 2])
  expect(records).toEqual([
    { event: 'shutdown.began', cause: 'an error that cannot be read' },
    { event: 'shutdown.began', cause: 'an error that cannot be read' },
  ])
})

it('a listener that fails, at once or later, costs the others nothing, and is logged once', async () => {
  const records: [string, LogFields | undefined][] = []
  const bus = new EventBus({ ...SILENT, error: (message, fields) => void records.push([message, fields]) })
  let heard = 0
  bus.on('*', () => {
    throw new Error('at once')
  })
  bus.on('*', async () => {
    await settle()
    throw new Error('later')
  })
  bus.on('*', () => void heard++)
  for (let at = 0; at < 3; at++) bus.emit(SHUTDOWN)
  await settle()
  await settle()
  expect(heard).toBe(3)
  expect(bus.failures).toBe(6)
  expect(records.map(([, fields]) => fields?.['cause'])).toEqual(['at once', 'later'])
})

it('a listener may be added and removed while events are delivered', () => {
  const bus = new EventBus(SILENT)
  const heard: string[] = []
  const off = bus.on('shutdown.began', () => {
    heard.push('first')
    off()
    bus.on('shutdown.began', () => void heard.push('late'))
  })
  bus.on('shutdown.began', () => void heard.push('second'))
  bus.emit(SHUTDOWN)
  expect(heard).toEqual(['first', 'second'])
  bus.emit(SHUTDOWN)
  expect(heard).toEqual(['first', 'second', 'second', 'late'])
})

it('a listener that another one has removed does not get the event that is being delivered', () => {
  const bus = new EventBus(SILENT)
  const heard: string[] = []
  bus.on('shutdown.began', () => off())
  const off = bus.on('*', ({ type }) => void heard.push(type))
  bus.emit(SHUTDOWN)
  expect(heard).toEqual([])
})

it('a promise of another realm that rejects is counted, and ends no process', async () => {
  const bus = new EventBus(SILENT)
  bus.on('shutdown.began', runInNewContext('async () => { throw new Error("later") }') as () => void)
  bus.emit(SHUTDOWN)
  await settle()
  expect(bus.failures).toBe(1)
})

it('a type that does not exist is refused with the types that do', () => {
  const bus = new EventBus(SILENT)
  expect(() => bus.on('request.end' as 'request.ended', () => undefined)).toThrow(/request\.ended/)
  expect(() => bus.on('request.ended', undefined as never)).toThrow('not a function')
  expect(bus.hearsRequests).toBe(false)
})
