import { expect, test } from 'vitest'
import { rawAt } from '../../src/protocol/json-text.ts'
import { callAs, type Caller } from '../helpers/callers.ts'
import { makeScratch } from '../helpers/scratch.ts'
import { scriptedStdio, type ScriptedProcesses, type ScriptedRequest } from '../helpers/scripted-servers.ts'
import type { WireResponse } from '../helpers/wire-clients.ts'
import { inFrontOf, serveMeasured, type MeasuredGateway } from '../helpers/measured-gateway.ts'

/** What is held of questions that wait for answers. */

const CALL = '{"name":"s__t","arguments":{}}'
const BYTES = 4_000_000
const COUNT = 8
const CAPABILITIES = '{"sampling":{}}'

const question = (id: string, bytes: number): string =>
  `{"jsonrpc":"2.0","id":"${id}","method":"sampling/createMessage","params":{"maxTokens":1,"messages":[{"role":"user","content":{"type":"text","text":"${'x'.repeat(bytes)}"}}]}}`

async function scene(
  run: (server: ScriptedProcesses, gateway: MeasuredGateway) => Promise<void>,
): Promise<void> {
  await using scratch = makeScratch()
  await using server = await scriptedStdio()
  await using gateway = await serveMeasured(inFrontOf(scratch, server.entry))
  await run(server, gateway)
}

async function callerOf({ origin }: MeasuredGateway, modern: boolean): Promise<Caller> {
  const caller = await callAs(origin, undefined, { modern, capabilities: CAPABILITIES })
  if (!caller) throw new Error('there is no endpoint')
  return caller
}

const answerTo = (server: ScriptedProcesses, id: string): Promise<string> =>
  server.messages.take(
    text => rawAt(text, 'id') === `"${id}"` && rawAt(text, 'method') === undefined,
    'the answer',
  )

test(
  'questions of 4 MB that modern clients walk away from are refused beyond 64 MiB',
  { timeout: 120_000 },
  () =>
    scene(async (server, gateway) => {
      await using client = await callerOf(gateway, true)
      let before = 0
      const ended: string[] = []
      for (let at = 0; at < COUNT; at++) {
        const calling = client.request('tools/call', CALL)
        const call: ScriptedRequest = await server.called('t')
        if (at === 0) before = await gateway.held()
        call.say(question(`q${at}`, BYTES))
        const first = await Promise.race([calling, answerTo(server, `q${at}`)])
        if (first.includes('input_required')) continue
        ended.push(rawAt(first, 'error', 'message') ?? '')
        call.answer('"result":{"content":[]}')
        expect(await calling).toContain('"content":[]')
      }
      expect(ended.length).toBeGreaterThan(COUNT / 2)
      for (const message of ended) expect(message).toContain('64 MiB')
      expect((await gateway.held()) - before).toBeLessThan(40)
      // A small question still finds room.
      const calling = client.request('tools/call', CALL)
      ;(await server.called('t')).say(question('small', 10))
      expect(await calling).toContain('input_required')
    }),
)

test('questions of 4 MB that a legacy client was sent are not held', { timeout: 120_000 }, () =>
  scene(async (server, gateway) => {
    await using client = await callerOf(gateway, false)
    let before = 0
    const asked: { call: ScriptedRequest; posted: WireResponse; id: string }[] = []
    for (let at = 0; at < COUNT; at++) {
      const posting = client.post('tools/call', CALL)
      const call = await server.called('t')
      if (at === 0) before = await gateway.held()
      call.say(question(`q${at}`, BYTES))
      const posted = await posting
      const { data } = await posted.events.take(
        event => event.data.includes('sampling/createMessage'),
        'the question',
      )
      asked.push({ call, posted, id: rawAt(data, 'id') ?? '' })
    }
    expect((await gateway.held()) - before).toBeLessThan(15)
    for (const [at, { call, posted, id }] of asked.entries()) {
      await client.say(`{"jsonrpc":"2.0","id":${id},"result":{"answer":${at}}}`)
      expect(rawAt(await answerTo(server, `q${at}`), 'result')).toBe(`{"answer":${at}}`)
      call.answer('"result":{"content":[]}')
      await posted.events.take(event => event.data.includes('"content":[]'), 'the answer')
    }
  }),
)
