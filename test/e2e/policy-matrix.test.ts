import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { ItemKind } from '../../src/core/route.ts'
import { callAs, keyOf, withKeys, type Caller } from '../helpers/callers.ts'
import { startGateway, type TestGateway } from '../helpers/gateway.ts'
import { startIssuer, type Issuer } from '../helpers/issuer.ts'
import { scriptedHttp, toolText, type ScriptedServer } from '../helpers/scripted-servers.ts'

/**
 * What is listed is exactly what is callable, over HTTP and with credentials: client × rule × method × era × endpoint. What a client should see is said here once more by hand, beside its rules,
 * and everything there is gets tried.
 */

const SERVERS = ['alpha', 'beta'] as const
const TOOLS = ['read', 'write', 'danger']
const PROMPTS = ['greet', 'secret']
const resourcesOf = (server: string): string[] => [`${server}://open/1`, `${server}://secret/1`]
const templatesOf = (server: string): string[] => [`${server}://open/{id}`, `${server}://secret/{id}`]

type Sees = (kind: ItemKind, server: string, name: string) => boolean

interface Case {
  /** Of the client of this name, whose key is shown. */
  readonly entry?: object
  /** What is shown instead of a key: a token with these claims, or nothing. */
  readonly shows?: { readonly sub: string; readonly scope?: string } | 'nothing'
  readonly sees: Sees
}

const readOnly = (server: string, name: string): boolean => server === 'alpha' && name === 'read'

const CASES: Readonly<Record<string, Case>> = {
  open: { entry: {}, sees: () => true },
  nothing: { entry: { default: 'deny' }, sees: () => false },
  allowlist: {
    entry: { allow: ['tool:alpha/read', 'resource:alpha/alpha://open/*'] },
    sees: (kind, server, name) =>
      server === 'alpha' &&
      (kind === 'tool' ? name === 'read' : kind === 'resource' && name.startsWith('alpha://open/')),
  },
  denylist: {
    entry: { deny: ['tool:*/danger', 'prompt:*/secret', 'resource:*/*secret*'] },
    sees: (_, __, name) => name !== 'danger' && !name.includes('secret'),
  },
  kinds: {
    entry: { deny: ['tool:*/*'] },
    sees: kind => kind !== 'tool',
  },
  server: {
    entry: { deny: ['beta/*'] },
    sees: (_, server) => server === 'alpha',
  },
  'one name': {
    entry: { allow: ['tool:beta/read', 'prompt:beta/greet'] },
    sees: (kind, server, name) => server === 'beta' && name === (kind === 'tool' ? 'read' : 'greet'),
  },
  annotated: {
    entry: {
      default: 'deny',
      rules: [
        {
          effect: 'allow',
          match: ['tool:*/*'],
          when: 'has(tool.annotations.readOnlyHint) && tool.annotations.readOnlyHint',
        },
      ],
    },
    sees: (kind, server, name) => kind === 'tool' && readOnly(server, name),
  },
  failing: {
    entry: {
      rules: [{ effect: 'deny', match: ['tool:*/*'], when: 'tool.annotations.readOnlyHint == false' }],
    },
    // Where the annotation is missing, the condition fails, and the rule denies.
    sees: (kind, server, name) => kind !== 'tool' || readOnly(server, name),
  },
  named: {
    entry: {
      rules: [{ effect: 'deny', match: ['*/*'], when: 'principal.name == "named" && tool.server == "beta"' }],
    },
    sees: (_, server) => server === 'alpha',
  },
  'role of the client': {
    entry: { roles: ['alpha only'], default: 'deny' },
    sees: (_, server) => server === 'alpha',
  },
  'role of a token': {
    shows: { sub: 'a', scope: 'alpha' },
    sees: (_, server) => server === 'alpha',
  },
  'a token with a role that allows nothing here': {
    shows: { sub: 'b', scope: 'elsewhere' },
    sees: () => false,
  },
  'a subject of a client': {
    entry: { subjects: ['c'], deny: ['beta/*'] },
    shows: { sub: 'c' },
    sees: (_, server) => server === 'alpha',
  },
  'the anonymous client': {
    entry: { deny: ['tool:*/*'] },
    shows: 'nothing',
    sees: kind => kind !== 'tool',
  },
  'in shadow mode': {
    entry: { default: 'deny', deny: ['beta/*'], shadow: true },
    sees: () => true,
  },
  'with a shadow rule': {
    entry: { rules: [{ effect: 'deny', match: ['beta/*'], shadow: true }] },
    sees: () => true,
  },
  conditional: {
    entry: {
      rules: [
        // Listed, and decided with each call; the matrix calls with what is allowed.
        { effect: 'deny', match: ['tool:*/write'], when: 'has(args.path) && args.path.startsWith("/etc")' },
        { effect: 'deny', match: ['beta/*'], when: 'now < timestamp("2000-01-01T00:00:00Z")' },
      ],
    },
    sees: () => true,
  },
}

