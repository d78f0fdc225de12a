import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { configFrom } from '../../../../src/config/load/load.ts'
import { stateFolder } from '../../../../src/config/paths.ts'
import type { LoadFileOptions } from '../../../../src/config/load/load.ts'
import type { ServerConfig } from '../../../../src/config/types.ts'

const OPTIONS = { env: {}, home: '/home/ada', cwd: '/somewhere' } satisfies LoadFileOptions

const NO_QUOTA = { rate: undefined, concurrency: undefined, budgets: [] }

async function resolveServer(
  entry: object,
  options: Omit<LoadFileOptions, 'file'> = {},
): Promise<ServerConfig> {
  const { servers } = await configFrom({ mcpServers: { a: entry } }, { ...OPTIONS, ...options })
  const [server] = servers
  if (!server) throw new Error('the server was left out')
  if (server.problem !== undefined) throw new Error(server.problem)
  return server
}

test('a server with an address alone has a login with these defaults', async () => {
  const server = await resolveServer({ url: 'https://a.example/mcp' })
  expect(server.oauth).toEqual({
    clientId: undefined,
    clientSecret: undefined,
    privateKey: undefined,
    authMethod: undefined,
    scopes: undefined,
    redirect: undefined,
    clientName: 'mcp-manifold',
    clientMetadataUrl: undefined,
    resource: 'auto',
    issuer: undefined,
    extraParams: {},
    dpop: undefined,
    grant: 'code',
    per: 'gateway',
    idp: undefined,
  })
  expect(server.perClient).toBe(false)
})

test('a header of its own takes the place of a login, unless the file asks for one', async () => {
  const entry = { url: 'https://a.example/mcp', headers: { AUTHORIZATION: 'Bearer x' } }
  expect((await resolveServer(entry)).oauth).toBe(false)
  expect((await resolveServer({ ...entry, oauth: {} })).oauth).toMatchObject({ grant: 'code' })
  expect((await resolveServer({ url: entry.url, oauth: false })).oauth).toBe(false)
})

test('the keys of other clients for a login are understood', async () => {
  const oauthOf = async (more: object): Promise<unknown> =>
    (await resolveServer({ url: 'https://a.example/mcp', ...more })).oauth
  const redirect = { port: 8080, path: '/callback' }
  expect(await oauthOf({ oauth: { clientId: 'x', callbackPort: 8080 } })).toMatchObject({
    clientId: 'x',
    redirect,
  })
  const cursor = { CLIENT_ID: 'x', CLIENT_SECRET: 'y', scopes: ['a', 'b'] }
  expect(await oauthOf({ auth: cursor })).toMatchObject({
    clientId: 'x',
    clientSecret: 'y',
    scopes: ['a', 'b'],
  })
  expect(await oauthOf({ oauth: { client_id: 'x' } })).toMatchObject({ clientId: 'x' })
  const opencode = { clientId: 'x', scope: 'a  b', redirectUri: 'http://127.0.0.1:19876/done' }
  expect(await oauthOf({ oauth: opencode })).toMatchObject({
    scopes: ['a', 'b'],
    redirect: 'http://127.0.0.1:19876/done',
  })
})

