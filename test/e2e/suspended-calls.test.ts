import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import type { JsonObject } from '../../src/core/exchange.ts'
import { rawAt } from '../../src/protocol/json-text.ts'
import { callAs, keyOf, withKeys, type Caller } from '../helpers/callers.ts'
import { startGateway, type TestGateway } from '../helpers/gateway.ts'
import { form } from '../helpers/rounds.ts'
import { makeScratch } from '../helpers/scratch.ts'
import { scriptedStdio, type ScriptedProcesses, type ScriptedRequest } from '../helpers/scripted-servers.ts'

/** A call of a modern client that waits here for the answer to a question of a legacy server, and the client that comes back for it. */

const EMPTY = '"result":{"content":[]}'
const CALL = '{"name":"a__t","arguments":{}}'
const DECLINE = '{"action":"decline"}'

interface Scene {
  readonly server: ScriptedProcesses
  readonly one: Caller
  readonly two: Caller
  /** A call of the first client that was asked: how to come back for it, and what the server has. */
  park(): Promise<{ call: ScriptedRequest; retry: string }>
}

const callerOf = async ({ origin }: TestGateway, name: string): Promise<Caller> => {
  const capabilities = '{"elicitation":{"form":{}}}'
  const caller = await callAs(origin, keyOf(name), { modern: true, capabilities })
  if (!caller) throw new Error('there is no endpoint')
  return caller
}

const answered = (server: ScriptedProcesses): Promise<string> =>
  server.messages.take(
    text => rawAt(text, 'id') === '"q"' && rawAt(text, 'method') === undefined,
    'the answer',
  )

/** One call may wait at a time: what remains of an earlier one would keep the question from being asked. */
async function scene(
  run: (scene: Scene) => Promise<void>,
  answerTimeout = '1m',
  more: JsonObject = {},
): Promise<void> {
  await using server = await scriptedStdio()
  await using gateway = await startGateway({
    mcpServers: { a: { ...server.entry, retry: true } },
    clients: withKeys({ one: {}, two: {} }),
    gateway: { asks: { maxSuspendedCalls: 1, answerTimeout }, ...more },
  })
  await gateway.gateway.warmUp()
  await using one = await callerOf(gateway, 'one')
  await using two = await callerOf(gateway, 'two')
  const park: Scene['park'] = async () => {
    const calling = one.request('tools/call', CALL)
    const call = await server.called('t')
    call.say(`{"jsonrpc":"2.0","id":"q","method":"elicitation/create","params":${form('m')}}`)
    const asked = await calling
    expect(rawAt(asked, 'result', 'resultType')).toBe('"input_required"')
    const key = Object.keys(
      (JSON.parse(asked) as { result: { inputRequests: object } }).result.inputRequests,
    )[0]
    const state = rawAt(asked, 'result', 'requestState')
    const more = `,"inputResponses":{"${key}":${DECLINE}},"requestState":${state}}`
    return { call, retry: CALL.replace(/\}$/, more) }
  }
  await run({ server, one, two, park })
  // Nothing of it remains: the only place is free, and the id of the question is.
  const { call, retry } = await park()
  const retrying = one.request('tools/call', retry)
  expect(rawAt(await answered(server), 'result')).toBe(DECLINE)
  call.answer(EMPTY)
  expect(await retrying).toContain('"content":[]')
}

const refusalOf = (text: string): string | undefined => rawAt(text, 'error', 'message')

