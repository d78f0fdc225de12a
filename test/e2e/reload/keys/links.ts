import { randomUUID } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import { expect } from 'vitest'
import { rawAt } from '../../../../src/protocol/json-text.ts'
import { startRawServer, type RawServer } from '../../../fixtures/servers/raw.js'
import { startGateway } from '../../../helpers/gateway.ts'
import { openSession } from '../../../helpers/http-client.ts'
import { scriptedHttp, scriptedStdio, type ScriptedServer } from '../../../helpers/scripted-servers.ts'
import { LegacySession, requestText } from '../../../helpers/wire-clients.ts'
import {
  call,
  changeAt,
  ofServer,
  reload,
  says,
  tools,
  WELL,
  type KeyTest,
  type KeyTests,
  type Look,
} from './change.ts'
import { twoCalls } from './two-calls.ts'

/** What a change of each key of a server's links does: how they are opened, shared, counted and closed. */

const FAILING = fileURLToPath(new URL('../../../fixtures/servers/failing.js', import.meta.url))
const failing = (...options: string[]): object => ({ command: process.execPath, args: [FAILING, ...options] })

/** A change in the entry of a server that keeps sessions. */
const ofSessions = (before: object, after: object, look: Look, seen: readonly [unknown, unknown]): KeyTest =>
  atEntry(() => scriptedHttp({ sessions: true }), before, after, look, seen)

function atEntry(
  start: () => Promise<ScriptedServer>,
  before: object,
  after: object,
  look: Look,
  seen: readonly [unknown, unknown],
): KeyTest {
  const file = (entry: object) => (server: ScriptedServer) => ({
    mcpServers: { a: { ...server.entry, ...entry } },
  })
  return changeAt(start, [file(before), file(after)], look, seen)
}

/** A change of a program's settings. */
function ofProgram(
  [before, after]: readonly [object, object],
  look: Look<AsyncDisposable>,
  seen: readonly [unknown, unknown],
): KeyTest {
  const file = (entry: object) => () => ({ mcpServers: { a: entry } })
  return changeAt(
    () => Promise.resolve({ async [Symbol.asyncDispose]() {} }),
    [file(before), file(after)],
    look,
    seen,
  )
}

/** The value of a header in the last call that the server got. */
const headerOf =
  (name: string): Look<RawServer> =>
  async ({ origin, server }) => {
    await (await openSession(origin)).call('a__echo_raw')
    return server.requests.findLast(({ text }) => text.includes('"tools/call"'))?.headers[name]
  }

const headersTest = (wrap: (endpoint: object) => object): KeyTest =>
  headerTest('x-of-file', (url, value) => wrap({ url, headers: { 'x-of-file': value } }))

function headerTest(name: string, entryOf: (url: string, value: string) => object): KeyTest {
  const file =
    (value: string) =>
    ({ url }: RawServer) => ({ mcpServers: { a: entryOf(url, value) } })
  const start = async (): Promise<RawServer & AsyncDisposable> => {
    const server = await startRawServer()
    return Object.assign(server, { [Symbol.asyncDispose]: () => server.close() })
  }
  return changeAt(start, [file('one'), file('two')], headerOf(name), ['one', 'two'])
}

/** A server whose list of tools takes so long. */
async function slowToList(ms: number): Promise<ScriptedServer> {
  const server = await scriptedHttp()
  server.results.delete('tools/list')
  server.requests.onItem(({ method, answer }) => {
    if (method === 'tools/list')
      setTimeout(
        () => answer('"result":{"tools":[{"name":"t","inputSchema":{"type":"object"}}]}'),
        ms,
      ).unref()
  })
  return server
}

/** Whether the call of a second session reaches the server while that of the first is under way, or what it is told. */
const twoSessions: Look = async ({ origin, server }) => {
  server.results.delete('tools/call')
  const calls = (): number => server.requests.all.filter(({ method }) => method === 'tools/call').length
  const sessions = [await openSession(origin), await openSession(origin)] as const
  const before = calls()
  const first = sessions[0].call('a__t')
  while (calls() === before) await soon()
  const told: string[] = []
  const second = sessions[1].call('a__t').then(text => told.push(text))
  while (calls() < before + 2 && told.length === 0) await soon()
  const seen = told[0] === undefined ? 'both' : /"maxLinks"/.exec(told[0])?.[0]
  for (const { answer } of server.requests.all.slice(before)) answer('"result":{"content":[]}')
  await Promise.all([first, second])
  return seen
}