test('what is left out has its default', async () => {
  const config = await configFrom({ mcpServers: { a: { command: 'x' } } }, OPTIONS)
  expect(config).toEqual({
    file: undefined,
    servers: [
      {
        name: 'a',
        prefix: 'a',
        problem: undefined,
        replicas: [
          {
            name: '1',
            location: expect.stringMatching(/^[\w-]{22}$/),
            endpoint: { kind: 'stdio', command: 'x', args: [], env: {}, cwd: '/somewhere' },
            weight: 1,
            priority: 0,
            zone: undefined,
            service: undefined,
          },
        ],
        required: false,
        startTimeoutMs: 60_000,
        timeoutMs: 300_000,
        listTimeoutMs: 20_000,
        idleMs: 1_800_000,
        maxMessageBytes: 32 * 1024 * 1024,
        isolation: 'auto',
        maxLinks: 64,
        maxExclusiveLinks: 8,
        linkTimeoutMs: 30_000,
        maxQuestions: 64,
        roots: undefined,
        uriSchemes: [],
        tools: [],
        cache: undefined,
        hintsRule: {
          ttlMs: 300_000,
          scope: 'client',
          staleWhileRevalidateMs: 0,
          staleIfErrorMs: 0,
          ignoreArgs: [],
          maxBytes: 1024 * 1024,
          tags: [],
        },
        perClient: false,
        clientValues: [],
        maxConcurrentCalls: 256,
        queue: 1000,
        queueTimeoutMs: 30_000,
        cost: 1,
        disabledTools: [],
        excludeTools: [],
        quota: NO_QUOTA,
        retry: false,
        retries: 2,
        retryBudget: 0.2,
        hedge: true,
        health: {
          check: 'protocol',
          intervalMs: 10_000,
          timeoutMs: 5000,
          failures: 3,
          errorRate: 0.5,
          slowBy: 10,
          panic: 0.5,
          baseEjectionTimeMs: 5000,
          slowStartMs: 30_000,
        },
        fallback: undefined,
        restartLimit: 8,
        memoryLimitBytes: 4 * 1024 ** 3,
        warmInstances: 0,
        fingerprint: expect.stringMatching(/^[0-9a-f]{64}$/),
        oauth: false,
      },
    ],
    clients: [],
    roles: [],
    profiles: [],
    gateway: {
      admin: { socket: true, listen: undefined, token: undefined, allowPlaintext: false },
      vault: { keys: [], keySource: 'auto', folder: stateFolder('/home/ada', {}, process.platform) },
      http: {
        host: '127.0.0.1',
        port: 3333,
        publicUrl: undefined,
        tls: undefined,
        maxBodyBytes: 4 * 1024 * 1024,
        allowedHosts: [],
        allowedOrigins: [],
        maxSessions: 1000,
        sessionIdleMs: 1_800_000,
        keepAliveMs: 15_000,
        maxEvents: 1000,
        maxEventBytes: 1024 * 1024,
      },
      state: `lmdb:${stateFolder('/home/ada', {}, process.platform)}`,
      log: 'info',
      catalog: {
        maxNameLength: 48,
        pageSize: 10_000,
        refreshAfterMs: 86_400_000,
        firstListTimeoutMs: 8000,
        ttlMs: 0,
      },
      asks: { answerTimeoutMs: 600_000, maxSuspendedCalls: 2000, maxPerSession: 32, maxRounds: 8 },
      listen: { maxStreams: 1000, maxResources: 1000, acknowledgeTimeoutMs: 10_000 },
      maxLinksPerClient: 32,
      zone: undefined,
      dns: { refreshMs: 30_000, servers: [] },
      secrets: { execCacheMs: 300_000 },
      drainTimeoutMs: 300_000,
      shutdownTimeoutMs: 25_000,
      watch: true,
      cache: {
        maxBytes: 64 * 1024 * 1024,
        maxBytesPerClient: 16 * 1024 * 1024,
        persist: true,
        maxStoredBytes: 256 * 1024 * 1024,
        compressOverBytes: 4096,
      },
      maxConcurrentCalls: 1024,
      queue: 4000,
      metrics: { enabled: true, maxSeries: 2000 },
      usage: { enabled: true, keepMs: 400 * 86_400_000 },
      quotaFailureMode: 'closed',
      timeZone: undefined,
      auth: { jwt: [], proxy: undefined, anonymous: undefined, allowAnonymous: false },
      rules: [],
      audit: undefined,
    },
    warnings: [],
  })
})

test('the command line wins over the file', async () => {
  const file = {
    mcpServers: { a: { command: 'x' } },
    gateway: { log: 'warn', http: { host: 'localhost', port: 1 } },
  }
  const overrides = { log: 'debug', host: '0.0.0.0', port: 0, allowAnonymous: true } as const
  const config = await configFrom(file, { ...OPTIONS, overrides })
  expect(config.gateway).toMatchObject({
    log: 'debug',
    http: { host: '0.0.0.0', port: 0 },
    auth: { allowAnonymous: true },
  })
  // Whether such an address may be listened on is decided when that is tried.
  expect(config.warnings).toEqual([])
})

