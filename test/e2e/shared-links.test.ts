import { describe, expect, test } from 'vitest'
import { rawAt } from '../../src/protocol/json-text.ts'
import { bearer, keyOf, withKeys } from '../helpers/callers.ts'
import { startGateway } from '../helpers/gateway.ts'
import {
  scriptedDeprecated,
  scriptedHttp,
  scriptedStdio,
  type ScriptedRequest,
} from '../helpers/scripted-servers.ts'
import { LegacySession, requestText, type WireResponse } from '../helpers/wire-clients.ts'

/** Two clients with keys of their own share one link to a legacy server; they use the same ids and progress tokens. */

const OK = '"result":{"content":[]}'
const notification = (method: string, params: string): string =>
  `{"jsonrpc":"2.0","method":"notifications/${method}","params":${params}}`
const said = ({ events }: WireResponse): string[] =>
  events.all.map(({ data }) => data).filter(data => !data.startsWith('{"jsonrpc":"2.0","id"'))
const progressOf = (call: ScriptedRequest, more: string): string =>
  notification(
    'progress',
    `{"progressToken":${rawAt(call.params, '_meta', 'progressToken')},"progress":${more}}`,
  )
const record = (data: string): string => notification('message', `{"level":"error","data":${data}}`)

describe.each([
  ['stdio', scriptedStdio, false],
  ['HTTP', scriptedHttp, true],
  ['HTTP with sessions', () => scriptedHttp({ sessions: true }), true],
  ['HTTP+SSE', scriptedDeprecated, false],
] as const)('on one link over %s', (_, start, streams) => {
  test('cancellation, progress and log records of one client never reach the other', async () => {
    await using server = await start()
    await using gateway = await startGateway({
      mcpServers: { a: { ...server.entry, isolation: 'shared' } },
      clients: withKeys({ alice: { allow: ['*/*'] }, bob: { allow: ['*/*'] } }),
    })
    await gateway.gateway.warmUp()
    await using alice = await LegacySession.open(gateway.origin, { headers: bearer(keyOf('alice')) })
    await using bob = await LegacySession.open(gateway.origin, { headers: bearer(keyOf('bob')) })
    const [atAlice, atBob] = [await alice.listen(), await bob.listen()]
    const ask = (session: LegacySession, who: string, id = '1'): Promise<WireResponse> =>
      session.post(
        requestText(
          id,
          'tools/call',
          `{"name":"a__t","arguments":{"who":"${who}"},"_meta":{"progressToken":"p"}}`,
        ),
      )
    const answers = [ask(alice, 'alice'), ask(bob, 'bob')]
    const calls = [await server.called('t'), await server.called('t')]
    const callOf = (who: string): ScriptedRequest =>
      calls.find(({ params }) => rawAt(params, 'arguments', 'who') === `"${who}"`) as ScriptedRequest
    const [ofAlice, ofBob] = [callOf('alice'), callOf('bob')]
    expect(server.messages.all.filter(text => rawAt(text, 'method') === '"initialize"')).toHaveLength(1)
    expect(ofAlice.id).not.toBe(ofBob.id)

    // Progress is that of its token, on whichever stream it comes.
    ofAlice.say(progressOf(ofAlice, '1'))
    ofBob.say(progressOf(ofBob, '10'))
    const [toAlice, toBob] = (await Promise.all(answers)) as [WireResponse, WireResponse]
    ofBob.say(progressOf(ofAlice, '2'))
    await toAlice.events.take(({ data }) => data.includes('"progress":2'), 'progress')

    // Log records are those of the call on whose stream they come; where there is one stream for all, of neither.
    ofAlice.say(record('"of alice"'))
    ofBob.say(record('"of bob"'))
    if (streams) await toBob.events.take(({ data }) => data.includes('of bob'), 'the log record')

    // Bob cancels his own call, and may name what he wants: the other one goes on.
    for (const id of [ofAlice.id, ofBob.id, '"1"'].filter(id => id !== '1'))
      await bob.post(notification('cancelled', `{"requestId":${id}}`))
    await bob.post(notification('cancelled', '{"requestId":1,"reason":"enough"}'))
    const cancelled = await server.notifications.take(text => text.includes('notifications/cancelled'))
    expect(rawAt(cancelled, 'params', 'requestId')).toBe(ofBob.id)

    // The server says more of it all the same.
    ofBob.say(progressOf(ofBob, '11'))
    ofBob.say(record('"late"'))
    ofAlice.say(progressOf(ofAlice, '3'))
    await toAlice.events.take(({ data }) => data.includes('"progress":3'), 'progress')
    ofAlice.answer(OK)
    ofBob.answer(OK)
    await Promise.all([toAlice.body, toBob.body])
    const progress = (more: string): string =>
      notification('progress', `{"progressToken":"p","progress":${more}}`)
    expect(said(toAlice)).toEqual([
      progress('1'),
      progress('2'),
      ...(streams ? [record('"of alice"')] : []),
      progress('3'),
    ])
    expect(said(toBob)).toEqual([progress('10'), ...(streams ? [record('"of bob"')] : [])])
    expect(toAlice.events.all.at(-1)?.data).toBe(`{"jsonrpc":"2.0","id":1,${OK}}`)
    expect(toBob.events.all.some(({ data }) => data.includes('"id":1'))).toBe(false)
    expect([said(atAlice), said(atBob)]).toEqual([[], []])
    expect(server.notifications.all.filter(text => text.includes('notifications/cancelled'))).toHaveLength(1)

    // Both go on over the same link.
    const next = [ask(alice, 'alice', '2'), ask(bob, 'bob', '2')]
    for (const _ of next) (await server.called('t')).answer(OK)
    for (const answer of next) expect(await (await answer).body).toContain(`"id":2,${OK}`)
    expect(server.messages.all.filter(text => rawAt(text, 'method') === '"initialize"')).toHaveLength(1)
  })
})
