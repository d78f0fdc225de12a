import { expect, test } from 'vitest'
import type { Conversation } from '../../../src/core/exchange.ts'
import { SILENT } from '../../../src/core/logger.ts'
import { Relay, type RelayOptions } from '../../../src/relay/relay.ts'
import type { Link } from '../../../src/upstream/link.ts'
import { declaredTo } from '../../../src/protocol/features.ts'

test('a server that floods log records is heard by many sessions with pauses, in order, and not in full', async () => {
  const relay = new Relay({ logger: SILENT, sees: () => true } as unknown as RelayOptions)
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
