import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { processBuffers } from '../../src/core/buffer-limit.ts'
import { SILENT, type Logger } from '../../src/core/logger.ts'
import { Reception } from '../../src/core/reception.ts'
import { bearer, keyOf, withKeys } from '../helpers/callers.ts'
import { startGateway } from '../helpers/gateway.ts'
import { scriptedDeprecated, scriptedHttp, scriptedStdio } from '../helpers/scripted-servers.ts'
import type { ScriptedRequest } from '../helpers/scripted-servers.ts'
import { ModernHttp, withEnvelope, type WireResponse } from '../helpers/wire-clients.ts'
import { RunningTime } from '../helpers/running-time.ts'

/** Large messages of servers, where they have to wait for room. */

const MIB = 1024 * 1024
const CALL = '{"name":"s__t","arguments":{}}'

const SERVERS = { stdio: scriptedStdio, 'Streamable HTTP': scriptedHttp, 'HTTP+SSE': scriptedDeprecated }

/** The beginning of an answer with so much text. */
const begun = ({ id }: ScriptedRequest, bytes: number): string =>
  `{"jsonrpc":"2.0","id":${id},"result":{"content":[{"type":"text","text":"${'x'.repeat(bytes)}`
const ENDED = '"}]}}'
const result = (bytes: number): string =>
  `"result":{"content":[{"type":"text","text":"${'x'.repeat(bytes)}"}]}`

async function until(condition: () => boolean): Promise<void> {
  for (let round = 0; round < 200 && !condition(); round++) await sleep(50)
  expect(condition()).toBe(true)
}

const held = (bytes: number) => (): boolean => processBuffers().bytes >= bytes

/** Bytes that a client does not read, until the scope ends. */
function unread(client: string, bytes: number): Disposable {
  processBuffers().waits(client, bytes)
  return { [Symbol.dispose]: () => processBuffers().waits(client, -bytes) }
}

/** A message of another server, for a client that has not read everything; it comes as far as it is read. */
class Message implements Disposable {
  reads = true
  readonly #reception: Reception
  readonly #unread: Disposable
  constructor(unreadBytes: number, bytes: number) {
    this.#unread = unread('slow', unreadBytes)
    const flow = { pause: () => void (this.reads = false), resume: () => void (this.reads = true) }
    this.#reception = new Reception(
      processBuffers(),
      { client: () => 'slow', server: 'another' },
      flow,
      () => {},
    )
    for (let at = MIB; at <= bytes && this.reads; at += MIB) this.#reception.at(at)
  }
  [Symbol.dispose](): void {
    this.#reception.end()
    this.#unread[Symbol.dispose]()
  }
}

test('a server that begins answers of 9 MiB and stops does not hold up an answer of another server', async () => {
  await using hostile = await scriptedHttp()
  await using healthy = await scriptedHttp()
  await using gateway = await startGateway({ mcpServers: { s: hostile.entry, healthy: healthy.entry } })
  await using client = new ModernHttp(gateway.origin)
  const hung = Array.from({ length: 8 }, (_, at) => client.request(String(at), 'tools/call', CALL))
  for (const _ of hung) {
    const request = await hostile.called('t')
    request.part(begun(request, 9 * MIB))
  }
  await until(held(20 * MIB))
  await sleep(200)
  using time = new RunningTime()
  const answers = ['a', 'b'].map(id =>
    client.request(`"${id}"`, 'tools/call', '{"name":"healthy__t","arguments":{}}'),
  )
  for (const _ of answers) (await healthy.called('t')).answer(result(8 * MIB))
  for (const answer of answers) expect((await answer).length).toBeGreaterThan(8 * MIB)
  expect(time.ms).toBeLessThan(7000)
  expect(await Promise.race(hung)).toContain('began a large message and stopped')
})