/** Endpoint → what of everything it has, and whether names have a prefix there. */
const ENDPOINTS: Readonly<Record<string, { has: Sees; bare: boolean }>> = {
  '': { has: () => true, bare: false },
  alpha: { has: (_, server) => server === 'alpha', bare: true },
  selected: {
    has: (kind, _, name) => kind === 'resource' || (kind === 'tool' && name !== 'write'),
    bare: false,
  },
}

let servers: Record<string, ScriptedServer>
let issuer: Issuer
let running: TestGateway

beforeAll(async () => {
  servers = {}
  for (const name of SERVERS) {
    const server = await scriptedHttp()
    servers[name] = server
    const tools = TOOLS.map(tool =>
      toolText(tool, readOnly(name, tool) ? ',"annotations":{"readOnlyHint":true}' : ''),
    )
    server.results
      .set('tools/list', `{"tools":[${tools.join(',')}]}`)
      .set('prompts/list', `{"prompts":[${PROMPTS.map(prompt => `{"name":"${prompt}"}`).join(',')}]}`)
      .set(
        'resources/list',
        `{"resources":[${resourcesOf(name)
          .map(uri => `{"uri":"${uri}","name":"r"}`)
          .join(',')}]}`,
      )
      .set(
        'resources/templates/list',
        `{"resourceTemplates":[${templatesOf(name)
          .map(uri => `{"uriTemplate":"${uri}","name":"t"}`)
          .join(',')}]}`,
      )
      .set('tools/call', '{"content":[]}')
      .set('prompts/get', '{"messages":[]}')
      .set('resources/read', `{"contents":[{"uri":"x://y","text":"${name}"}]}`)
      .set('completion/complete', '{"completion":{"values":["v"]}}')
      .set('resources/subscribe', '{}')
      .set('resources/unsubscribe', '{}')
  }
  issuer = await startIssuer()
  const clients = Object.entries(CASES).flatMap(([name, { entry }]) => (entry ? [[name, entry]] : []))
  running = await startGateway({
    mcpServers: Object.fromEntries(SERVERS.map(name => [name, (servers[name] as ScriptedServer).entry])),
    clients: withKeys(Object.fromEntries(clients) as Record<string, object>),
    roles: {
      'alpha only': { allow: ['alpha/*'] },
      elsewhere: { allow: ['tool:alpha/nothing'] },
    },
    profiles: { selected: { tools: ['resource:*/*', 'tool:*/read', 'tool:*/danger'] } },
    gateway: {
      auth: {
        anonymous: 'the anonymous client',
        jwt: [
          {
            issuer: issuer.url,
            audience: ['https://mcp.example/mcp'],
            scopes: { alpha: ['alpha only'], elsewhere: ['elsewhere'] },
          },
        ],
      },
    },
  })
  await running.gateway.warmUp()
})

afterAll(async () => {
  await running[Symbol.asyncDispose]()
  await issuer[Symbol.asyncDispose]()
  for (const server of Object.values(servers)) await server[Symbol.asyncDispose]()
})

interface Answer {
  readonly result?: Record<string, unknown> & { readonly isError?: boolean }
  readonly error?: { readonly code: number; readonly message: string }
}

const ask = async (caller: Caller, method: string, params?: object): Promise<Answer> =>
  JSON.parse(await caller.request(method, params && JSON.stringify(params))) as Answer

