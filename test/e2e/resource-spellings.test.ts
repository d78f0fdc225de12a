import { describe, expect, test } from 'vitest'
import { callAs, keyOf, withKeys, type Caller } from '../helpers/callers.ts'
import { startGateway, type TestGateway } from '../helpers/gateway.ts'
import { scriptedHttp, type ScriptedServer } from '../helpers/scripted-servers.ts'

/** Servers parse URIs: a file that a rule denies is denied in every spelling, and a folder that one allows is not left. */

const DENIED = [
  'file:///secret/payroll.csv',
  'FILE:///secret/payroll.csv',
  'file:/secret/payroll.csv',
  'file:secret/payroll.csv',
  'file:////secret/payroll.csv',
  'file:///./secret/payroll.csv',
  'file:///secret//payroll.csv',
  'file:///pub/../secret/payroll.csv',
  'file:///pub/%2e%2e/secret/payroll.csv',
  'file:///pub/..%2fsecret/payroll.csv',
  'file:///pub/%252e%252e/secret/payroll.csv',
  'file:///%73ecret/payroll.csv',
  'file:///secret\\\\payroll.csv',
  'file:\\\\\\\\\\\\secret\\\\payroll.csv',
  'file://localhost/secret/payroll.csv',
  'file://LOCALHOST./secret/payroll.csv',
  'file://elsewhere/secret/payroll.csv',
  'file:///secret./payroll.csv',
  'file:///secret/payroll.csv?x',
  'file:///secret/payroll.csv#x',
]
const INVALID = [
  ' file:///pub/a',
  'file:///pub/a ',
  'file:///se\\tcret/a',
  'file:///pub/a\\u0000',
  'file:///pub/a%00',
]

interface World extends AsyncDisposable {
  readonly running: TestGateway
  readonly server: ScriptedServer
  readonly reached: () => string[]
}

async function world(ci: object, more: object = {}): Promise<World> {
  const server = await scriptedHttp()
  server.results
    .set('resources/list', '{"resources":[{"uri":"file:///pub/a","name":"a"}]}')
    .set('resources/templates/list', '{"resourceTemplates":[{"uriTemplate":"file:///{+path}","name":"t"}]}')
    .set('resources/read', '{"contents":[]}')
    .set('resources/subscribe', '{}')
    .set('resources/unsubscribe', '{}')
    .set('completion/complete', '{"completion":{"values":[]}}')
  const running = await startGateway({
    mcpServers: { files: server.entry },
    clients: withKeys({ ci }),
    ...more,
  })
  await running.gateway.warmUp()
  return {
    running,
    server,
    reached: () =>
      server.messages.all.filter(text =>
        /"(?:resources\/(?:read|subscribe|unsubscribe)|completion\/complete)"/.test(text),
      ),
    async [Symbol.asyncDispose]() {
      await running[Symbol.asyncDispose]()
      await server[Symbol.asyncDispose]()
    },
  }
}

const caller = async ({ running }: World, modern: boolean, endpoint = ''): Promise<Caller> =>
  (await callAs(running.origin, keyOf('ci'), { modern, endpoint })) as Caller

const asked = (modern: boolean): [string, (uri: string) => string][] => [
  ['resources/read', uri => `{"uri":"${uri}"}`],
  [
    'completion/complete',
    uri => `{"ref":{"type":"ref/resource","uri":"${uri}"},"argument":{"name":"a","value":""}}`,
  ],
  ...(modern
    ? []
    : [
        ['resources/subscribe', (uri: string) => `{"uri":"${uri}"}`] as [string, (uri: string) => string],
        ['resources/unsubscribe', (uri: string) => `{"uri":"${uri}"}`] as [string, (uri: string) => string],
      ]),
]