describe.each(Object.entries(SERVERS))('a server over %s', (_kind, start) => {
  test('that stops in the middle of an answer gives up its room to one that waits, and answers again', async () => {
    await using server = await start()
    await using gateway = await startGateway({ mcpServers: { s: server.entry } })
    await using client = new ModernHttp(gateway.origin)
    await client.request('0', 'tools/list')
    // All lists are fetched: nothing else comes in between.
    await sleep(500)
    const call = client.request('1', 'tools/call', CALL)
    const request = await server.called('t')
    request.part(begun(request, 25 * MIB))
    await until(held(25 * MIB))
    using other = new Message(14 * MIB, 9 * MIB)
    expect(other.reads).toBe(false)
    expect(await call).toContain('Server \\"s\\" began a large message and stopped')
    await until(() => other.reads)
    expect(processBuffers().bytes).toBeLessThan(25 * MIB)
    // What comes of it later is not taken for anything else.
    request.part(ENDED, true)
    const next = client.request('2', 'tools/call', CALL)
    ;(await server.called('t')).answer(result(2))
    expect(await next).toContain('"xx"')
  })

  test('whose answer the gateway does not read for want of room has its time limit meanwhile', async () => {
    await using server = await start()
    await using gateway = await startGateway({ mcpServers: { s: server.entry } }, { timeoutMs: 1500 })
    await using client = new ModernHttp(gateway.origin)
    const pressure = unread('anonymous', 60 * MIB)
    const call = client.request('1', 'tools/call', CALL)
    ;(await server.called('t')).answer(result(5 * MIB))
    let answered = false
    void call.then(() => (answered = true))
    await sleep(4000)
    expect(answered).toBe(false)
    pressure[Symbol.dispose]()
    expect((await call).length).toBeGreaterThan(5 * MIB)
  })
})

test('clients that read slowly do not hold up what comes for another client', async () => {
  await using server = await scriptedHttp()
  const slow = ['a', 'b', 'c', 'd']
  const clients = withKeys(Object.fromEntries([...slow, 'quick'].map(name => [name, {}])))
  await using gateway = await startGateway({ mcpServers: { s: server.entry }, clients })
  const clientOf = (name: string): ModernHttp =>
    new ModernHttp(gateway.origin, '/mcp', { headers: bearer(keyOf(name)) })
  const unread: WireResponse[] = []
  for (const name of [...slow, ...slow]) {
    void clientOf(name)
      .post('1', 'tools/call', withEnvelope(CALL))
      .then(response => {
        response.pause()
        unread.push(response)
      })
    ;(await server.called('t')).answer(result(10 * MIB))
  }
  await until(held(36 * MIB))
  await sleep(300)
  await using client = clientOf('quick')
  using time = new RunningTime()
  const answer = client.request('1', 'tools/call', CALL)
  ;(await server.called('t')).answer(result(10 * MIB))
  expect((await answer).length).toBeGreaterThan(10 * MIB)
  expect(time.ms).toBeLessThan(7000)
  for (const response of unread) response.destroy()
})

test('eight clients that read a large answer in a trickle do not hold up a ninth', async () => {
  await using server = await scriptedHttp()
  const slow = Array.from({ length: 8 }, (_, at) => `slow${at}`)
  const clients = withKeys(Object.fromEntries([...slow, 'quick'].map(name => [name, {}])))
  await using gateway = await startGateway({ mcpServers: { s: server.entry }, clients })
  const clientOf = (name: string): ModernHttp =>
    new ModernHttp(gateway.origin, '/mcp', { headers: bearer(keyOf(name)) })
  const unread: WireResponse[] = []
  for (const name of slow) {
    const before = processBuffers().bytes
    void clientOf(name)
      .post('1', 'tools/call', withEnvelope(CALL))
      .then(response => {
        response.pause()
        unread.push(response)
      })
    ;(await server.called('t')).answer(result(14 * MIB))
    await until(() => processBuffers().bytes >= before + 13 * MIB)
  }
  await until(() => unread.length === slow.length)
  const trickle = setInterval(() => {
    for (const response of unread) {
      response.resume()
      setImmediate(() => response.pause())
    }
  }, 500)
  await using client = clientOf('quick')
  const tookMs = async (id: string, bytes: number): Promise<number> => {
    using time = new RunningTime()
    const answer = client.request(id, 'tools/call', CALL)
    ;(await server.called('t')).answer(result(bytes))
    expect((await answer).length).toBeGreaterThan(bytes)
    return time.ms
  }
  expect(processBuffers().bytes).toBeGreaterThan(96 * MIB)
  expect(await tookMs('1', 300_000)).toBeLessThan(5000)
  expect(await tookMs('2', 10 * MIB)).toBeLessThan(5000)
  clearInterval(trickle)
  for (const response of unread) response.destroy()
})