test.each([
  ['linux', {}, '/home/ada/.local/state/mcp-manifold'],
  ['darwin', {}, '/home/ada/.local/state/mcp-manifold'],
  ['linux', { XDG_STATE_HOME: '/var/state' }, '/var/state/mcp-manifold'],
  ['win32', { LOCALAPPDATA: '/local' }, join('/local', 'mcp-manifold')],
  ['win32', {}, join('/home/ada', 'AppData', 'Local', 'mcp-manifold')],
] as const)('state on %s with %o is kept in %s', (platform, env, folder) => {
  expect(stateFolder('/home/ada', env, platform)).toBe(folder)
})

test.each([
  ['memory', 'memory'],
  ['lmdb:', `lmdb:${stateFolder('/home/ada', {}, process.platform)}`],
  ['lmdb:./.manifold', 'lmdb:/somewhere/.manifold'],
  ['lmdb:/var/manifold', 'lmdb:/var/manifold'],
  ['lmdb:~/manifold', 'lmdb:/home/ada/manifold'],
])('state %s is %s', async (state, resolved) => {
  expect((await configFrom({ gateway: { state } }, OPTIONS)).gateway.state).toBe(resolved)
})

describe('the fingerprint', () => {
  const remote = { url: 'https://x.example', headers: { A: '1', b: '2' } }

  test.each([
    ['the order of headers', { ...remote, headers: { b: '2', a: '1' } }],
    ['the name of the url', { serverUrl: remote.url, headers: remote.headers }],
    ['a time', { ...remote, timeout: '1m' }],
    ['a prefix', { ...remote, prefix: 'x' }],
    ['one replica', { replicas: [{ url: remote.url }], headers: remote.headers }],
  ])('does not depend on %s', async (_, entry) => {
    expect((await resolveServer(entry)).fingerprint).toBe((await resolveServer(remote)).fingerprint)
  })

  test('changes with everything that makes the server what it is', async () => {
    const entries = [
      { command: 'x' },
      { command: 'y' },
      { command: 'x', args: ['a'] },
      { command: 'x', args: ['a', 'b'] },
      { command: 'x', args: ['a b'] },
      { command: 'x', env: { A: '1' } },
      { command: 'x', env: { A: '2' } },
      { command: 'x', cwd: 'sub' },
      remote,
      { ...remote, headers: {} },
      { ...remote, url: 'https://y.example' },
      { ...remote, type: 'sse' },
    ]
    const seen = await Promise.all(entries.map(async entry => (await resolveServer(entry)).fingerprint))
    expect(new Set(seen).size).toBe(entries.length)
  })
})

describe('transports', () => {
  test.each([
    [undefined, { kind: 'http', sseFallback: true }],
    ['http', { kind: 'http', sseFallback: true }],
    ['streamable-http', { kind: 'http', sseFallback: false }],
    ['streamableHttp', { kind: 'http', sseFallback: false }],
    ['sse', { kind: 'sse' }],
  ])('type %s is %j', async (type, endpoint) => {
    const entry = { url: 'https://x.example', ...(type && { type }) }
    expect((await resolveServer(entry)).replicas[0]?.endpoint).toMatchObject(endpoint)
  })

  test('options of a program beside a url have no effect, and that is said', async () => {
    const file = { mcpServers: { a: { url: 'https://x.example', args: ['a'], env: {} } } }
    expect((await configFrom(file, OPTIONS)).warnings).toEqual([
      'The server "a" is remote: args of it has no effect.',
    ])
  })
})