describe('a call that waits for its client', () => {
  test('goes on with the answer of its own client', () =>
    scene(async ({ server, one, park }) => {
      const { call, retry } = await park()
      const retrying = one.request('tools/call', retry)
      expect(rawAt(await answered(server), 'result')).toBe(DECLINE)
      call.answer(EMPTY)
      expect(await retrying).toContain('"content":[]')
    }))

  test('is refused to another client as one that never was, and still goes on with its own', () =>
    scene(async ({ server, one, two, park }) => {
      const { call, retry } = await park()
      const unknown = retry.replace(/"requestState":"[^"]*"/, '"requestState":"AAAA"')
      const refused = refusalOf(await two.request('tools/call', retry))
      expect(refused).toContain('was not given out here to this client')
      expect(refusalOf(await two.request('tools/call', unknown))).toBe(refused)
      expect(server.messages.left.filter(text => rawAt(text, 'id') === '"q"')).toEqual([])
      const retrying = one.request('tools/call', retry)
      expect(rawAt(await answered(server), 'result')).toBe(DECLINE)
      call.answer(EMPTY)
      expect(await retrying).toContain('"content":[]')
    }))

  test('is refused with other arguments, and goes on with its own', () =>
    scene(async ({ server, one, park }) => {
      const { call, retry } = await park()
      const other = retry.replace('"arguments":{}', '"arguments":{"x":1}')
      expect(refusalOf(await one.request('tools/call', other))).toContain('belongs to another request')
      const retrying = one.request('tools/call', retry)
      await answered(server)
      call.answer(EMPTY)
      expect(await retrying).toContain('"content":[]')
    }))

  test('takes an answer once, while it runs and after it has ended', () =>
    scene(async ({ server, one, park }) => {
      const { call, retry } = await park()
      const retrying = one.request('tools/call', retry)
      await answered(server)
      expect(refusalOf(await one.request('tools/call', retry))).toContain('has been used already')
      call.answer(EMPTY)
      expect(await retrying).toContain('"content":[]')
      expect(refusalOf(await one.request('tools/call', retry))).toContain('no longer waiting')
      // Neither was run, nor answered a second time.
      expect(server.requests.left).toEqual([])
      expect(server.messages.left.filter(text => rawAt(text, 'id') === '"q"')).toEqual([])
    }))

  test('is over for a client that comes back too late, and the server is notified', () =>
    scene(async ({ server, one, park }) => {
      const { retry } = await park()
      await server.notifications.take(text => text.includes('notifications/cancelled'), 'the cancellation')
      expect(rawAt(await answered(server), 'error', 'message')).toContain('the client did not come back')
      expect(refusalOf(await one.request('tools/call', retry))).toMatch(/has expired|no longer waiting/)
    }, '1s'))

  test('ends for a client that comes back after the server is gone with an error that names it', () =>
    scene(async ({ server, one, park }) => {
      const { retry } = await park()
      server.hangUp()
      const ended = await one.request('tools/call', retry)
      expect(ended).toContain('"isError":true')
      expect(ended).toContain('Server \\"a\\"')
      expect(refusalOf(await one.request('tools/call', retry))).toContain('no longer waiting')
    }))

  test('is not run again after its client has answered, though it may run twice and the server is gone', () =>
    scene(async ({ server, one, park }) => {
      const { retry } = await park()
      const retrying = one.request('tools/call', retry)
      await answered(server)
      server.hangUp()
      expect(await retrying).toContain('"isError":true')
      expect(server.requests.left).toEqual([])
    }))

  test('has a line for each of its requests, with the time of the server but not that of the client', async () => {
    await using scratch = makeScratch()
    const file = join(scratch.path, 'audit.jsonl')
    await scene(
      async ({ server, one, park }) => {
        const { call, retry } = await park()
        await setTimeout(300)
        const retrying = one.request('tools/call', retry)
        await answered(server)
        await setTimeout(50)
        call.answer(EMPTY)
        await retrying
      },
      '1m',
      { audit: { file } },
    )
    const lines = readFileSync(file, 'utf8').trim().split('\n')
    const calls = lines
      .map(line => JSON.parse(line) as JsonObject)
      .filter(line => line.method === 'tools/call')
    expect(calls).toHaveLength(4)
    for (const { replica, upstreamMs, durationMs } of calls) {
      expect(replica).toBe('1')
      expect(upstreamMs).toBeGreaterThan(0)
      expect(upstreamMs).toBeLessThanOrEqual(durationMs as number)
    }
    expect(calls[1]?.upstreamMs).toBeGreaterThan(40)
  })
})