/** Whether a server got to answer. */
const works = async (caller: Caller, method: string, params: object): Promise<boolean> => {
  const { result } = await ask(caller, method, params)
  return result !== undefined && result.isError !== true
}

const listOf = async (caller: Caller, method: string, list: string, key: string): Promise<string[]> => {
  const { result } = await ask(caller, method)
  return ((result?.[list] ?? []) as Record<string, string>[]).map(entry => entry[key] as string)
}

const keep = async <T>(list: readonly T[], test: (item: T) => Promise<boolean>): Promise<T[]> => {
  const kept: T[] = []
  for (const item of list) if (await test(item)) kept.push(item)
  return kept
}

const matrix = Object.keys(CASES).flatMap(name =>
  Object.keys(ENDPOINTS).flatMap(endpoint => [false, true].map(modern => ({ name, endpoint, modern }))),
)

describe.each(matrix)('$name at /mcp/$endpoint, modern: $modern', ({ name, endpoint, modern }) => {
  const { shows, sees } = CASES[name] as Case
  const { has, bare } = ENDPOINTS[endpoint] as { has: Sees; bare: boolean }
  const may: Sees = (kind, server, own) => has(kind, server, own) && sees(kind, server, own)
  const all = (
    kind: ItemKind,
    names: (server: string) => readonly string[],
  ): { server: string; own: string }[] =>
    SERVERS.flatMap(server =>
      names(server)
        .filter(own => may(kind, server, own))
        .map(own => ({ server, own })),
    )
  const exposed = ({ server, own }: { server: string; own: string }): string =>
    bare ? own : `${server}__${own}`
  const everyName = (names: readonly string[]): string[] =>
    [...SERVERS.flatMap(server => names.map(own => `${server}__${own}`)), 'alpha__nothing', 'nothing'].sort()

  const tools = all('tool', () => TOOLS)
  const prompts = all('prompt', () => PROMPTS)
  const resources = all('resource', resourcesOf)
  const templates = all('resource', templatesOf)
  const items = [...tools, ...prompts, ...resources, ...templates]
  const anything = items.length > 0

  /** Whether a resource without an owner is asked of the only server there is. */
  const only = (uri: string): boolean => {
    const seen = SERVERS.filter(server => items.some(item => item.server === server))
    return seen.length === 1 && may('resource', seen[0] as string, uri)
  }

  const open = async (): Promise<Caller | undefined> => {
    const credential =
      shows === 'nothing' ? undefined : shows === undefined ? keyOf(name) : await issuer.token({ ...shows })
    return await callAs(running.origin, credential, { modern, endpoint })
  }

  test('the endpoint is there if anything at it is', async () => {
    await using caller = await open()
    expect(caller !== undefined).toBe(endpoint === '' || anything)
  })

  test.skipIf(endpoint !== '' && !anything)('what is listed is exactly what is callable', async () => {
    await using caller = (await open()) as Caller
    const listed = await listOf(caller, 'tools/list', 'tools', 'name')
    expect(listed).toEqual(tools.map(exposed))
    // Every name there could be: with prefix, without, and of nothing.
    const bareNames = TOOLS.filter(own => tools.filter(tool => tool.own === own).length === 1)
    const called = await keep([...everyName(TOOLS), ...TOOLS], each =>
      works(caller, 'tools/call', { name: each, arguments: {} }),
    )
    expect([...new Set(called)].sort()).toEqual([...new Set([...listed, ...bareNames])].sort())

    const listedPrompts = await listOf(caller, 'prompts/list', 'prompts', 'name')
    expect(listedPrompts).toEqual(prompts.map(exposed))
    const names = [...new Set([...everyName(PROMPTS), ...PROMPTS])]
    expect((await keep(names, each => works(caller, 'prompts/get', { name: each }))).sort()).toEqual(
      [...listedPrompts].sort(),
    )
    const completable = await keep(names, each =>
      works(caller, 'completion/complete', {
        ref: { type: 'ref/prompt', name: each },
        argument: { name: 'a', value: '' },
      }),
    )
    expect(completable.sort()).toEqual([...listedPrompts].sort())

    const uris = SERVERS.flatMap(resourcesOf)
    const listedUris = await listOf(caller, 'resources/list', 'resources', 'uri')
    expect(listedUris).toEqual(resources.map(({ own }) => own))
    // By templates there are more than those that are listed, and a client that sees one server only has all else from it.
    const seen = SERVERS.filter(server => items.some(item => item.server === server))
    const other = [...SERVERS.flatMap(server => [`${server}://open/9`, `${server}://secret/9`]), 'x://y']
    for (const uri of [...uris, ...other]) {
      const [owner] = [uri.split(':')[0] as string, ...(seen.length === 1 ? seen : [])].filter(
        server => uris.some(known => known.startsWith(`${server}:`)) && may('resource', server, uri),
      )
      const { result } = await ask(caller, 'resources/read', { uri })
      const [content] = (result?.contents ?? []) as { text: string }[]
      expect(content?.text, uri).toBe(owner)
    }

    const listedTemplates = await listOf(
      caller,
      'resources/templates/list',
      'resourceTemplates',
      'uriTemplate',
    )
    expect(listedTemplates).toEqual(templates.map(({ own }) => own))
    const completed = await keep(SERVERS.flatMap(templatesOf), uri =>
      works(caller, 'completion/complete', {
        ref: { type: 'ref/resource', uri },
        argument: { name: 'id', value: '' },
      }),
    )
    const expected = SERVERS.flatMap(templatesOf).filter(
      uri => may('resource', uri.split(':')[0] as string, uri) || only(uri),
    )
    expect(completed).toEqual(expected)
  })

  test.skipIf(endpoint !== '' && !anything)(
    'updates and log records come from what is seen, and from nothing else',
    async () => {
      await using caller = (await open()) as Caller
      const uris = SERVERS.flatMap(resourcesOf)
      const visible = resources.map(({ own }) => own)
      const heard = modern
        ? ((
            JSON.parse(await caller.listen(`{"resourceSubscriptions":${JSON.stringify(uris)}}`)) as {
              params: { notifications: { resourceSubscriptions?: string[] } }
            }
          ).params.notifications.resourceSubscriptions ?? [])
        : await keep(uris, uri => works(caller, 'resources/subscribe', { uri }))
      // A client that sees one server only has all others' from it, too, as far as the rules go.
      expect(heard).toEqual(expect.arrayContaining(visible))
      expect(heard.filter(uri => !may('resource', uri.split(':')[0] as string, uri) && !only(uri))).toEqual(
        [],
      )
      for (const server of SERVERS) {
        const { say } = servers[server] as ScriptedServer
        for (const uri of resourcesOf(server))
          say(`{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{"uri":"${uri}"}}`)
        if (!modern)
          say(
            `{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"error","data":"from ${server}"}}`,
          )
      }
      // What a server says later comes later: the last message is one that every client gets.
      for (const uri of visible)
        expect(await caller.notifications.take(text => text.includes(`"uri":"${uri}"`), uri)).toContain(
          'resources/updated',
        )
      const seen = SERVERS.filter(server => items.some(item => item.server === server))
      if (!modern)
        for (const server of seen)
          await caller.notifications.take(text => text.includes(`from ${server}`), server)
      const wrong = caller.notifications.all.filter(
        text =>
          SERVERS.some(server => text.includes(`from ${server}`) && !seen.includes(server)) ||
          SERVERS.flatMap(resourcesOf).some(uri => text.includes(`"uri":"${uri}"`) && !visible.includes(uri)),
      )
      expect(wrong).toEqual([])
    },
  )

  test.skipIf(endpoint !== '' && !anything)(
    'capabilities and instructions name nothing that is not seen',
    async () => {
      await using caller = (await open()) as Caller
      const { result } = JSON.parse(caller.greeting) as {
        result: { capabilities: object; instructions?: string }
      }
      expect('prompts' in result.capabilities).toBe(prompts.length > 0)
      expect('resources' in result.capabilities).toBe(resources.length > 0)
      const text = result.instructions ?? ''
      for (const server of SERVERS) {
        const seen = [...tools, ...prompts, ...resources, ...templates].some(item => item.server === server)
        if (!seen) expect(text).not.toContain(server)
      }
      expect(caller.modern).toBe(modern)
    },
  )
})
