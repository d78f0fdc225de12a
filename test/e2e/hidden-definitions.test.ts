import { describe, expect, test } from 'vitest'
import { callAs, keyOf, withKeys, type Caller } from '../helpers/callers.ts'
import { startGateway, type TestGateway } from '../helpers/gateway.ts'
import { scriptedHttp, type ScriptedServer } from '../helpers/scripted-servers.ts'

/** What a condition on a definition hides is as unknown by its exact name as it is in the lists. */

const RESOURCES = `{"resources":[
  {"uri":"doc://a/payroll","name":"p","title":"Secret payroll"},
  {"uri":"doc://a/plan","name":"q","annotations":{"priority":1}},
  {"uri":"doc://a/open","name":"o","title":"Open"}]}`.replaceAll('\n', '')
const TEMPLATES = `{"resourceTemplates":[
  {"uriTemplate":"doc://{+x}","name":"t"},
  {"uriTemplate":"sec://{k}","name":"s","title":"Secret template"}]}`.replaceAll('\n', '')

const RULES = [
  { effect: 'deny', when: 'tool.title.contains("Secret")' },
  { effect: 'deny', when: 'has(tool.annotations.priority)' },
]

const HIDDEN = ['doc://a/payroll', 'doc://a/plan']
const SPELLED = [
  'DOC://a/payroll',
  'doc://A/payroll',
  'doc://a/./payroll',
  'doc://a/%70ayroll',
  'doc://a/payroll#x',
]
const HIDDEN_TEMPLATES = ['sec://{k}', 'SEC://{k}', 'sec://%7Bk%7D', 'sec://1', 'SEC://1']

type Results = Readonly<Record<string, string>>

async function serverOf(results: Results): Promise<ScriptedServer> {
  const server = await scriptedHttp()
  const all = {
    'resources/list': RESOURCES,
    'resources/templates/list': TEMPLATES,
    'resources/read': '{"contents":[]}',
    'resources/subscribe': '{}',
    'resources/unsubscribe': '{}',
    'completion/complete': '{"completion":{"values":[]}}',
    ...results,
  }
  for (const [method, result] of Object.entries(all)) server.results.set(method, result)
  return server
}

interface World extends AsyncDisposable {
  readonly running: TestGateway
  readonly server: ScriptedServer
  readonly others: readonly ScriptedServer[]
}

interface Setup {
  readonly results?: Results
  readonly entry?: object
  readonly rules?: readonly object[]
  /** Results of further servers. */
  readonly others?: readonly Results[]
}

async function world({ results = {}, entry = {}, rules = RULES, others = [] }: Setup = {}): Promise<World> {
  const server = await serverOf(results)
  const further = await Promise.all(others.map(serverOf))
  const more = further.map((other, at) => [`other${at}`, other.entry] as const)
  const running = await startGateway({
    mcpServers: { docs: { ...server.entry, ...entry }, ...Object.fromEntries(more) },
    clients: withKeys({ ci: { rules } }),
  })
  await running.gateway.warmUp()
  return {
    running,
    server,
    others: further,
    async [Symbol.asyncDispose]() {
      await running[Symbol.asyncDispose]()
      await Promise.all([server, ...further].map(one => one[Symbol.asyncDispose]()))
    },
  }
}

const reached = (server: ScriptedServer): string[] =>
  server.messages.all.filter(text =>
    /"(?:resources\/(?:read|subscribe|unsubscribe)|completion\/complete)"/.test(text),
  )

const caller = async ({ running }: World, modern: boolean): Promise<Caller> =>
  (await callAs(running.origin, keyOf('ci'), { modern })) as Caller

const read = (uri: string): [string, string] => ['resources/read', `{"uri":"${uri}"}`]
const complete = (uri: string): [string, string] => [
  'completion/complete',
  `{"ref":{"type":"ref/resource","uri":"${uri}"},"argument":{"name":"k","value":""}}`,
]
const named = (uri: string, modern: boolean): [string, string][] => [
  read(uri),
  complete(uri),
  ...(modern
    ? []
    : ['resources/subscribe', 'resources/unsubscribe'].map((method): [string, string] => [
        method,
        `{"uri":"${uri}"}`,
      ])),
]

