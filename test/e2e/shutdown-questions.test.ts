import { setTimeout as later } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { makeScratch, type Scratch } from '../helpers/scratch.ts'
import { scriptedHttp, type ScriptedServer } from '../helpers/scripted-servers.ts'
import { freePort, serveGateway } from '../helpers/served.ts'
import { startStdio } from '../helpers/stdio-client.ts'
import { answerOf, http, ModernHttp, requestText, withEnvelope } from '../helpers/wire-clients.ts'
import { RunningTime } from '../helpers/running-time.ts'

/** A gateway that is told to stop while a modern client has a question to answer. */

const QUESTION = '{"message":"well?","requestedSchema":{"type":"object"}}'
const OK = '"result":{"content":[{"type":"text","text":"done"}]}'

const asking = (params: string): string =>
  withEnvelope(params).replace('clientCapabilities":{}', 'clientCapabilities":{"elicitation":{}}')

function configure(
  scratch: Scratch,
  server: ScriptedServer,
  more: object = {},
): [string, { env: Record<string, string> }] {
  const config = scratch.write('servers.json', {
    mcpServers: { a: server.entry },
    gateway: { http: { port: 0 }, state: `lmdb:${scratch.path}/state`, ...more },
  })
  return [config, { env: { HOME: scratch.path, XDG_STATE_HOME: scratch.path } }]
}

/** Parameters of the retry that answers what the client was asked. */
function retry(text: string): string {
  const { result } = JSON.parse(text) as {
    result: { requestState: string; inputRequests: Record<string, unknown> }
  }
  const answers = { [Object.keys(result.inputRequests)[0] as string]: { action: 'accept', content: {} } }
  return asking(
    `{"name":"a__t","requestState":"${result.requestState}","inputResponses":${JSON.stringify(answers)}}`,
  )
}

/** Makes a call, lets its server ask, and resolves with what the client is asked. */
async function asked(server: ScriptedServer, client: ModernHttp) {
  const sent = client.post('1', 'tools/call', asking('{"name":"a__t"}'))
  const call = await server.called('t')
  call.say(requestText('"q"', 'elicitation/create', QUESTION))
  return { call, text: await answerOf(await sent) }
}

const draining = async (origin: string): Promise<void> => {
  while ((await http(`${origin}/readyz`, { method: 'GET' })).status !== 503) await later(5)
}

describe('SIGTERM while a modern client has a question of a legacy server to answer', () => {
  test('its answer is waited for, and its call is answered', async () => {
    await using server = await scriptedHttp()
    await using scratch = makeScratch()
    await using served = await serveGateway(...configure(scratch, server))
    await using client = new ModernHttp(served.origin)
    const { call, text } = await asked(server, client)
    process.kill(served.pid, 'SIGTERM')
    await draining(served.origin)
    // Longer than the listener stays for clients that have nothing to come back for.
    await later(3000)
    const again = client.post('2', 'tools/call', retry(text))
    await server.messages.take(message => message.includes('"action":"accept"'))
    call.answer(OK)
    expect(await answerOf(await again)).toContain('"text":"done"')
    expect(await served.exited).toBe(0)
  })

  test('when the time is over its server receives a cancellation, and the client one error when it comes back', async () => {
    await using server = await scriptedHttp()
    await using scratch = makeScratch()
    const port = await freePort()
    const config = configure(scratch, server, { http: { port }, shutdownTimeout: '500ms' })
    await using served = await serveGateway(...config)
    await using client = new ModernHttp(served.origin)
    const { text } = await asked(server, client)
    process.kill(served.pid, 'SIGTERM')
    expect(await served.exited).toBe(0)
    expect(await server.messages.take(message => message.includes('notifications/cancelled'))).toContain(
      'the gateway stops',
    )
    // The next gateway at this address, with the same state.
    await using next = await serveGateway(...config)
    expect(next.origin).toBe(served.origin)
    const late = JSON.parse(await answerOf(await client.post('2', 'tools/call', retry(text)))) as object
    expect(late).toMatchObject({
      id: 2,
      error: { code: -32602, message: expect.stringContaining('may have been run in part') as string },
    })
  })

  test('a client on stdio that leaves is not waited for', async () => {
    await using server = await scriptedHttp()
    await using scratch = makeScratch()
    await using client = startStdio(...configure(scratch, server))
    const first = client.request('tools/call', JSON.parse(asking('{"name":"a__t"}')) as object)
    const call = await server.called('t')
    call.say(requestText('"q"', 'elicitation/create', QUESTION))
    expect((await first).result).toMatchObject({ resultType: 'input_required' })
    client.kill('SIGTERM')
    await later(500)
    using time = new RunningTime()
    expect(await client.leave()).toBe(0)
    expect(time.ms).toBeLessThan(15_000)
  })
})
