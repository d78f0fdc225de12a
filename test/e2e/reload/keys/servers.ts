import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect } from 'vitest'
import { startGateway } from '../../../helpers/gateway.ts'
import { openSession } from '../../../helpers/http-client.ts'
import { scriptedHttp, type ScriptedServer } from '../../../helpers/scripted-servers.ts'
import {
  call,
  change,
  reload,
  ofServer,
  reaching,
  says,
  tools,
  type File,
  type KeyTest,
  type KeyTests,
  type Look,
} from './change.ts'
import { CACHING_KEYS } from './caching.ts'
import { FILE_KEYS } from './files.ts'
import { LINK_KEYS } from './links.ts'
import { REPLICA_KEYS } from './replicas.ts'

/** What a change of each key of a server, of its tools and of its replicas does. */

const PROGRAM = fileURLToPath(new URL('../../../fixtures/programs/show-start.js', import.meta.url))
const FOLDER = mkdtempSync(join(tmpdir(), 'every-key-'))
writeFileSync(join(FOLDER, 'one.env'), 'VARIABLE=one\n')
writeFileSync(join(FOLDER, 'two.env'), 'VARIABLE=two\n')

const program = (more: object = {}): object => ({ command: process.execPath, args: [PROGRAM], ...more })
/** A member of what the program tells of itself. */
const itself =
  (member: string): Look =>
  async scene =>
    (JSON.parse(String(await call()(scene))) as Record<string, unknown>)[member]

/** The keys that say where a server is, of the server itself or of a replica. */
function endpointTests(place: string, wrap: (endpoint: object) => object): KeyTests {
  const only = (before: object, after: object, look: Look, seen: readonly [unknown, unknown]): KeyTest =>
    change(
      [() => ({ mcpServers: { a: wrap(before) } }), () => ({ mcpServers: { a: wrap(after) } })],
      look,
      seen,
    )
  const gone = { url: 'http://127.0.0.1:9/mcp' }
  return {
    [`${place}.type`]: change(
      [
        ({ entry }) => ({ mcpServers: { a: wrap({ ...entry, type: 'sse' }) } }),
        ({ entry }) => ({ mcpServers: { a: wrap({ ...entry, type: 'http' }) } }),
      ],
      says(call(), 'well'),
      [false, true],
    ),
    [`${place}.command`]: only(
      program({ command: join(FOLDER, 'none') }),
      program(),
      async scene => String(await call()(scene)).includes('"args"'),
      [false, true],
    ),
    [`${place}.args`]: only(
      program({ args: [PROGRAM, 'one'] }),
      program({ args: [PROGRAM, 'two'] }),
      itself('args'),
      [['one'], ['two']],
    ),
    [`${place}.env`]: only(
      program({ env: { VARIABLE: 'one' } }),
      program({ env: { VARIABLE: 'two' } }),
      itself('variable'),
      ['one', 'two'],
    ),
    [`${place}.envFile`]: only(
      program({ envFile: join(FOLDER, 'one.env') }),
      program({ envFile: join(FOLDER, 'two.env') }),
      itself('variable'),
      ['one', 'two'],
    ),
    [`${place}.cwd`]: only(program({ cwd: tmpdir() }), program({ cwd: FOLDER }), itself('folder'), [
      tmpdir(),
      FOLDER,
    ]),
    [`${place}.url`]: change(
      [() => ({ mcpServers: { a: wrap(gone) } }), ({ entry }) => ({ mcpServers: { a: wrap(entry) } })],
      says(call(), 'well'),
      [false, true],
    ),
    [`${place}.serverUrl`]: change(
      [
        () => ({ mcpServers: { a: wrap({ serverUrl: gone.url }) } }),
        ({ entry }) => ({ mcpServers: { a: wrap({ serverUrl: entry['url'] }) } }),
      ],
      says(call(), 'well'),
      [false, true],
    ),
  }
}