const soon = (): Promise<void> => new Promise(resolve => setTimeout(resolve, 5))

/** What becomes of the second of two questions of a server in one call: it reaches the client, or it is refused. */
const twoQuestions: Look = async ({ origin, server }) => {
  server.results.delete('tools/call')
  await using client = await LegacySession.open(origin, { capabilities: '{"elicitation":{"form":{}}}' })
  const posting = client.post(requestText('1', 'tools/call', '{"name":"a__t"}'))
  const request = await server.called('t')
  const marks = [randomUUID(), randomUUID()] as const
  const asking = (mark: string): void =>
    request.say(
      `{"jsonrpc":"2.0","id":"${mark}","method":"elicitation/create","params":{"message":"${mark}","requestedSchema":{"type":"object","properties":{}}}}`,
    )
  asking(marks[0])
  const posted = await posting
  asking(marks[1])
  const isRefused = (): boolean => server.messages.all.some(text => rawAt(text, 'id') === `"${marks[1]}"`)
  const isAsked = (): boolean => posted.events.all.some(({ data }) => data.includes(marks[1]))
  while (!isRefused() && !isAsked()) await soon()
  const seen = isAsked() ? 'asked' : 'refused'
  request.answer('"result":{"content":[]}')
  await posted.body
  return seen
}

/** The roots that the server is told of during a call. */
const rootsTold: Look = async ({ origin, server }) => {
  server.results.delete('tools/call')
  const calling = (await openSession(origin)).call('a__t')
  const request = await server.called('t')
  request.say('{"jsonrpc":"2.0","id":"roots","method":"roots/list"}')
  const answer = await server.messages.take(text => rawAt(text, 'id') === '"roots"', 'the roots')
  request.answer('"result":{"content":[]}')
  await calling
  return rawAt(answer, 'result', 'roots')
}

/** Which of two servers reads a resource that is in no list. */
function unlistedTest(): KeyTest {
  const start = async () => {
    const servers = { a: await scriptedHttp(), b: await scriptedHttp() }
    for (const [name, { results }] of Object.entries(servers))
      results.set('resources/read', `{"contents":[{"uri":"own:thing","text":"read by ${name}"}]}`)
    const close = async (): Promise<void> => {
      await servers.a[Symbol.asyncDispose]()
      await servers.b[Symbol.asyncDispose]()
    }
    return { ...servers, [Symbol.asyncDispose]: close }
  }
  const own = { uriSchemes: ['own'] }
  return changeAt(
    start,
    [
      ({ a, b }) => ({ mcpServers: { a: { ...a.entry, ...own }, b: b.entry } }),
      ({ a, b }) => ({ mcpServers: { a: a.entry, b: { ...b.entry, ...own } } }),
    ],
    async ({ origin }) => {
      const answer = await (await openSession(origin)).request('resources/read', { uri: 'own:thing' })
      return /read by ./.exec(JSON.stringify(answer))?.[0]
    },
    ['read by a', 'read by b'],
  )
}

/** A process that holds more than it may from the change on is ended during its call. */
async function memoryTest(): Promise<void> {
  const entry = { ...failing('hog=64'), memoryLimit: '4GiB' }
  await using running = await startGateway({ mcpServers: { a: entry } })
  const client = await openSession(running.origin)
  expect(await client.call('a__wait', { ms: 10 })).toMatch(/^\d+$/)
  await reload(running.gateway, { mcpServers: { a: { ...entry, memoryLimit: '16MiB' } } })
  expect(await client.call('a__wait', { ms: 30_000 })).toContain(
    'far more than the 16.0 MiB that "memoryLimit"',
  )
}

/** How often two new sessions that call have the server greeted. */
const greetingsOfTwo: Look = async ({ origin, server }) => {
  server.results.set('tools/call', WELL)
  const greetings = (): number => server.messages.all.filter(text => text.includes('"initialize"')).length
  const before = greetings()
  for (let session = 0; session < 2; session++) await (await openSession(origin)).call('a__t')
  return greetings() - before
}