describe.each([false, true])('modern: %s', modern => {
  test.each([
    ['a rule that denies it', { deny: ['resource:files/file:///secret/*'] }],
    ['a rule that denies this file', { deny: ['resource:files/file:///secret/payroll.csv'] }],
    [
      'a rule that allows another folder',
      { default: 'deny', allow: ['resource:files/file:///pub/*', 'resource:files/file:///{+path}'] },
    ],
    [
      'a condition',
      {
        rules: [
          { effect: 'deny', when: 'tool.kind == "resource" && tool.name.startsWith("file:///secret/")' },
        ],
      },
    ],
  ])('no spelling of a denied file reaches its server, with %s', async (_, ci) => {
    await using made = await world(ci)
    await using client = await caller(made, modern)
    for (const [method, params] of asked(modern)) {
      for (const uri of DENIED) {
        const answer = await client.request(method, params(uri))
        expect(answer, uri).toContain('Resource not found')
      }
      for (const uri of INVALID)
        expect(await client.request(method, params(uri)), uri).toContain('"code":-32602')
    }
    expect(made.reached()).toEqual([])
    expect(await client.request('resources/read', '{"uri":"file:///pub/a"}')).toContain('"contents":[]')
    expect(await client.request('resources/read', '{"uri":"file:///pub/b c%20d"}')).toContain('"contents":[]')
    if (modern) {
      const uris = [...DENIED, ...INVALID, 'file:///pub/a'].map(uri => `"${uri}"`)
      const heard = await client.listen(`{"resourceSubscriptions":[${uris.join(',')}]}`)
      expect(heard).toContain('"resourceSubscriptions":["file:///pub/a"]')
    }
  })

  test('a profile holds what it selects, in every spelling', async () => {
    await using made = await world({}, { profiles: { pub: { tools: ['resource:files/file:///pub/*'] } } })
    await using client = await caller(made, modern, 'pub')
    for (const uri of DENIED)
      expect(await client.request('resources/read', `{"uri":"${uri}"}`), uri).toContain('Resource not found')
    expect(made.reached()).toEqual([])
    expect(await client.request('resources/read', '{"uri":"file:///pub/a"}')).toContain('"contents":[]')
  })
})

test('an update of what is denied is not told under another spelling', async () => {
  await using made = await world({ deny: ['resource:files/file:///pub/secret*'] })
  await using client = await caller(made, false)
  await client.request('resources/subscribe', '{"uri":"file:///pub"}')
  for (const uri of ['file:///pub/%73ecret', 'file:///pub/a/../secret', 'file:///pub/open'])
    made.server.say(`{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{"uri":"${uri}"}}`)
  await client.notifications.take(text => text.includes('pub/open'), 'the update')
  expect(client.notifications.all.filter(text => /ecret/.test(text))).toEqual([])
})

test('no port, query, parameter or backslash in a user leads to what a rule denies', async () => {
  const deny = [
    'resource:files/db://private/*',
    'resource:files/notes://private/1',
    'resource:files/http://wiki/secret',
  ]
  await using made = await world({ deny })
  made.server.results.set(
    'resources/templates/list',
    `{"resourceTemplates":[${['db://{t}/{k}', 'notes://{+rest}', 'http://{+rest}']
      .map(text => `{"uriTemplate":"${text}","name":"t"}`)
      .join(',')}]}`,
  )
  await using client = await caller(made, true)
  const denied = [
    'db://private:/1',
    'db://private:0/1',
    'notes://private:80/1',
    'notes://private:\\\\80/1',
    'notes://private/1?',
    'notes://private/1?x=1',
    'notes://private/1?x=1#y',
    'http://x\\\\@wiki/secret',
    'http://wiki/secret?',
    'http://wiki/secret;x',
    'http://wiki:81/secret',
  ]
  for (const uri of denied)
    expect(await client.request('resources/read', `{"uri":"${uri}"}`), uri).toContain('Resource not found')
  expect(made.reached()).toEqual([])
  for (const uri of ['db://open:/1', 'notes://open:80/1?x=1', 'http://u@wiki/open;x?y#z'])
    expect(await client.request('resources/read', `{"uri":"${uri}"}`), uri).toContain('"contents":[]')
})

