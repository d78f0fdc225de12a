import { expect, test } from 'vitest'
import { rawAt } from '../../src/protocol/json-text.ts'
import { startGateway } from '../helpers/gateway.ts'
import { DONE, modernServer, question, round } from '../helpers/rounds.ts'
import type { ScriptedServer } from '../helpers/scripted-servers.ts'
import { answerOf, LegacySession, requestText, type WireResponse } from '../helpers/wire-clients.ts'

/** A modern server asks three questions in one answer, and a legacy client is asked them on the stream of its call. */

const CALL = '{"name":"a__t","arguments":{}}'
const ERROR = '{"code":-1,"message":"no","data":{"n":1.0}}'
const DECLINED = '"result":{"action":"decline"}'
const ACCEPTED = '"result":{"action":"accept","content":{"n":1.0}}'

interface Scene {
  readonly server: ScriptedServer
  readonly open: () => Promise<LegacySession>
  /** Begins a call and takes what it is asked. */
  readonly asked: (client: LegacySession) => Promise<Asked>
}

interface Asked {
  readonly posted: WireResponse
  /** Ids of the three questions, as raw text. */
  readonly ids: readonly string[]
  readonly answer: (at: number, member: string) => Promise<void>
}

async function ask(server: ScriptedServer, client: LegacySession): Promise<Asked> {
  const calling = client.post(requestText('7', 'tools/call', CALL))
  ;(await server.called('t')).answer(round(['one', 'two', 'three'].map(question)))
  const posted = await calling
  const ids: string[] = []
  for (const text of ['one', 'two', 'three']) {
    const { data } = await posted.events.take(event => event.data.includes(`"message":"[a] ${text}"`), text)
    ids.push(rawAt(data, 'id') as string)
  }
  const answer = async (at: number, member: string): Promise<void> => {
    await (
      await client.post(`{"jsonrpc":"2.0","id":${ids[at]},${member}}`)
    ).body
  }
  return { posted, ids, answer }
}

/** Three questions may be open at a session: what remains of an earlier round would keep the next one from being asked. */
async function scene(run: (scene: Scene) => Promise<LegacySession>): Promise<void> {
  await using server = await modernServer()
  await using gateway = await startGateway({
    mcpServers: { a: server.entry },
    gateway: { asks: { maxPerSession: 3 } },
  })
  await gateway.gateway.warmUp()
  const sessions: LegacySession[] = []
  const open = async (): Promise<LegacySession> => {
    const session = await LegacySession.open(gateway.origin, { capabilities: '{"elicitation":{}}' })
    sessions.push(session)
    return session
  }
  try {
    const client = await run({ server, open, asked: session => ask(server, session) })
    const { posted, answer } = await ask(server, client)
    for (const at of [0, 1, 2]) await answer(at, ACCEPTED)
    ;(await server.called('t')).answer(DONE)
    expect(await answerOf(posted)).toContain('"content":[]')
    expect(server.requests.left).toEqual([])
  } finally {
    for (const session of sessions) await session[Symbol.asyncDispose]()
  }
}

const withdrawn = ({ posted, ids }: Asked, at: number): Promise<unknown> =>
  posted.events.take(
    ({ data }) =>
      data.includes('"notifications/cancelled"') && rawAt(data, 'params', 'requestId') === ids[at],
    `that question ${at} is withdrawn`,
  )

test('all answers go to the server in one call, each as it was said, a declined one among them', () =>
  scene(async ({ server, open, asked }) => {
    const client = await open()
    const { posted, answer } = await asked(client)
    await answer(2, ACCEPTED)
    await answer(0, DECLINED)
    await answer(1, ACCEPTED)
    const retry = await server.called('t')
    const accepted = '{"action":"accept","content":{"n":1.0}}'
    expect(rawAt(retry.params, 'inputResponses')).toBe(
      `{"q0":{"action":"decline"},"q1":${accepted},"q2":${accepted}}`,
    )
    expect(rawAt(retry.params, 'requestState')).toBe('"s"')
    retry.answer(DONE)
    expect(await answerOf(posted)).toContain('"content":[]')
    return client
  }))

test('one is declined, one answered, and an error for the last is the end of the call', () =>
  scene(async ({ server, open, asked }) => {
    const client = await open()
    const { posted, answer } = await asked(client)
    await answer(0, DECLINED)
    await answer(2, ACCEPTED)
    await answer(1, `"error":${ERROR}`)
    expect(await answerOf(posted)).toBe(`{"jsonrpc":"2.0","id":7,"error":${ERROR}}`)
    // A round has no errors: the server is not called again.
    expect(server.requests.left).toEqual([])
    return client
  }))

test('an error for one withdraws what is still open, and a late answer to that is without effect', () =>
  scene(async ({ server, open, asked }) => {
    const client = await open()
    const asking = await asked(client)
    await asking.answer(0, DECLINED)
    await asking.answer(1, `"error":${ERROR}`)
    await withdrawn(asking, 2)
    expect(await answerOf(asking.posted)).toBe(`{"jsonrpc":"2.0","id":7,"error":${ERROR}}`)
    await asking.answer(2, ACCEPTED)
    expect(server.requests.left).toEqual([])
    return client
  }))

test('a client that leaves in the middle ends the call, and the server is not called again', () =>
  scene(async ({ server, open, asked }) => {
    const client = await open()
    const { posted, answer } = await asked(client)
    await answer(0, DECLINED)
    await client[Symbol.asyncDispose]()
    await posted.body
    const next = await open()
    expect(await next.request('1', 'ping')).toContain('"result":{}')
    expect(server.requests.left).toEqual([])
    return next
  }))

test('a call that is cancelled in the middle withdraws its questions, and the server is not called again', () =>
  scene(async ({ server, open, asked }) => {
    const client = await open()
    const asking = await asked(client)
    await asking.answer(0, DECLINED)
    const cancel = '{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":7}}'
    await (
      await client.post(cancel)
    ).body
    for (const at of [1, 2]) await withdrawn(asking, at)
    await asking.posted.body
    // What the person still says is without effect.
    for (const at of [1, 2]) await asking.answer(at, ACCEPTED)
    expect(server.requests.left).toEqual([])
    return client
  }))
