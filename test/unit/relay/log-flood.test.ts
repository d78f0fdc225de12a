import { expect, test } from 'vitest'
import type { Conversation } from '../../../src/core/exchange.ts'
import { SILENT } from '../../../src/core/logger.ts'
import { NotificationRelay, type NotificationRelayOptions } from '../../../src/relay/notification-relay.ts'
import type { Link } from '../../../src/upstream/link/link.ts'
import { declaredTo } from '../../../src/protocol/capabilities.ts'

test('log records of a flooding server reach many sessions with pauses, in order, and not in full', async () => {
  const relay = new NotificationRelay({
    logger: SILENT,
    sees: () => true,
  } as unknown as NotificationRelayOptions)
  let told = 0
  const heard: string[][] = []
  for (let count = 0; count < 100; count++) {
    const own: string[] = []
    heard.push(own)
    relay.join({
      view: '',
      logLevel: undefined,
      notify: (_: string, params: string) => {
        told++
        own.push(params)
        const until = performance.now() + 0.01
        while (performance.now() < until);
      },
    } as unknown as Conversation)
  }
  const link = {
    server: { name: 's', roots: undefined },
    owner: undefined,
    capabilities: declaredTo('', undefined),
  } as unknown as Link
  for (let at = 0; at < 3000; at++) {
    const value = { level: 'info', data: at }
    relay.onNotification(link, 'notifications/message', { text: JSON.stringify(value), value }, [])
  }
  expect(told, 'told before everything else had its turn').toBeLessThan(100 * 1500)
  for (let before = -1; before !== told;) {
    before = told
    for (let count = 0; count < 20; count++) await new Promise(resolve => setImmediate(resolve))
  }
  const [first] = heard as [string[]]
  expect(first.length).toBeLessThan(2500)
  expect(first[0]).toBe('{"level":"info","data":0}')
  for (const own of heard) expect(own).toEqual(first)
})

test('a server that floods log records takes none of those of other servers, and its own that are dropped are reported in few lines', async () => {
  const lines: unknown[] = []
  const logger = { ...SILENT, debug: (...line: unknown[]) => void lines.push(line) }
  const relay = new NotificationRelay({ logger, sees: () => true } as unknown as NotificationRelayOptions)
  const heard = new Map<unknown, number>()
  for (let count = 0; count < 20; count++)
    relay.join({
      view: '',
      logLevel: undefined,
      notify: (_: string, params: string) => {
        const { data } = JSON.parse(params) as { data: string }
        heard.set(data[0], (heard.get(data[0]) ?? 0) + 1)
        const until = performance.now() + 0.01
        while (performance.now() < until);
      },
    } as unknown as Conversation)
  const say = (name: string, data: string): void => {
    const link = {
      server: { name, roots: undefined },
      owner: undefined,
      capabilities: declaredTo('', undefined),
    }
    const value = { level: 'info', data }
    const params = { text: JSON.stringify(value), value }
    relay.onNotification(link as unknown as Link, 'notifications/message', params, [])
  }
  for (let at = 0; at < 3000; at++) {
    say('a', 'a')
    if (at % 100 === 99) say('b', 'b')
  }
  // Long ones reach the bound on what they hold before that on their number.
  const long = 'c'.repeat(60_000)
  for (let at = 0; at < 300; at++) say('c', long)
  for (let before = -1, told = 0; before !== told;) {
    before = told
    for (let count = 0; count < 20; count++) await new Promise(resolve => setImmediate(resolve))
    told = [...heard.values()].reduce((sum, own) => sum + own, 0)
  }
  expect(heard.get('a')).toBeLessThan(2500 * 20)
  expect(heard.get('b')).toBe(30 * 20)
  expect(heard.get('c')).toBeLessThan(100 * 20)
  expect(lines.length).toBeGreaterThan(0)
  expect(lines.length).toBeLessThan(10)
})
