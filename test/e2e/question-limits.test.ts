import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import type { JsonObject } from '../../src/core/exchange.ts'
import { rawAt } from '../../src/protocol/json-text.ts'
import { callAs, type Caller } from '../helpers/callers.ts'
import { startGateway } from '../helpers/gateway.ts'
import { DONE, form, modernServer, question, round } from '../helpers/rounds.ts'
import { makeScratch } from '../helpers/scratch.ts'
import { scriptedHttp, scriptedStdio, type ScriptedServer } from '../helpers/scripted-servers.ts'
import { answerOf, type WireResponse } from '../helpers/wire-clients.ts'
import { cpuMs } from '../helpers/running-time.ts'

/** What is too much of a question or of a round of questions is refused as a whole, before a client sees any of it. */

const CAPABILITIES = '{"elicitation":{"form":{}}}'
const CALL = '{"name":"a__t","arguments":{}}'
const EMPTY = '"result":{"content":[]}'
/** It takes 0.2 s; what grows with the square of the length takes minutes. */
const MOST_CPU_MS = 5000
const ERAS = ['legacy', 'modern'] as const
type Era = (typeof ERAS)[number]

const callerOf = async (origin: string, era: Era): Promise<Caller> => {
  const caller = await callAs(origin, undefined, { modern: era === 'modern', capabilities: CAPABILITIES })
  if (!caller) throw new Error('there is no endpoint')
  return caller
}

const many = (count: number): string[] => Array.from({ length: count }, (_, at) => question(`m${at}`))

/** Everything a client was sent for a call, its answer at the end. */
async function everything(response: WireResponse): Promise<readonly string[]> {
  const body = await response.body
  const isStream = String(response.headers['content-type']).startsWith('text/event-stream')
  return isStream ? response.events.all.map(({ data }) => data) : [body]
}

describe.each(ERAS)('a modern server asks a %s client', era => {
  /** The round is answered by one error, and the audit log has it. */
  async function refused(
    questions: readonly string[],
    said: readonly string[],
    code: string,
    capabilities = CAPABILITIES,
  ): Promise<void> {
    await using scratch = makeScratch()
    const file = join(scratch.path, 'audit.jsonl')
    await using server = await modernServer()
    {
      await using gateway = await startGateway({
        mcpServers: { a: server.entry },
        gateway: { audit: { file } },
      })
      await gateway.gateway.warmUp()
      const caller = await callAs(gateway.origin, undefined, { modern: era === 'modern', capabilities })
      await using client = caller as Caller
      const calling = client.post('tools/call', CALL)
      ;(await server.called('t')).answer(round(questions))
      const messages = await everything(await calling)
      expect(messages).toHaveLength(1)
      for (const text of ['Server \\"a\\"', ...said]) expect(messages[0]).toContain(text)
      expect(messages[0]).toContain(`"code":"${code}"`)
      expect(messages[0]).not.toContain('input_required')
      expect(client.notifications.all.filter(text => text.includes('elicitation/create'))).toEqual([])
      // The server is not asked again, and the next call of it is as any other.
      const next = client.post('tools/call', CALL)
      ;(await server.called('t')).answer(DONE)
      expect(await answerOf(await next)).toContain('"content":[]')
      expect(server.requests.left).toEqual([])
    }
    const lines = readFileSync(file, 'utf8').trim().split('\n')
    const calls = lines
      .map(line => JSON.parse(line) as JsonObject)
      .filter(line => line.method === 'tools/call')
    expect(calls.map(line => line.code)).toEqual([code, undefined])
    expect(calls[0]).toMatchObject({ server: 'a', name: 't', era })
  }

  test('more questions in a round than "maxQuestions" allows, and none of them is asked', () =>
    refused(many(65), ['asks 65 questions at once', 'maxQuestions', 'allows 64'], 'upstream_protocol'))

  test('as many as "maxQuestions" allows, of which one text is too long, and none of them is asked', () =>
    refused(
      [...many(3), question('x'.repeat(100_001))],
      ['100001 characters', 'at most 100000'],
      'cannot_ask',
    ))
})

describe('a round of a modern server that a legacy client can be asked only in part', () => {
  test('of more questions than "gateway.asks.maxPerSession" allows is refused, and none of them is asked', async () => {
    await using server = await modernServer()
    await using gateway = await startGateway({ mcpServers: { a: server.entry } })
    await gateway.gateway.warmUp()
    await using client = await callerOf(gateway.origin, 'legacy')
    const calling = client.post('tools/call', CALL)
    ;(await server.called('t')).answer(round(many(33)))
    const messages = await everything(await calling)
    expect(messages).toHaveLength(1)
    expect(messages[0]).toContain('Server \\"a\\" asks 33 questions at once')
    expect(messages[0]).toContain('gateway.asks.maxPerSession')
    expect(messages[0]).toContain('32')
  })

  test('for want of a capability that the last of them needs is refused, and none of them is asked', async () => {
    await using server = await modernServer()
    await using gateway = await startGateway({ mcpServers: { a: server.entry } })
    await gateway.gateway.warmUp()
    await using client = await callerOf(gateway.origin, 'legacy')
    const calling = client.post('tools/call', CALL)
    ;(await server.called('t')).answer(round([...many(2), '{"method":"roots/list"}']))
    const messages = await everything(await calling)
    expect(messages).toHaveLength(1)
    expect(messages[0]).toContain('the client has not declared roots')
  })
})

