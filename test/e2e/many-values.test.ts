import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { SILENT } from '../../src/core/logger.ts'
import { startGateway } from '../helpers/gateway.ts'
import { scriptedDeprecated, scriptedHttp, scriptedStdio } from '../helpers/scripted-servers.ts'
import {
  DeprecatedSession,
  LegacySession,
  ModernHttp,
  requestText,
  StdioClient,
  withEnvelope,
} from '../helpers/wire-clients.ts'

/** Messages that are small enough in bytes and hold very many values. */

const SERVERS = { stdio: scriptedStdio, 'Streamable HTTP': scriptedHttp, 'HTTP+SSE': scriptedDeprecated }

/** So many empty objects, three bytes each. */
const objects = (count: number): string => `[${'{},'.repeat(count - 1)}{}]`
const MANY_VALUES = objects(5_000_000)
const OF_SERVER = 'a message of more than 500000 values; no more are taken in one'
const OF_CLIENT = 'The message holds more than 100000 values; no more are taken in one.'

const CALL = '{"name":"s__t","arguments":{}}'
const HEALTHY = '{"name":"healthy__t","arguments":{}}'
const RESULT = '"result":{"content":[]}'

describe.each(Object.entries(SERVERS))('a server over %s', (_kind, start) => {
  test('that answers with five million values fails this call only, while others are answered', async () => {
    await using server = await start()
    await using healthy = await scriptedHttp()
    await using gateway = await startGateway({ mcpServers: { s: server.entry, healthy: healthy.entry } })
    await using client = new ModernHttp(gateway.origin)
    await client.request('0', 'tools/list')
    const calls = ['1', '2'].map(id => client.request(id, 'tools/call', CALL))
    const [large, other] = [await server.called('t'), await server.called('t')]
    const parse = vi.spyOn(JSON, 'parse')
    onTestFinished(() => parse.mockRestore())
    large.answer(`"result":{"structuredContent":{"a":${MANY_VALUES}}}`)
    const calm = client.request('3', 'tools/call', HEALTHY)
    ;(await healthy.called('t')).answer(RESULT)
    expect(await calm).toContain('"content":[]')
    const failed = await Promise.race(calls)
    // Parsed, the message alone takes 3 to 6 seconds, in which nothing else is answered.
    expect(Math.max(...parse.mock.calls.map(([text]) => text.length))).toBeLessThan(1_000_000)
    expect(failed).toContain('Server \\"s\\" sent ' + OF_SERVER)
    expect(failed).toContain('upstream_protocol')
    other.answer(RESULT)
    expect((await Promise.all(calls)).filter(text => text.includes('"content":[]'))).toHaveLength(1)
  })

  test('whose list holds too many values is without it, and says why; other lists are there', async () => {
    await using server = await start()
    await using healthy = await scriptedHttp()
    server.results.set(
      'tools/list',
      `{"tools":[{"name":"t","inputSchema":{"type":"object","enum":${objects(600_000)}}}]}`,
    )
    const said: string[] = []
    const note = (text: string, fields?: object): void => void said.push(text + JSON.stringify(fields))
    const logger = { ...SILENT, warn: note, error: note, child: () => logger }
    await using gateway = await startGateway(
      { mcpServers: { s: server.entry, healthy: healthy.entry } },
      { logger },
    )
    await using client = new ModernHttp(gateway.origin)
    const list = await client.request('0', 'tools/list')
    expect(list).toContain('healthy__t')
    expect(list).not.toContain('s__t')
    await expect.poll(() => said.join('\n')).toContain(OF_SERVER)
  })
})

test('lines of a server that are batches of empty objects are junk: a few records, and the server goes on', async () => {
  await using server = await scriptedStdio()
  await using healthy = await scriptedHttp()
  const said: string[] = []
  const logger = { ...SILENT, warn: (text: string) => void said.push(text), child: () => logger }
  await using gateway = await startGateway(
    { mcpServers: { s: server.entry, healthy: healthy.entry } },
    { logger },
  )
  await using client = new ModernHttp(gateway.origin)
  await client.request('0', 'tools/list')
  const call = client.request('1', 'tools/call', CALL)
  const request = await server.called('t')
  for (let count = 0; count < 100; count++) server.say(objects(1000))
  const calm = client.request('2', 'tools/call', HEALTHY)
  ;(await healthy.called('t')).answer(RESULT)
  expect(await calm).toContain('"content":[]')
  request.answer(RESULT)
  expect(await call).toContain('"content":[]')
  const records = said.filter(text => text.includes('without a known id'))
  expect(records.length).toBeGreaterThan(0)
  expect(records.length).toBeLessThanOrEqual(20)
})

test('a request of a client with more than 100,000 values is refused under its id, over every front', async () => {
  await using server = await scriptedHttp()
  await using gateway = await startGateway({ mcpServers: { s: server.entry } })
  await gateway.gateway.warmUp()
  const args = `{"name":"s__t","arguments":{"p":${objects(200_000)}}}`
  await using modern = new ModernHttp(gateway.origin)
  await using legacy = await LegacySession.open(gateway.origin)
  await using deprecated = await DeprecatedSession.open(gateway.origin)
  await using stdio = await StdioClient.legacy(gateway.gateway)
  await using modernStdio = new StdioClient(gateway.gateway, true)

  const answers = [
    await modern.post('"m"', 'tools/call', withEnvelope(args)),
    await legacy.post(requestText('7', 'tools/call', args)),
  ]
  for (const [at, answer] of answers.entries()) {
    expect(answer.status).toBe(413)
    const { id, error } = JSON.parse(await answer.body) as {
      id: unknown
      error: { code: number; message: string }
    }
    expect(id).toBe(['m', 7][at])
    expect(error.code).toBe(-32600)
    expect(error.message).toContain(OF_CLIENT)
  }
  await expect(deprecated.post(requestText('7', 'tools/call', args))).rejects.toThrow(OF_CLIENT)
  expect(await stdio.request('8', 'tools/call', args)).toContain(OF_CLIENT)
  expect(await modernStdio.request('9', 'tools/call', args)).toContain(OF_CLIENT)
  // None of it has reached the server, and all go on.
  for (const client of [modern, legacy, deprecated, stdio, modernStdio]) {
    const call = client.request('10', 'tools/call', CALL)
    const request = await server.called('t')
    expect(request.params).not.toContain('"p"')
    request.answer(RESULT)
    expect(await call).toContain('"content":[]')
  }
})

test('one client with many calls of 90,000 values that hang is refused at a share of the room, and another one is not', async () => {
  await using server = await scriptedHttp()
  await using gateway = await startGateway({ mcpServers: { s: server.entry } })
  await gateway.gateway.warmUp()
  await using client = new ModernHttp(gateway.origin)
  const args = withEnvelope(`{"name":"s__t","arguments":{"p":${objects(90_000)}}}`)
  const statuses: number[] = []
  const hanging = Array.from({ length: 30 }, async (_, at) => {
    const response = await client.post(String(at), 'tools/call', args)
    statuses.push(response.status)
  })
  await expect.poll(() => statuses.filter(status => status === 503).length).toBeGreaterThan(5)
  // Small calls go on.
  const small = client.request('"small"', 'tools/call', '{"name":"s__t","arguments":{"q":1}}')
  for (;;) {
    const request = await server.called('t')
    request.answer(RESULT)
    if (request.params.includes('"q"')) break
  }
  expect(await small).toContain('"content":[]')
  await sleep(0)
  await client[Symbol.asyncDispose]()
  await Promise.allSettled(hanging)
})
