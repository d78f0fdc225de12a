import { afterEach, beforeEach, expect, test } from 'vitest'
import { Deadlines } from '../../../../src/core/deadlines.ts'
import { GatewayError } from '../../../../src/core/errors.ts'
import type { Exchange } from '../../../../src/core/exchange.ts'
import { SILENT } from '../../../../src/core/logger.ts'
import { Link } from '../../../../src/upstream/link/link.ts'
import { exchangeOf, FakeTransport, replicaOf, serverConfig } from '../../../helpers/fake-transport.ts'

let deadlines: Deadlines
beforeEach(() => {
  deadlines = new Deadlines()
})
afterEach(() => deadlines.close())

/** A legacy server on stdio whose questions stay open. */
async function linkOf(maxQuestions = 64): Promise<{
  link: Link
  transport: FakeTransport
  asked: (readonly Exchange[])[]
  records: string[]
}> {
  const transport = new FakeTransport()
  const asked: (readonly Exchange[])[] = []
  const records: string[] = []
  const server = serverConfig({ maxQuestions })
  const link = new Link({
    server,
    replica: replicaOf(server),
    transport,
    deadlines,
    logger: { ...SILENT, info: text => void records.push(text) },
    clientInfo: '{}',
    capabilities: '{}',
    owner: undefined,
    listener: {
      onNotification: () => undefined,
      onRequest: (_link, _method, _params, among) => {
        asked.push(among)
        return new Promise(() => {})
      },
      onLost: () => undefined,
      onGap: () => undefined,
    },
  })
  await transport.open(link)
  link.establish({
    era: 'legacy',
    protocolVersion: '2025-11-25',
    capabilities: {},
    instructions: undefined,
    serverInfo: '{}',
  })
  return { link, transport, asked, records }
}

const CALL = { method: 'tools/call', change: {} } as const

function answersOf(transport: FakeTransport): { id: unknown; error?: { code: number; message: string } }[] {
  return transport.sent
    .filter(({ id, method }) => id === undefined && method === undefined)
    .map(({ text }) => JSON.parse(text) as { id: unknown; error?: { code: number; message: string } })
}

const settled = (): Promise<void> => new Promise(resolve => setImmediate(resolve))

test('a server that asks ever new questions for many calls has a bounded number of them open, and gets an error with the bound', async () => {
  const { link, transport, asked, records } = await linkOf()
  let at = 0
  for (let call = 0; call < 20; call++) {
    void link.call(exchangeOf('tools/call', { name: 'x' }), CALL).catch(() => undefined)
    // A question counts for the newest call.
    for (let count = 0; count < 64; count++)
      transport.say({ jsonrpc: '2.0', id: `q${at++}`, method: 'elicitation/create', params: {} })
  }
  await settled()
  const refused = answersOf(transport)
  expect(asked).toHaveLength(1024)
  expect(refused).toHaveLength(20 * 64 - 1024)
  expect(refused[0]?.error?.message).toBe(
    'Too many questions of the server are open; 1024 may be at once over one connection.',
  )
  expect(records.length, 'records of refusals').toBeLessThanOrEqual(20)
  // A call that ends takes its questions with it.
  await link.close(new GatewayError('upstream_closed', 'over'))
})

test('questions and log records of a server come with one list of calls, made anew only when a call begins or ends', async () => {
  const { link, transport, asked } = await linkOf()
  for (let count = 0; count < 100; count++)
    void link.call(exchangeOf('tools/call', { name: 'x' }), CALL).catch(() => undefined)
  for (let count = 0; count < 10; count++)
    transport.say({ jsonrpc: '2.0', id: `q${count}`, method: 'roots/list' })
  expect(asked).toHaveLength(10)
  expect(new Set(asked).size, 'lists').toBe(1)
  expect(asked[0]).toHaveLength(100)
  transport.answer(1, { result: {} })
  transport.say({ jsonrpc: '2.0', id: 'another', method: 'roots/list' })
  expect(asked[10]).toHaveLength(99)
  await link.close(new GatewayError('upstream_closed', 'over'))
})

test('a question on a stream that no request has is about no call', async () => {
  const { link, transport, asked } = await linkOf()
  void link.call(exchangeOf('tools/call', { name: 'x' }), CALL).catch(() => undefined)
  transport.say({ jsonrpc: '2.0', id: 'q', method: 'roots/list' }, 77)
  expect(asked).toEqual([[]])
  await link.close(new GatewayError('upstream_closed', 'over'))
})

test('a batch of more than 1,000 messages ends the connection with an error that says so, and none of them is read', async () => {
  const { link, transport } = await linkOf()
  const call = link.call(exchangeOf('tools/call', { name: 'x' }), CALL)
  const ping = { jsonrpc: '2.0', id: 'p', method: 'ping' }
  transport.say(Array.from({ length: 1000 }, () => ping))
  expect(answersOf(transport)).toHaveLength(1000)
  transport.say(Array.from({ length: 1001 }, () => ping))
  expect(answersOf(transport)).toHaveLength(1000)
  await expect(call).rejects.toThrow('a batch of 1001 messages; at most 1000 are taken')
  expect(transport.forced).toBe(true)
})

test('a batch of more than 1,000 messages on the stream of a call fails that call only', async () => {
  const { link, transport } = await linkOf()
  const call = link.call(exchangeOf('tools/call', { name: 'x' }), CALL)
  transport.say(
    Array.from({ length: 1001 }, () => ({ jsonrpc: '2.0', method: 'notifications/x' })),
    1,
  )
  await expect(call).rejects.toThrow('a batch of 1001 messages; at most 1000 are taken')
  expect(link.usable).toBe(true)
})