const calledAt = (max: number, name = 'a__t'): Look =>
  reaching(
    Array.from({ length: max }, () => ({})),
    name,
  )

export const SERVER_KEYS: KeyTests = {
  ...FILE_KEYS,
  ...LINK_KEYS,
  ...REPLICA_KEYS,
  ...CACHING_KEYS,
  mcpServers: change([() => ({ mcpServers: {} }), ({ entry }) => ({ mcpServers: { a: entry } })], tools, [
    [],
    ['a__t'],
  ]),
  servers: change([() => ({ servers: {} }), ({ entry }) => ({ servers: { a: entry } })], tools, [
    [],
    ['a__t'],
  ]),
  inputs: change(
    [
      ({ entry }) => ({
        inputs: [{ id: 'p', default: 'one' }],
        mcpServers: { a: { ...entry, prefix: '${input:p}' } },
      }),
      ({ entry }) => ({
        inputs: [{ id: 'p', default: 'two' }],
        mcpServers: { a: { ...entry, prefix: '${input:p}' } },
      }),
    ],
    tools,
    [['one__t'], ['two__t']],
  ),
  ...endpointTests('mcpServers.*', endpoint => endpoint),
  ...endpointTests('mcpServers.*.replicas.*', endpoint => ({ replicas: [endpoint] })),
  'mcpServers.*.disabled': ofServer({ disabled: true }, { disabled: false }, tools, [[], ['a__t']]),
  'mcpServers.*.required': ofBroken(
    { required: false },
    { required: true },
    async ({ origin }) => (await fetch(`${origin}/readyz`)).status,
    [200, 503],
  ),
  'mcpServers.*.prefix': ofServer({ prefix: 'x' }, { prefix: false }, tools, [['x__t'], ['t']]),
  'mcpServers.*.maxMessage': ofServer(
    { maxMessage: '1MiB' },
    { maxMessage: '64KiB' },
    async scene => {
      scene.server.results.set('tools/call', `{"content":[{"type":"text","text":"${'x'.repeat(100_000)}"}]}`)
      return String(await call()(scene)).startsWith('xxx')
    },
    [true, false],
  ),
  'mcpServers.*.disabledTools': ofServer({}, { disabledTools: ['t'] }, tools, [['a__t'], []]),
  'mcpServers.*.excludeTools': ofServer({}, { excludeTools: ['t'] }, tools, [['a__t'], []]),
  'mcpServers.*.tools.*.hidden': ofServer(
    { tools: { t: { hidden: true } } },
    { tools: { t: { hidden: false } } },
    tools,
    [[], ['a__t']],
  ),
  'mcpServers.*.rate': ofServer({}, { rate: '1/hour' }, calledAt(3), [3, 0]),
  'mcpServers.*.budget': ofServer({}, { budget: { calls: '1/month' } }, calledAt(3), [3, 0]),
  'mcpServers.*.tools.*.rate': ofServer({}, { tools: { t: { rate: '1/hour' } } }, calledAt(3), [3, 0]),
  'mcpServers.*.tools.*.budget': ofServer(
    {},
    { tools: { t: { budget: { calls: '1/month' } } } },
    calledAt(3),
    [3, 0],
  ),
  'mcpServers.*.cost': ofServer(
    { cost: 0, budget: { cost: '10/month' } },
    { cost: 11, budget: { cost: '10/month' } },
    calledAt(2),
    [2, 0],
  ),
  'mcpServers.*.tools.*.cost': ofServer(
    { tools: { t: { cost: 0 } }, budget: { cost: '10/month' } },
    { tools: { t: { cost: 11 } }, budget: { cost: '10/month' } },
    calledAt(2),
    [2, 0],
  ),
  'mcpServers.*.cache': ofServer({}, { cache: { ttl: '1h' } }, calledAt(3), [3, 0]),
  'mcpServers.*.tools.*.cache': ofServer({}, { tools: { t: { cache: { ttl: '1h' } } } }, calledAt(3), [3, 0]),
  'mcpServers.*.cache.ignoreArgs': ofServer(
    { cache: {} },
    { cache: { ignoreArgs: ['n'] } },
    differing,
    [2, 0],
  ),
  'mcpServers.*.cache.maxResult': ofServer(
    { cache: { maxResult: '1KiB' } },
    { cache: { maxResult: '1MiB' } },
    async scene => {
      scene.server.results.set('tools/call', `{"content":[{"type":"text","text":"${'x'.repeat(10_000)}"}]}`)
      return await calledAt(2)(scene)
    },
    [2, 0],
  ),
  'mcpServers.*.fallback': fallbackTest({ fallback: 'a' }),
  'mcpServers.*.tools.*.fallback': fallbackTest({ tools: { t: { fallback: 'a' } } }),
  'mcpServers.*.timeout': ofServer({ timeout: '1s' }, { timeout: '2s' }, waited(call()), ['1 s', '2 s']),
  'mcpServers.*.replicas.*.priority': ofReplica(
    { priority: 1 },
    { priority: 5 },
    ({ gateway }) => Promise.resolve(gateway.status()[0]?.replicas.map(({ priority }) => priority)),
    [[1], [5]],
  ),
  'mcpServers.*.replicas.*.name': ofReplica(
    { name: 'one' },
    { name: 'two' },
    ({ gateway }) => Promise.resolve(gateway.status()[0]?.replicas.map(({ name }) => name)),
    [['one'], ['two']],
  ),
  'mcpServers.*.replicas.*.weight': ofReplica(
    { weight: 1 },
    { weight: 5 },
    ({ gateway }) => Promise.resolve(gateway.status()[0]?.replicas.map(({ weight }) => weight)),
    [[1], [5]],
  ),
}

