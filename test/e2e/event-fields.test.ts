import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { makeScratch } from '../helpers/scratch.ts'
import { scriptedDeprecated, scriptedHttp, type ScriptedRequest } from '../helpers/scripted-servers.ts'
import { inFrontOf, serveMeasured } from '../helpers/measured-gateway.ts'
import { ModernHttp } from '../helpers/wire-clients.ts'

/** Fields of a server's event stream beside its data. */

const BYTES = 20_000_000
const CALLS = 10
const RESULT = '"result":{"content":[]}'
const MAX_MIB = 60

test('ids and names of 20 MB in the streams of 10 calls are not held', { timeout: 120_000 }, async () => {
  await using scratch = makeScratch()
  await using server = await scriptedHttp()
  await using gateway = await serveMeasured(inFrontOf(scratch, server.entry))
  await using client = new ModernHttp(gateway.origin)
  const answers: Promise<string>[] = []
  const call = (): Promise<ScriptedRequest> => {
    answers.push(client.request('1', 'tools/call', '{"name":"s__t","arguments":{}}'))
    return server.called('t')
  }
  /** Resolves once the gateway has read everything before it. */
  const read = async (request: ScriptedRequest, id: string): Promise<void> => {
    request.say(`{"jsonrpc":"2.0","id":"${id}","method":"ping"}`)
    await server.messages.take(text => text.includes(`"${id}"`) && text.includes('result'), 'a pong')
  }
  const first = await call()
  first.answer(RESULT)
  await answers[0]
  const before = await gateway.held()
  const requests: ScriptedRequest[] = []
  for (let at = 0; at < CALLS; at++) {
    const request = await call()
    requests.push(request)
    await read(request, `open ${at}`)
    request.part(`id: ${'x'.repeat(BYTES)}\n`)
    await read(request, `read ${at}`)
  }
  expect((await gateway.held()) - before).toBeLessThan(MAX_MIB)
  for (const request of requests) request.part(`event: ${'x'.repeat(BYTES)}\n`)
  await sleep(2000)
  expect((await gateway.held()) - before).toBeLessThan(MAX_MIB)
  for (const request of requests) {
    request.part('\n')
    request.answer(RESULT)
  }
  for (const answer of await Promise.all(answers)) expect(answer).toContain('"content":[]')
  expect(gateway.said.match(/an id that is too long/g)).toHaveLength(1)
})

test('an id of 20 MB in the stream of an HTTP+SSE server is not held', async () => {
  await using scratch = makeScratch()
  await using server = await scriptedDeprecated()
  await using gateway = await serveMeasured(inFrontOf(scratch, server.entry))
  await using client = new ModernHttp(gateway.origin)
  const call = (): Promise<string> => client.request('1', 'tools/call', '{"name":"s__t","arguments":{}}')
  const first = call()
  const { answer } = await server.called('t')
  answer(RESULT)
  await first
  const before = await gateway.held()
  const second = call()
  const request = await server.called('t')
  // What follows is an event of its own.
  server.field(`id: ${'x'.repeat(BYTES)}\nevent: ${'x'.repeat(BYTES)}\n\n`)
  request.answer(RESULT)
  expect(await second).toContain('"content":[]')
  expect((await gateway.held()) - before).toBeLessThan(15)
})
