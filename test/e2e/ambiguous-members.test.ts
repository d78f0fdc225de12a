import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { callAs, keyOf, withKeys, type Caller } from '../helpers/callers.ts'
import { startGateway, type TestGateway } from '../helpers/gateway.ts'
import { scriptedHttp, toolText, type ScriptedServer } from '../helpers/scripted-servers.ts'
import { StdioClient } from '../helpers/wire-clients.ts'

/** JSON readers differ: `encoding/json` of Go reads a member whatever its case. What the rules decided on is what every server reads. */

const SPELLINGS = JSON.parse(
  readFileSync(new URL('../fixtures/go-spellings.json', import.meta.url), 'utf8'),
) as { read: Record<string, string[]>; 'not read': string[] }

interface World extends AsyncDisposable {
  readonly running: TestGateway
  readonly server: ScriptedServer
  /** What reached the server of what clients asked. */
  readonly reached: () => string[]
}

async function world(ci: object): Promise<World> {
  const server = await scriptedHttp()
  server.results
    .set('tools/list', `{"tools":[${toolText('list_files')},${toolText('delete_all')}]}`)
    .set('prompts/list', '{"prompts":[{"name":"p"}]}')
    .set('tools/call', '{"content":[]}')
    .set('prompts/get', '{"messages":[]}')
    .set('completion/complete', '{"completion":{"values":[]}}')
  const running = await startGateway({ mcpServers: { go: server.entry }, clients: withKeys({ ci }) })
  await running.gateway.warmUp()
  return {
    running,
    server,
    reached: () =>
      server.messages.all.filter(text => /"(?:tools\/call|prompts\/get|completion\/complete)"/.test(text)),
    async [Symbol.asyncDispose]() {
      await running[Symbol.asyncDispose]()
      await server[Symbol.asyncDispose]()
    },
  }
}

const caller = async ({ running }: World, modern: boolean): Promise<Caller> =>
  (await callAs(running.origin, keyOf('ci'), { modern })) as Caller

describe.each([false, true])('modern: %s', modern => {
  test('a Go server never gets a member that it would read for one the rules decided on', async () => {
    await using made = await world({ deny: ['go/delete_all'] })
    await using client = await caller(made, modern)
    for (const [name, spellings] of Object.entries(SPELLINGS.read)) {
      if (name === 'method') continue
      for (const key of spellings) {
        const answer = await client.request(
          'tools/call',
          `{"name":"go__list_files","arguments":{},"${key}":"delete_all"}`,
        )
        expect(answer, key).toContain('"code":-32600')
        expect(answer, key).toContain(`differs from \\"${name}\\" in case only`)
      }
    }
    expect(made.reached()).toEqual([])
    for (const key of SPELLINGS['not read'])
      expect(
        await client.request('tools/call', `{"name":"go__list_files","arguments":{},"${key}":"delete_all"}`),
        key,
      ).toContain('"content":[]')
  })

  test.each([
    ['prompts/get', '{"name":"p","Name":"q"}'],
    [
      'completion/complete',
      '{"ref":{"type":"ref/prompt","name":"p","NAME":"q"},"argument":{"name":"a","value":""}}',
    ],
    [
      'completion/complete',
      '{"ref":{"type":"ref/prompt","name":"p"},"argument":{"name":"a","value":"","Value":"x"}}',
    ],
    [
      'completion/complete',
      '{"Ref":{"type":"ref/prompt","name":"q"},"ref":{"type":"ref/prompt","name":"p"},"argument":{"name":"a","value":""}}',
    ],
    ['resources/read', '{"uri":"x://a","URI":"x://b"}'],
    ['tools/call', '{"name":"go__list_files","x-one":1,"X-ONE":2}'],
  ])('%s with %s is refused', async (method, params) => {
    await using made = await world({})
    await using client = await caller(made, modern)
    expect(await client.request(method, params)).toContain('in case only')
    expect(made.reached()).toEqual([])
  })

  test('_meta keeps what no hop reads, and loses nothing that a hop would read', async () => {
    await using made = await world({})
    await using client = await caller(made, modern)
    const call = (meta: string): Promise<string> =>
      client.request('tools/call', `{"name":"go__list_files","_meta":{${meta}}}`)
    expect(await call('"ProgressToken":1')).toContain('in case only')
    expect(await call('"traceParent":"x","progressToken":1')).toContain('"content":[]')
  })

  test('a condition decides on the argument that the server reads', async () => {
    const when = 'has(args.path) && args.path.startsWith("/secret") || has(args.o) && args.o.task == "bad"'
    await using made = await world({ rules: [{ effect: 'deny', match: ['go/list_files'], when }] })
    await using client = await caller(made, modern)
    const call = (args: string, member = 'arguments'): Promise<string> =>
      client.request('tools/call', `{"name":"go__list_files","${member}":${args}}`)
    for (const args of [
      '{"Path":"/secret"}',
      '{"path":"/open","PATH":"/secret"}',
      '{"p\\u0041th":"/secret"}',
      '{"o":{"tas\u212a":"bad"}}',
      '{"o":{"ta\\u017fk":"bad"}}',
      '{"O":{"task":"bad"}}',
      '{"o":{"x":[{"y":1,"Y":2}]}}',
    ])
      expect(await call(args), args).toContain('in case only')
    expect(await call('{"path":"/secret"}', 'Arguments')).toContain('in case only')
    expect(made.reached()).toEqual([])
    // What no condition looks at is the server's own affair.
    expect(await call('{"path":"/open","headers":{"Accept":1,"accept":2},"id":9007199254740993}')).toContain(
      '"content":[]',
    )
  })

  test.each([
    ['{"n":9007199254740993}', 'not exact'],
    ['{"n":-9007199254740993}', 'not exact'],
    ['{"n":[{"x":9007199254740992}]}', 'not exact'],
    ['{"n":1e400}', 'not exact'],
    ['{"n":1e-400}', 'not exact'],
    ['{"n":10.00000000000000000001}', 'not exact'],
    ['[{"n":99}]', 'must be an object'],
    ['"n=99"', 'must be an object'],
    ['7', 'must be an object'],
  ])('arguments that a condition cannot read as the server does are refused: %s', async (args, why) => {
    const rules = [{ effect: 'deny', match: ['go/list_files'], when: 'has(args.n) && args.n == 99' }]
    await using made = await world({ rules })
    await using client = await caller(made, modern)
    expect(await client.request('tools/call', `{"name":"go__list_files","arguments":${args}}`)).toContain(why)
    expect(made.reached()).toEqual([])
    for (const fine of ['{"n":9007199254740991}', '{"n":0.30000000000000004}', '{"n":1.50}', 'null'])
      expect(
        await client.request('tools/call', `{"name":"go__list_files","arguments":${fine}}`),
        fine,
      ).toContain('"content":[]')
  })
})

test('the envelope is read as every server reads it, on stdio as well', async () => {
  await using made = await world({})
  await using client = await StdioClient.legacy(made.running.gateway)
  for (const [key, value] of [
    ['Method', '"tools/call"'],
    ['Params', '{"name":"delete_all"}'],
    ['ID', '7'],
    ['paramſ', '{}'],
    ['\\u004dethod', '"tools/call"'],
  ]) {
    client.send(
      `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"go__list_files"},"${key}":${value}}`,
    )
    expect(await client.answer('1')).toContain('in case only')
  }
  expect(made.reached()).toEqual([])
})
