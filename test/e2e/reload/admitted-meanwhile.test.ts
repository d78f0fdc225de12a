import { PassThrough } from 'node:stream'
import { expect, test } from 'vitest'
import type { RunningGateway } from '../../../src/gateway/gateway.ts'
import { bearer, keyOf, withKeys } from '../../helpers/callers.ts'
import { deferred } from '../../helpers/deferred.ts'
import { startGateway } from '../../helpers/gateway.ts'
import { reload } from '../../helpers/reload.ts'
import { scriptedHttp } from '../../helpers/scripted-servers.ts'
import { http, LegacySession, requestText } from '../../helpers/wire-clients.ts'

/** Sessions and streams whose admission is under way while a reload takes effect. */

const AS_CI = { headers: bearer(keyOf('ci')) }
const CALL = '{"name":"a__t","arguments":{}}'

/** Holds the next admission of a session or a stream. */
function held(gateway: RunningGateway): { readonly reached: Promise<void>; open(): void } {
  const admit = gateway.admit.bind(gateway)
  const reached = deferred<void>()
  const gate = deferred<void>()
  gateway.admit = async opening => {
    gateway.admit = admit
    reached.resolve()
    await gate.promise
    return await admit(opening)
  }
  return { reached: reached.promise, open: () => gate.resolve() }
}

async function withServer() {
  const a = await scriptedHttp({ sessions: true })
  a.results.set('tools/call', '{"content":[{"type":"text","text":"done"}]}')
  const mcpServers = { a: a.entry }
  const file = (rights: string, more: object = {}) => ({
    mcpServers,
    clients: withKeys({ ci: { default: rights, ...more } }),
  })
  const running = await startGateway(file('allow'))
  await running.gateway.warmUp()
  return {
    ...running,
    mcpServers,
    file,
    [Symbol.asyncDispose]: async () => {
      await running[Symbol.asyncDispose]()
      await a[Symbol.asyncDispose]()
    },
  }
}

test('a session that is admitted meanwhile has the rights of the new configuration', async () => {
  await using served = await withServer()
  const { gateway, origin, file } = served
  const admission = held(gateway)
  const opening = LegacySession.open(origin, AS_CI)
  await admission.reached
  await reload(gateway, file('deny'))
  admission.open()
  const session = await opening
  expect(await session.request('1', 'tools/list')).toContain('"tools":[]')
  expect(await session.request('2', 'tools/call', CALL)).toContain('Unknown tool')
})

test('a session that is admitted after its client is removed is refused', async () => {
  await using served = await withServer()
  const { gateway, origin, mcpServers } = served
  const admission = held(gateway)
  const opening = LegacySession.open(origin, AS_CI)
  opening.catch(() => undefined)
  await admission.reached
  await reload(gateway, { mcpServers, clients: withKeys({ other: {} }) })
  admission.open()
  await expect(opening).rejects.toThrow('401')
  expect(gateway.sessions).toBe(0)
})

test('a session whose stream is admitted meanwhile keeps the rights of the new configuration', async () => {
  await using served = await withServer()
  const { gateway, origin, file } = served
  const session = await LegacySession.open(origin, AS_CI)
  const admission = held(gateway)
  const opening = session.listen()
  await admission.reached
  await reload(gateway, file('deny'))
  admission.open()
  await opening
  expect(await session.request('1', 'tools/list')).toContain('"tools":[]')
  expect(await session.request('2', 'tools/call', CALL)).toContain('Unknown tool')
})

test('a session of the deprecated transport that is admitted meanwhile has the rights of the new configuration', async () => {
  await using served = await withServer()
  const { gateway, origin, file } = served
  const admission = held(gateway)
  const opening = http(`${origin}/sse`, {
    method: 'GET',
    headers: { accept: 'text/event-stream', ...AS_CI.headers },
  })
  await admission.reached
  await reload(gateway, file('deny'))
  admission.open()
  const stream = await opening
  const { data: address } = await stream.events.take(() => true, 'the address')
  const ask = async (id: string, method: string, params?: string): Promise<string> => {
    const headers = { 'content-type': 'application/json', ...AS_CI.headers }
    await http(`${origin}${address}`, { headers, body: requestText(id, method, params) })
    return (await stream.events.take(({ data }) => data.includes(`"id":${id}`), method)).data
  }
  await ask('1', 'initialize', '{"protocolVersion":"2024-11-05","capabilities":{}}')
  expect(await ask('2', 'tools/list')).toContain('"tools":[]')
  expect(await ask('3', 'tools/call', CALL)).toContain('Unknown tool')
  stream.destroy()
})

test('a subscription that is asked for before a reload and made after it is refused where its resource is denied', async () => {
  await using a = await scriptedHttp({ sessions: true })
  a.results.set('resources/list', '{"resources":[{"uri":"x:y","name":"y"},{"uri":"x:z","name":"z"}]}')
  a.results.set('resources/unsubscribe', '{}')
  const file = (match: string) => ({
    mcpServers: { a: a.entry },
    clients: withKeys({ ci: { default: 'allow', rules: [{ effect: 'deny', match: [match] }] } }),
  })
  await using running = await startGateway(file('a/none'))
  const { gateway, origin } = running
  await gateway.warmUp()
  const session = await LegacySession.open(origin, AS_CI)
  const stream = await session.listen()
  const [denied, allowed] = ['x:y', 'x:z'].map((uri, at) =>
    session.request(`${at}`, 'resources/subscribe', `{"uri":"${uri}"}`),
  )
  const asked = await Promise.all(
    ['x:y', 'x:z'].map(uri =>
      a.requests.take(
        ({ method, params }) => method === 'resources/subscribe' && params.includes(uri),
        `the subscription to ${uri}`,
      ),
    ),
  )
  await reload(gateway, file('resource:a/x:y'))
  for (const request of asked) request.answer('"result":{}')
  expect(await denied).toContain('Resource not found')
  expect(await allowed).toContain('"result":{}')
  for (const uri of ['x:y', 'x:z'])
    a.say(`{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{"uri":"${uri}"}}`)
  const heard = await stream.events.take(({ data }) => data.includes('resources/updated'), 'an update')
  expect(heard.data).toContain('x:z')
  stream.destroy()
})

test('a client on stdio that is removed while its view is made is not served', async () => {
  await using served = await withServer()
  const { gateway, mcpServers } = served
  const known = gateway.known.bind(gateway)
  const [reached, gate] = [deferred<void>(), deferred<void>()]
  gateway.known = async (...asked) => {
    gateway.known = known
    reached.resolve()
    await gate.promise
    await known(...asked)
  }
  const serving = gateway.serveStdio(new PassThrough(), new PassThrough(), { client: 'ci' })
  serving.catch(() => undefined)
  await reached.promise
  await reload(gateway, { mcpServers, clients: withKeys({ other: {} }) })
  gate.resolve()
  await expect(serving).rejects.toThrow('There is no client "ci"')
})