describe.each([false, true])('modern: %s', modern => {
  test.each<[string, Setup]>([
    ['a template of its server', {}],
    [
      'the only server',
      {
        results: {
          'resources/templates/list':
            '{"resourceTemplates":[{"uriTemplate":"sec://{k}","name":"s","title":"Secret template"}]}',
        },
      },
    ],
    [
      'a configured scheme',
      {
        entry: { uriSchemes: ['doc', 'sec'] },
        others: [
          { 'resources/list': '{"resources":[]}', 'resources/templates/list': '{"resourceTemplates":[]}' },
        ],
      },
    ],
  ])('what a condition on its definition hides is not reached by its URI, through %s', async (_, setup) => {
    await using made = await world(setup)
    await using client = await caller(made, modern)
    expect(await client.request('resources/list')).not.toMatch(/Secret|plan/)
    const denied = [...HIDDEN, ...SPELLED, ...HIDDEN_TEMPLATES]
    for (const uri of denied)
      for (const [method, params] of named(uri, modern))
        expect(await client.request(method, params), `${method} ${uri}`).toContain('Resource not found')
    if (modern) {
      const uris = [...denied, 'doc://a/open'].map(uri => `"${uri}"`)
      const heard = await client.listen(`{"resourceSubscriptions":[${uris.join(',')}]}`)
      expect(heard).toContain('"resourceSubscriptions":["doc://a/open"]')
    }
    expect(reached(made.server).filter(text => !text.includes('doc://a/open'))).toEqual([])
    for (const uri of ['doc://a/open', 'doc://a/other'])
      expect(await client.request(...read(uri)), uri).toContain('"contents":[]')
  })

  test('a link in a result does not lead to what is hidden', async () => {
    const links = ['doc://a/payroll', 'doc://a/%70ayroll', 'doc://a/linked'].map(
      uri => `{"type":"resource_link","uri":"${uri}","name":"p"}`,
    )
    await using made = await world({
      results: {
        'tools/call': `{"content":[${links.join(',')}]}`,
        'resources/templates/list': '{"resourceTemplates":[]}',
      },
      others: [
        { 'resources/list': '{"resources":[]}', 'resources/templates/list': '{"resourceTemplates":[]}' },
      ],
    })
    await using client = await caller(made, modern)
    const [tool] = JSON.parse(await client.request('tools/list')).result.tools as [{ name: string }]
    await client.request('tools/call', `{"name":"${tool.name}","arguments":{}}`)
    for (const uri of ['doc://a/payroll', 'doc://a/%70ayroll'])
      expect(await client.request(...read(uri))).toContain('Resource not found')
    expect(reached(made.server)).toEqual([])
    expect(await client.request(...read('doc://a/linked'))).toContain('"contents":[]')
  })

  test('the same URI at another server is decided with the definition of that server', async () => {
    await using made = await world({
      others: [
        {
          'resources/list': '{"resources":[{"uri":"doc://a/plan","name":"q","title":"Secret plan"}]}',
          'resources/templates/list': '{"resourceTemplates":[{"uriTemplate":"doc://a/{+x}","name":"t"}]}',
        },
      ],
    })
    await using client = await caller(made, modern)
    expect(await client.request(...read('doc://a/payroll'))).toContain('"contents":[]')
    expect(reached(made.server)).toEqual([])
    expect(reached(made.others[0] as ScriptedServer)).toHaveLength(1)
    for (const uri of ['doc://a/plan', 'other0+doc://a/plan'])
      expect(await client.request(...read(uri)), uri).toContain('Resource not found')
  })

  test('a rule about definitions denies what a server may have whose list could not be fetched', async () => {
    await using made = await world({ results: { 'resources/list': '{}' } })
    await using client = await caller(made, modern)
    for (const uri of ['doc://a/payroll', 'doc://a/other'])
      expect(await client.request(...read(uri)), uri).toContain('Resource not found')
    expect(reached(made.server)).toEqual([])
  })

  test('a rule about definitions denies what a list may hold beyond its bound', async () => {
    const many = Array.from({ length: 20_001 }, (_, at) => `{"uri":"doc://b/${at}","name":"n"}`)
    await using made = await world({ results: { 'resources/list': `{"resources":[${many.join(',')}]}` } })
    await using client = await caller(made, modern)
    expect(await client.request(...read('doc://b/1'))).toContain('"contents":[]')
    expect(await client.request(...read('doc://a/payroll'))).toContain('Resource not found')
  })
})

test('a rule that allows by definition allows a listed resource its updates', async () => {
  await using made = await world({
    rules: [
      { effect: 'allow', match: ['docs/*'], when: 'tool.title == "Open"' },
      { effect: 'deny', when: 'tool.title.contains("Secret")' },
    ],
  })
  await using client = await caller(made, false)
  await client.request('resources/subscribe', '{"uri":"doc://a/open"}')
  for (const uri of ['doc://a/open'])
    made.server.say(`{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{"uri":"${uri}"}}`)
  await client.notifications.take(text => text.includes('doc://a/open'), 'the update')
})