describe.each(ERAS)('a %s server asks with a long text', serverEra => {
  describe.each(ERAS)('a %s client', clientEra => {
    /** A call that asks with a text of this length; another client is answered meanwhile. */
    async function asks(
      length: number,
      check: (told: {
        server: ScriptedServer
        client: Caller
        calling: Promise<WireResponse>
      }) => Promise<void>,
    ): Promise<void> {
      await using server = serverEra === 'modern' ? await modernServer() : await scriptedStdio()
      await using other = await scriptedHttp()
      other.results.set('tools/call', '{"content":[]}')
      await using gateway = await startGateway({ mcpServers: { a: server.entry, b: other.entry } })
      await gateway.gateway.warmUp()
      await using client = await callerOf(gateway.origin, clientEra)
      await using healthy = await callerOf(gateway.origin, 'modern')
      const calling = client.post('tools/call', CALL)
      const call = await server.called('t')
      const text = 'x'.repeat(length)
      if (serverEra === 'modern') call.answer(round([question(text)]))
      else call.say(`{"jsonrpc":"2.0","id":"q","method":"elicitation/create","params":${form(text)}}`)
      const began = cpuMs()
      const healthyCalls = (async (): Promise<void> => {
        for (let at = 0; at < 10; at++) {
          expect(await healthy.request('tools/call', '{"name":"b__t"}')).toContain('"content":[]')
          await sleep(5)
        }
      })()
      await check({ server, client, calling })
      await healthyCalls
      // All of the work: no healthy call waited longer for this thread.
      expect(cpuMs() - began).toBeLessThan(MOST_CPU_MS)
    }
    /** Ends the call after its question was answered. */
    const finish = async (server: ScriptedServer, answered: Promise<WireResponse>): Promise<void> => {
      if (serverEra === 'modern') {
        const retry = await server.called('t')
        expect(rawAt(retry.params, 'inputResponses')).toBe('{"q0":{"action":"decline"}}')
        retry.answer(DONE)
      } else {
        const text = await server.messages.take(message => rawAt(message, 'id') === '"q"', 'the answer')
        expect(rawAt(text, 'result')).toBe('{"action":"decline"}')
        server.say(
          `{"jsonrpc":"2.0","id":${rawAt(server.messages.all.filter(m => m.includes('"tools/call"')).at(-1) ?? '', 'id')},${EMPTY}}`,
        )
      }
      expect((await everything(await answered)).at(-1)).toContain('"content":[]')
    }

    test('of 100,000 characters, and it arrives whole', () =>
      asks(100_000, async ({ server, client, calling }) => {
        const whole = `"message":"[a] ${'x'.repeat(100_000)}"`
        const posted = await calling
        if (clientEra === 'modern') {
          const asked = await answerOf(posted)
          expect(asked.includes(whole)).toBe(true)
          const key = Object.keys(
            (JSON.parse(asked) as { result: { inputRequests: object } }).result.inputRequests,
          )[0]
          const state = rawAt(asked, 'result', 'requestState')
          const more = `,"inputResponses":{"${key}":{"action":"decline"}},"requestState":${state}}`
          return await finish(server, client.post('tools/call', CALL.replace(/\}$/, more)))
        }
        const { data } = await posted.events.take(
          event => event.data.includes('elicitation/create'),
          'the question',
        )
        expect(data.includes(whole)).toBe(true)
        await client.say(`{"jsonrpc":"2.0","id":${rawAt(data, 'id')},"result":{"action":"decline"}}`)
        await finish(server, Promise.resolve(posted))
      }))

    test('of 4 Mi characters, and it is refused with the limit', () =>
      asks(4 * 1024 * 1024, async ({ server, calling }) => {
        const why = /asks with a message of 4194304 characters; at most 100000/
        if (serverEra === 'legacy') {
          const text = await server.messages.take(message => rawAt(message, 'id') === '"q"', 'the answer')
          expect(rawAt(text, 'error', 'message')).toMatch(why)
          const id = rawAt(server.messages.all.filter(m => m.includes('"tools/call"')).at(-1) ?? '', 'id')
          server.say(`{"jsonrpc":"2.0","id":${id},${EMPTY}}`)
          return expect(await everything(await calling)).toEqual([expect.stringContaining('"content":[]')])
        }
        expect(await everything(await calling)).toEqual([expect.stringMatching(why)])
      }))
  })
})