/** Whether the process that answers a call is there a while later, when nothing uses it any more. */
const lasts: Look<AsyncDisposable> = async ({ origin, gateway }) => {
  const pid = Number(await (await openSession(origin)).call('a__pid'))
  if (!(pid > 0)) return undefined
  for (let tries = 0; tries < 150; tries++) {
    if (gateway.status()[0]?.state === 'idle') return 'stopped'
    await soon()
    await soon()
  }
  return 'there'
}

/** How many processes have been greeted since the start, once a call was answered. */
const processes: Look = async ({ origin, server }) => {
  server.results.set('tools/call', WELL)
  await (await openSession(origin)).call('a__t')
  return server.messages.all.filter(text => text.includes('"initialize"')).length
}

/** Whether calls are told that the program is started every few minutes only. */
const looping = says(call('a__pid'), 'crash loop')

export const LINK_KEYS: KeyTests = {
  'mcpServers.*.headers': headersTest(endpoint => endpoint),
  'mcpServers.*.headersHelper': headerTest('x-printed', (url, value) => ({
    url,
    headersHelper: JSON.stringify([process.execPath, '-p', `JSON.stringify({'X-Printed':'${value}'})`]),
  })),
  'mcpServers.*.replicas.*.headers': headersTest(endpoint => ({ replicas: [endpoint] })),
  'mcpServers.*.startTimeout': ofProgram(
    [
      { ...failing('start=1000'), startTimeout: '500ms' },
      { ...failing('start=1000'), startTimeout: '1m' },
    ],
    async scene => ((await tools(scene as never)) as string[]).includes('a__pid'),
    [false, true],
  ),
  'mcpServers.*.listTimeout': atEntry(
    () => slowToList(400),
    { listTimeout: '100ms' },
    { listTimeout: '1m' },
    tools,
    [[], ['a__t']],
  ),
  'mcpServers.*.idle': ofProgram(
    [
      { ...failing(), idle: 'never' },
      { ...failing(), idle: '1s' },
    ],
    lasts,
    ['there', 'stopped'],
  ),
  'mcpServers.*.maxLinks': ofSessions(
    { isolation: 'session', maxLinks: 1 },
    { isolation: 'session', maxLinks: 2 },
    twoSessions,
    ['"maxLinks"', 'both'],
  ),
  'mcpServers.*.maxExclusiveLinks': ofSessions(
    { isolation: 'call', maxExclusiveLinks: 1 },
    { isolation: 'call', maxExclusiveLinks: 2 },
    twoCalls(),
    ['waits', 'both'],
  ),
  'mcpServers.*.linkTimeout': ofSessions(
    { isolation: 'call', maxExclusiveLinks: 1, linkTimeout: '1m' },
    { isolation: 'call', maxExclusiveLinks: 1, linkTimeout: '100ms' },
    twoCalls(),
    ['waits', 'refused'],
  ),
  'mcpServers.*.maxQuestions': ofServer({ maxQuestions: 1 }, { maxQuestions: 2 }, twoQuestions, [
    'refused',
    'asked',
  ]),
  'mcpServers.*.roots': ofServer({ roots: ['file:///one'] }, { roots: ['file:///two'] }, rootsTold, [
    '[{"uri":"file:///one"}]',
    '[{"uri":"file:///two"}]',
  ]),
  'mcpServers.*.uriSchemes': unlistedTest(),
  'mcpServers.*.isolation': ofSessions(
    { isolation: 'shared' },
    { isolation: 'session' },
    greetingsOfTwo,
    [0, 2],
  ),
  'mcpServers.*.warmInstances': atEntry(
    scriptedStdio,
    { warmInstances: 0 },
    { warmInstances: 1 },
    processes,
    [1, 2],
  ),
  'mcpServers.*.restartLimit': ofProgram(
    [
      { command: process.execPath, args: ['-e', 'process.exit(1)'], restartLimit: 1 },
      { command: process.execPath, args: ['-e', 'process.exit(1)'], restartLimit: 100 },
    ],
    looping as never,
    [true, false],
  ),
  'mcpServers.*.memoryLimit': memoryTest,
}