describe('replicas', () => {
  test('have what the server says for all of them, and a name', async () => {
    const { replicas } = await resolveServer({
      env: { A: '1', B: '1' },
      headers: { X: '1', y: '1' },
      replicas: [
        { command: 'one', env: { B: '2' } },
        { url: 'https://one.example:8443/mcp', headers: { x: '2' }, weight: 0, priority: 2, zone: 'eu' },
        { command: 'three', name: 'spare' },
      ],
    })
    expect(replicas).toMatchObject([
      {
        name: '1',
        endpoint: { command: 'one', env: { A: '1', B: '2' } },
        weight: 1,
        priority: 0,
        zone: undefined,
      },
      {
        name: 'one.example:8443',
        endpoint: { url: 'https://one.example:8443/mcp', headers: { x: '2', y: '1' } },
        weight: 0,
        priority: 2,
        zone: 'eu',
      },
      { name: 'spare', endpoint: { command: 'three', env: { A: '1', B: '1' } } },
    ])
  })

  test('of the same host have names of their own', async () => {
    const { replicas } = await resolveServer({
      replicas: [
        { url: 'https://x.example/a' },
        { url: 'https://x.example/b' },
        { url: 'https://x.example/c' },
      ],
    })
    expect(replicas.map(({ name }) => name)).toEqual(['x.example', 'x.example-2', 'x.example-3'])
  })

  test('that are remote have no use for what is about programs, and that is said', async () => {
    const file = {
      mcpServers: { a: { url: 'https://x.example', warmInstances: 1, memoryLimit: '1GiB', restartLimit: 3 } },
    }
    expect((await configFrom(file, OPTIONS)).warnings).toEqual([
      'The server "a" is remote: restartLimit, memoryLimit, warmInstances of it has no effect.',
    ])
  })
})

test('tools that are switched off stay so whatever follows', async () => {
  const { tools } = await resolveServer({
    command: 'x',
    disabledTools: ['a'],
    excludeTools: ['b'],
    tools: { '*': {} },
  })
  const plain = {
    cost: undefined,
    retry: undefined,
    fallback: undefined,
    cache: undefined,
    invalidates: 'server',
    readOnly: undefined,
    quota: NO_QUOTA,
  }
  expect(tools).toEqual([
    { ...plain, glob: 'a', hidden: true },
    { ...plain, glob: 'b', hidden: true },
    { ...plain, glob: '*', hidden: false },
  ])
})

describe('an entry with the address of this gateway', () => {
  const serving = { ...OPTIONS, overrides: { serves: true, port: 4507 } }
  test.each(['http://127.0.0.1:4507/mcp', 'http://localhost:4507/mcp/files', 'http://[::1]:4507/sse'])(
    'is left out where the gateway listens: %s',
    async url => {
      const config = await configFrom({ mcpServers: { gw: { url }, a: { command: 'x' } } }, serving)
      expect(config.servers.map(({ name }) => name)).toEqual(['a'])
      expect(config.warnings).toEqual(['The server "gw" is this gateway itself and is left out.'])
    },
  )

  test.each(['http://127.0.0.1:4508/mcp', 'http://example.com:4507/mcp', 'http://127.0.0.1:4507/other'])(
    'is kept where it is another one: %s',
    async url => {
      const config = await configFrom({ mcpServers: { gw: { url } } }, serving)
      expect(config.servers).toHaveLength(1)
    },
  )

  test('is left out however its address is named', async () => {
    for (const entry of [
      { serverUrl: 'http://127.0.0.1:4507/mcp' },
      { replicas: [{ serverUrl: 'http://localhost:4507/mcp' }] },
      { url: 'http://0.0.0.0:4507/mcp' },
      { url: 'http://[::]:4507/sse' },
    ])
      expect((await configFrom({ mcpServers: { gw: entry } }, serving)).servers).toEqual([])
  })

  test('is kept by a gateway on stdio, which may stand before another one', async () => {
    const config = await configFrom({ mcpServers: { gw: { url: 'http://127.0.0.1:4507/mcp' } } }, OPTIONS)
    expect(config.servers).toHaveLength(1)
  })
})

