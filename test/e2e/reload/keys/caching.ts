import { callAs, keyOf, withKeys } from '../../../helpers/callers.ts'
import { openSession } from '../../../helpers/http-client.ts'
import {
  scriptedHttp,
  toolText,
  type ScriptedRequest,
  type ScriptedServer,
} from '../../../helpers/scripted-servers.ts'
import { changeAt, ofServer, WELL, type KeyTest, type KeyTests, type Look } from './change.ts'

/** What a change of each key of cached results does. */

const calls = (scene: Parameters<Look>[0], tool = 't'): number =>
  scene.server.messages.all.filter(text => text.includes('"tools/call"') && text.includes(`"name":"${tool}"`))
    .length

/** How many calls of two clients with the same arguments reach the server. */
const ofTwoClients: Look = async scene => {
  const before = calls(scene)
  const params = `{"name":"a__t","arguments":{"n":${Math.random()}}}`
  for (const name of ['one', 'two']) {
    await using caller = await callAs(scene.origin, keyOf(name), { modern: false })
    await caller?.request('tools/call', params)
  }
  return calls(scene) - before
}

/** Whether a call with the same arguments as ever reaches the server. */
const again: Look = async scene => {
  const before = calls(scene)
  await (await openSession(scene.origin)).call('a__t')
  return calls(scene) > before
}

/** Whether a call gets the cached result although it is out of date, while the server is about to answer in another way. */
const outdated =
  (answer: (request: ScriptedRequest) => void): Look =>
  async scene => {
    const { server, origin } = scene
    const client = await openSession(origin)
    const args = { n: Math.random() }
    server.results.set('tools/call', WELL)
    await client.call('a__t', args)
    server.results.delete('tools/call')
    const waiting = server.requests.all.length
    // The request that comes when the result is out of date is answered a moment later.
    let told = ''
    const answered = server.requests
      .next(({ method }) => method === 'tools/call')
      .then(async request => {
        await new Promise(resolve => setTimeout(resolve, 100))
        answer(request)
      })
    while (server.requests.all.length === waiting) told = await client.call('a__t', args)
    await answered
    return told === 'well'
  }

/** Whether a call of `w` has made the cached result of `t` out of date. */
const invalidated: Look = async scene => {
  const client = await openSession(scene.origin)
  await client.call('a__t')
  const writes = calls(scene, 'w')
  await client.call('a__w')
  if (calls(scene, 'w') === writes) return 'no write'
  return await again(scene)
}

/** A change in the entry of a server with the tools `t` and `w`. */
function ofTwoTools(before: object, after: object, seen: readonly [unknown, unknown]): KeyTest {
  const start = async (): Promise<ScriptedServer> => {
    const server = await scriptedHttp()
    server.results.set('tools/list', `{"tools":[${toolText('t')},${toolText('w')}]}`)
    server.results.set('tools/call', WELL)
    return server
  }
  const file = (entry: object) => (server: ScriptedServer) => ({
    mcpServers: { a: { ...server.entry, ...entry } },
  })
  return changeAt(start, [file(before), file(after)], invalidated, seen)
}

const KEYED = { clients: withKeys({ one: { allow: ['a/*'] }, two: { allow: ['a/*'] } }) }
const ofCache = (before: object, after: object, look: Look, seen: readonly [unknown, unknown]): KeyTest =>
  ofServer({ cache: before }, { cache: after }, look, seen)

/** A change of `w`, whose results are not kept, beside `t`. */
const ofWriter = (before: object, after: object): KeyTest =>
  ofTwoTools(
    { cache: { ttl: '1h', tags: ['x'] }, tools: { w: { cache: false, ...before } } },
    { cache: { ttl: '1h', tags: ['x'] }, tools: { w: { cache: false, ...after } } },
    [false, true],
  )

/** `w` makes out of date what has the tag `x`, as results of `other` have. */
const TAGGING = { w: { cache: false, invalidates: ['x'] }, other: { cache: { tags: ['x'] } } }

export const CACHING_KEYS: KeyTests = {
  'mcpServers.*.cache.ttl': ofCache({ ttl: '1h' }, { ttl: '1s' }, again, [false, true]),
  'mcpServers.*.cache.scope': ofServer(
    { cache: { scope: 'client' } },
    { cache: { scope: 'shared' } },
    ofTwoClients,
    [2, 1],
    KEYED,
  ),
  'mcpServers.*.cache.staleWhileRevalidate': ofCache(
    { ttl: '1s' },
    { ttl: '1s', staleWhileRevalidate: '1h' },
    outdated(request => request.answer('"result":{"content":[{"type":"text","text":"new"}]}')),
    [false, true],
  ),
  'mcpServers.*.cache.staleIfError': ofCache(
    { ttl: '1s' },
    { ttl: '1s', staleIfError: '1h' },
    outdated(request => request.part('{', true)),
    [false, true],
  ),
  'mcpServers.*.cache.tags': ofTwoTools(
    { cache: { ttl: '1h' }, tools: TAGGING },
    { cache: { ttl: '1h', tags: ['x'] }, tools: TAGGING },
    [false, true],
  ),
  'mcpServers.*.tools.*.invalidates': ofWriter({ invalidates: 'none' }, { invalidates: ['x'] }),
  'mcpServers.*.tools.*.readOnly': ofWriter({ readOnly: true }, { readOnly: false }),
}