/** A change of a server that does not start. */
function ofBroken(before: object, after: object, look: Look, seen: readonly [unknown, unknown]): KeyTest {
  const file = (more: object) => () => ({
    mcpServers: { a: { command: process.execPath, args: ['-e', 'process.exit(1)'], ...more } },
  })
  return change([file(before), file(after)], look, seen)
}

/** A change of the only replica of a server. */
function ofReplica(before: object, after: object, look: Look, seen: readonly [unknown, unknown]): KeyTest {
  const file = (more: object) => (server: ScriptedServer) => ({
    mcpServers: { a: { replicas: [{ ...server.entry, ...more }] } },
  })
  return change([file(before), file(after)], look, seen)
}

/** The time that an error names. */
function waited(look: Look): Look {
  return async scene => {
    scene.server.results.delete('tools/call')
    return /\d+ m?s/.exec(String(await look(scene)))?.[0]
  }
}

/** Calls that differ in one member, of which as many reach the server. */
async function differing(scene: Parameters<Look>[0]): Promise<unknown> {
  const stamp = Math.random()
  return await reaching([{ n: stamp }, { n: stamp + 1 }])(scene)
}

/** Whether a call of a server that is gone, and was there before, is answered by another one. */
function fallbackTest(more: object): KeyTest {
  return async () => {
    await using other = await scriptedHttp()
    await using running = await startGateway({ mcpServers: { a: other.entry } })
    other.results.set('tools/call', '{"content":[{"type":"text","text":"well"}]}')
    const gone = await scriptedHttp()
    const file = (entry: object): File => ({
      mcpServers: { a: other.entry, b: { ...gone.entry, ...entry } },
    })
    await reload(running.gateway, file({}))
    const client = await openSession(running.origin)
    expect(await client.names('tools')).toEqual(['a__t', 'b__t'])
    await gone[Symbol.asyncDispose]()
    expect(await client.call('b__t')).not.toBe('well')
    await reload(running.gateway, file(more))
    expect(await client.call('b__t')).toBe('well')
  }
}