test(
  '20 answers of 8 MiB that drip hold no more than the room and what each has sent before it waits',
  { timeout: 90_000 },
  async () => {
    await using hostile = await scriptedHttp()
    await using healthy = await scriptedHttp()
    await using gateway = await startGateway({ mcpServers: { s: hostile.entry, healthy: healthy.entry } })
    await using client = new ModernHttp(gateway.origin)
    const ended: Promise<string>[] = []
    const requests: ScriptedRequest[] = []
    for (let at = 0; at < 20; at++) {
      ended.push(client.request(String(at), 'tools/call', CALL).catch(() => 'the client left'))
      const request = await hostile.called('t')
      requests.push(request)
      request.part(begun(request, 8 * MIB))
    }
    const drip = setInterval(() => {
      for (const request of requests) request.part('y'.repeat(20_000))
    }, 300)
    let most = 0
    const tookMs: number[] = []
    const over: string[] = []
    void Promise.race(ended).then(text => over.push(text))
    using time = new RunningTime()
    for (let id = 100; over.length === 0 || tookMs.length < 20; id++) {
      most = Math.max(most, processBuffers().bytes)
      const asked = time.ms
      const answer = client.request(String(id), 'tools/call', '{"name":"healthy__t","arguments":{}}')
      ;(await healthy.called('t')).answer(result(500_000))
      expect((await answer).length).toBeGreaterThan(500_000)
      tookMs.push(time.ms - asked)
      await sleep(200)
    }
    clearInterval(drip)
    expect(most).toBeLessThan(64 * MIB)
    expect(Math.max(...tookMs)).toBeLessThan(5000)
    expect(tookMs.filter(ms => ms > 2000).length).toBeLessThan(tookMs.length / 10)
    expect(over[0]).toMatch(
      /Server \\"s\\" began a large message that came at \d+ KiB\/s, less than 256 KiB\/s, while other messages waited for room \(48 MiB\)/,
    )
  },
)

test(
  'connections of twelve clients that do not read end for a thirteenth that reads',
  { timeout: 90_000 },
  async () => {
    await using server = await scriptedHttp()
    const slow = Array.from({ length: 12 }, (_, at) => `slow${at}`)
    const clients = withKeys(Object.fromEntries([...slow, 'quick'].map(name => [name, {}])))
    const ended: unknown[] = []
    const logger: Logger = {
      ...SILENT,
      warn: (message, fields) => {
        if (message === 'A client that does not read was disconnected.') ended.push(fields?.['client'])
      },
      child: () => logger,
    }
    await using gateway = await startGateway({ mcpServers: { s: server.entry }, clients }, { logger })
    const clientOf = (name: string): ModernHttp =>
      new ModernHttp(gateway.origin, '/mcp', { headers: bearer(keyOf(name)) })
    const unread: WireResponse[] = []
    let over = false
    for (const name of slow) {
      void clientOf(name)
        .post('1', 'tools/call', withEnvelope(CALL))
        .then(response => {
          if (over) return response.destroy()
          response.pause()
          unread.push(response)
        })
      ;(await server.called('t')).answer(result(14 * MIB))
    }
    // Eight quarters of the room: after them, a client that does not read waits itself.
    await until(held(96 * MIB))
    await using client = clientOf('quick')
    const tookMs = async (id: string, bytes: number): Promise<number> => {
      using time = new RunningTime()
      const answer = client.request(id, 'tools/call', CALL)
      ;(await server.called('t')).answer(result(bytes))
      expect((await answer).length).toBeGreaterThan(bytes)
      return time.ms
    }
    expect(await tookMs('1', 300_000)).toBeLessThan(9000)
    expect(await tookMs('2', 10 * MIB)).toBeLessThan(15_000)
    expect(ended.length).toBeGreaterThan(0)
    expect(ended).not.toContain('quick')
    expect(processBuffers().bytes).toBeLessThan(160 * MIB)
    over = true
    for (const response of unread) response.destroy()
    await until(() => processBuffers().bytes < MIB)
  },
)