describe('an entry that starts this gateway', () => {
  test.each([
    { command: 'mcp-manifold' },
    { command: '/usr/local/bin/mcp-manifold', args: ['--log', 'debug'] },
    { command: 'npx', args: ['-y', 'mcp-manifold'] },
    { command: 'npx.cmd', args: ['-y', 'mcp-manifold@latest'] },
    { command: 'pnpm', args: ['dlx', 'mcp-manifold'] },
    { command: 'node', args: ['/opt/manifold/bin/mcp-manifold.cjs'] },
    { command: 'node', args: ['/opt/manifold/bin/mcp-manifold.js'] },
  ])('is left out: $command $args', async entry => {
    const config = await configFrom({ mcpServers: { manifold: entry, a: { command: 'x' } } }, OPTIONS)
    expect(config.servers.map(({ name }) => name)).toEqual(['a'])
    expect(config.warnings).toEqual(['The server "manifold" is this gateway itself and is left out.'])
  })

  test.each([
    { command: 'npx', args: ['-y', 'mcp-manifold', '--config', 'other.json'] },
    { command: 'npx', args: ['-y', '@modelcontextprotocol/server-filesystem', 'mcp-manifold'] },
    { command: 'node', args: ['server.js', 'bin/mcp-manifold.cjs'] },
  ])('is not: $command $args', async entry => {
    expect((await resolveServer(entry)).name).toBe('a')
  })
})

test('nothing to offer is said', async () => {
  expect((await configFrom({}, OPTIONS)).warnings).toEqual([expect.stringContaining('There are no servers')])
})

const inServer = (entry: object): object => ({ mcpServers: { a: { command: 'x', ...entry } } })

describe('bounds', () => {
  test.each([
    ['timeout', inServer({ timeout: '1s' }), inServer({ timeout: '999ms' })],
    ['timeout', inServer({ timeout: '24h' }), inServer({ timeout: '25h' })],
    ['timeout', inServer({ timeout: 1000 }), inServer({ timeout: 999 })],
    ['startTimeout', inServer({ startTimeout: '1h' }), inServer({ startTimeout: 'never' })],
    ['listTimeout', inServer({ listTimeout: '10m' }), inServer({ listTimeout: '11m' })],
    ['idle', inServer({ idle: '1s' }), inServer({ idle: '999ms' })],
    ['maxMessage', inServer({ maxMessage: '64KiB' }), inServer({ maxMessage: '64KB' })],
    ['prefix', inServer({ prefix: 'p'.repeat(32) }), inServer({ prefix: 'p'.repeat(33) })],
    ['port', { gateway: { http: { port: 65_535 } } }, { gateway: { http: { port: 65_536 } } }],
    ['maxBody', { gateway: { http: { maxBody: '1KiB' } } }, { gateway: { http: { maxBody: '1KB' } } }],
    ['keepAlive', { gateway: { http: { keepAlive: 0 } } }, { gateway: { http: { keepAlive: '11m' } } }],
    ['pageSize', { gateway: { catalog: { pageSize: 1 } } }, { gateway: { catalog: { pageSize: 0 } } }],
    [
      'name',
      { mcpServers: { ['n'.repeat(64)]: { command: 'x' } } },
      { mcpServers: { ['n'.repeat(65)]: { command: 'x' } } },
    ],
  ])('of %s', async (_, inside, outside) => {
    const said = async (file: object): Promise<string | undefined> =>
      configFrom(file, OPTIONS).then(
        ({ servers }) => servers[0]?.problem,
        (error: Error) => error.message,
      )
    expect(await said(inside)).toBeUndefined()
    expect(await said(outside)).toMatch(/expected/)
  })
})

test('roots are file URIs, relative to the file, once for all', async () => {
  const { roots } = await resolveServer(
    {
      command: 'x',
      roots: [
        '.',
        'sub dir',
        '/abs',
        '~/notes',
        '${WORK}',
        'FILE:///kept%20as/it#is',
        { uri: 'b', name: 'B' },
      ],
    },
    { env: { WORK: '/from/env' } },
  )
  expect(roots).toEqual([
    { uri: 'file:///somewhere' },
    { uri: 'file:///somewhere/sub%20dir' },
    { uri: 'file:///abs' },
    { uri: 'file:///home/ada/notes' },
    { uri: 'file:///from/env' },
    { uri: 'file:///kept%20as/it#is' },
    { uri: 'file:///somewhere/b', name: 'B' },
  ])
  expect((await resolveServer({ command: 'x', roots: [] })).roots).toEqual([])
})

test.each([['https://a.example'], ['file:x'], [''], [7], [{ uri: 'a', nmae: 'A' }], [{ name: 'A' }]])(
  '%j is no root',
  async root => {
    await expect(resolveServer({ command: 'x', roots: [root] })).rejects.toThrow(/roots\[0\]/)
  },
)