test('no empty path, other form of a host, port or byte, and nothing around a URI leads to what a rule denies', async () => {
  const deny = [
    'http://wiki/*',
    'file:///*',
    'http://*.büro/*',
    'http://*.corp:80/*',
    'notes:///private/*',
    'db://wiki:8080/*',
    'db://[::1]/*',
    'http://lat/s%e9cret',
    'notes://hr/ä*',
    'rtsps://h/secret',
  ].map(pattern => `resource:files/${pattern}`)
  await using made = await world({ deny })
  made.server.results.set(
    'resources/templates/list',
    '{"resourceTemplates":[{"uriTemplate":"{+uri}","name":"t"}]}',
  )
  await using client = await caller(made, false)
  const denied = [
    'http://wiki',
    'http://wiki?page=secret',
    'HTTP:wiki?x',
    'file://',
    'http://x.BÜRO/1',
    'http://x.xn--bro-hoa/1',
    'http://x.corp/1',
    'notes:/private/1',
    'db://wiki:08080/s',
    'db://[0::1]/1',
    'http://lat/s%E9cret',
    'notes://hr/%C3%A4%FF',
    'rtsps://h/secret;x',
    'URL:http://wiki/secret',
    '<URL:http://wiki/secret>',
  ]
  for (const [method, params] of asked(false))
    for (const uri of denied)
      expect(await client.request(method, params(uri)), uri).toContain('Resource not found')
  expect(made.reached()).toEqual([])
  for (const uri of ['http://open?page=secret', 'http://x.open/1', 'notes:/open/1', 'db://[::2]:05/1'])
    expect(await client.request('resources/read', `{"uri":"${uri}"}`), uri).toContain('"contents":[]')
})

describe.each([
  ['its title', "tool.title.contains('Secret')"],
  ['its annotations', 'has(tool.annotations.priority) && tool.annotations.priority > 0.5'],
])('a resource and a template that a condition on %s denies', (_, when) => {
  test.each([false, true])(
    'are reached by no request of a client, in no spelling (modern: %s)',
    async modern => {
      const secret = '"title":"Secret one","annotations":{"priority":0.9}'
      await using made = await world({ rules: [{ effect: 'deny', match: ['resource:files/*'], when }] })
      made.server.results
        .set(
          'resources/list',
          `{"resources":[{"uri":"doc://a/payroll","name":"p",${secret}},{"uri":"doc://a/open","name":"o"}]}`,
        )
        .set(
          'resources/templates/list',
          `{"resourceTemplates":[{"uriTemplate":"doc://{+x}","name":"t"},{"uriTemplate":"sec://{k}","name":"s",${secret}}]}`,
        )
      made.server.say('{"jsonrpc":"2.0","method":"notifications/resources/list_changed"}')
      await using client = await caller(made, modern)
      expect(await client.request('resources/read', '{"uri":"doc://a/open"}')).toContain('"contents":[]')
      const list = await client.request('resources/list', '{}')
      expect(list).toContain('doc://a/open')
      expect(list).not.toContain('payroll')
      const before = made.reached().length
      for (const [method, params] of asked(modern))
        for (const uri of [
          'doc://a/payroll',
          'DOC://a/payroll',
          'doc://a/x/../pay%72oll',
          'doc://a/payroll?x',
          'sec://{k}',
        ])
          expect(await client.request(method, params(uri)), `${method} ${uri}`).toContain(
            'Resource not found',
          )
      expect(made.reached().slice(before)).toEqual([])
      const wished = '"doc://a/payroll","doc://a/pay%72oll","doc://a/open"'
      if (modern)
        expect(await client.listen(`{"resourceSubscriptions":[${wished}]}`)).toContain(
          '"resourceSubscriptions":["doc://a/open"]',
        )
    },
  )
})
