import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { describe, expect, test } from 'vitest'
import { loadConfigFile, loadWithSource } from '../../../src/config/load/load.ts'
import { GatewayError } from '../../../src/core/errors.ts'
import type { Config } from '../../../src/config/types.ts'

const FIXTURES = fileURLToPath(new URL('../../fixtures/config', import.meta.url))
const VALID = join(FIXTURES, 'valid')
const INVALID = join(FIXTURES, 'invalid')

function load(name: string, env: Record<string, string> = {}): Promise<Config> {
  return loadConfigFile({ file: join(VALID, name), env, home: '/home/ada', cwd: '/somewhere' })
}

const server = (config: Config, name: string): Config['servers'][number] | undefined =>
  config.servers.find(candidate => candidate.name === name)

describe('a file that a client uses works as it is', () => {
  test('Claude Desktop', async () => {
    const config = await load('claude-desktop.json')
    expect(config.warnings).toEqual([])
    expect(
      config.servers.map(({ name, prefix, replicas }) => ({ name, prefix, endpoint: replicas[0]?.endpoint })),
    ).toEqual([
      {
        name: 'filesystem',
        prefix: 'filesystem',
        endpoint: {
          kind: 'stdio',
          command: 'npx',
          args: ['-y', '@modelcontextprotocol/server-filesystem', '/home/ada/Desktop', '/home/ada/Downloads'],
          env: {},
          cwd: '/somewhere',
        },
      },
      {
        name: 'Brave Search',
        prefix: 'Brave_Search',
        endpoint: {
          kind: 'stdio',
          command: 'C:\\Program Files\\nodejs\\npx.cmd',
          args: ['-y', '@modelcontextprotocol/server-brave-search'],
          env: { BRAVE_API_KEY: 'BSA-0123456789' },
          cwd: '/somewhere',
        },
      },
    ])
  })

  test('Claude Code', async () => {
    const config = await load('claude-code.json', { GITHUB_PAT: 'pat', DATABASE_URL: 'postgres://db' })
    expect(config.warnings).toEqual([])
    expect(server(config, 'github')?.replicas[0]?.endpoint).toEqual({
      kind: 'http',
      url: 'https://api.githubcopilot.example/mcp/',
      headers: { authorization: 'Bearer pat' },
      sseFallback: true,
    })
    expect(server(config, 'events')).toMatchObject({
      replicas: [{ endpoint: { kind: 'sse', url: 'https://events.example/sse' } }],
      timeoutMs: 600_000,
    })
    expect(server(config, 'db')?.replicas[0]?.endpoint).toMatchObject({
      args: ['-y', '@bytebase/dbhub', '--dsn', 'postgres://db'],
    })
  })

  test('Cursor', async () => {
    const config = await load('cursor.json', { MY_API_KEY: 'wins', MY_SERVICE: 'service' })
    expect(config.warnings).toEqual([])
    expect(server(config, 'local')?.replicas[0]?.endpoint).toMatchObject({
      args: [`${VALID}/tools/server.py`, '/home/ada/notes'],
      env: { API_KEY: 'wins', REGION: 'eu west' },
    })
    expect(server(config, 'remote')?.replicas[0]?.endpoint).toMatchObject({
      sseFallback: true,
      headers: { 'x-service': 'service' },
    })
  })

  test('Windsurf', async () => {
    const config = await load('windsurf.json')
    expect(config.warnings).toEqual([])
    expect(config.servers).toMatchObject([
      {
        name: 'remote',
        replicas: [
          { endpoint: { url: 'https://windsurf.example/mcp', headers: { 'x-key': 'key-from-a-file' } } },
        ],
        tools: [{ glob: 'drop_database', hidden: true }],
      },
    ])
  })

  test('VS Code, with comments, trailing commas and inputs', async () => {
    const config = await load('vscode.jsonc', { MCP_INPUT_PERPLEXITY_KEY: 'typed' })
    expect(config.warnings).toEqual([])
    expect(server(config, 'Perplexity')?.replicas[0]?.endpoint).toMatchObject({
      env: { PERPLEXITY_API_KEY: 'typed', PORT: '3000' },
    })
    expect(server(config, 'Perplexity')?.replicas[0]?.endpoint).not.toHaveProperty('env.HTTP_PROXY')
    expect(server(config, 'github')?.replicas[0]?.endpoint).toMatchObject({ url: 'https://eu.example/mcp' })
  })
})

test('every option of the format, also those of later versions', async () => {
  const config = await load('full.json', { SEARCH_TOKEN: 'token' })
  expect(config.servers).toMatchObject([
    { name: 'files', idleMs: 0, restartLimit: 3, memoryLimitBytes: 1024 ** 3, warmInstances: 2 },
    {
      name: 'search',
      prefix: 's',
      replicas: [
        {
          name: 'a.example',
          endpoint: {
            kind: 'http',
            url: 'https://a.example/mcp',
            headers: { authorization: 'Bearer token' },
            headersHelper: { command: ['print-headers', '--for', 'search'] },
          },
          weight: 1,
          priority: 0,
          zone: undefined,
          service: undefined,
        },
        {
          name: 'b',
          endpoint: { url: 'https://b.example/mcp', headers: { authorization: 'Bearer b' } },
          weight: 2,
          priority: 1,
          zone: 'eu',
          service: '_mcp._tcp',
        },
      ],
      retry: true,
      retries: 3,
      retryBudget: 0.1,
      hedge: false,
      health: {
        check: { tool: 'status', args: { quick: true } },
        intervalMs: 0,
        timeoutMs: 1000,
        failures: 5,
        errorRate: 0.3,
        slowBy: 5,
        panic: 0.7,
        baseEjectionTimeMs: 10_000,
        slowStartMs: 0,
      },
      fallback: { server: 'files', tool: 'search', args: { pattern: 'q' } },
      timeoutMs: 60_000,
      startTimeoutMs: 90_000,
      listTimeoutMs: 500,
      maxMessageBytes: 64 * 1024 * 1024,
      required: true,
      maxLinks: 3,
      maxExclusiveLinks: 2,
      linkTimeoutMs: 500,
      maxQuestions: 5,
      roots: [
        { uri: pathToFileURL(join(VALID, 'data')).href },
        { uri: 'file:///srv/data' },
        { uri: expect.stringMatching(/^file:/), name: 'home' },
      ],
      uriSchemes: ['search'],
      tools: [
        {
          glob: 'query',
          hidden: false,
          retry: false,
          fallback: { server: 'bare', tool: undefined, args: {} },
          cache: {
            ttlMs: 300_000,
            scope: 'shared',
            staleWhileRevalidateMs: 60_000,
            staleIfErrorMs: 3_600_000,
            ignoreArgs: ['requestId'],
            maxBytes: 64 * 1024,
            tags: ['documents'],
          },
          invalidates: 'server',
          readOnly: undefined,
        },
        { glob: 'put', cache: false, invalidates: ['documents'], readOnly: false, retry: undefined },
        { glob: 'delete_*', hidden: true, cache: undefined },
      ],
      cache: 'hints',
      hintsRule: { ttlMs: 300_000, scope: 'client' },
    },
    {
      name: 'account',
      oauth: {
        clientId: 'gateway',
        clientSecret: 'a-secret',
        authMethod: 'client_secret_post',
        scopes: ['read', 'write'],
        redirect: { port: 8976, path: '/done' },
        clientName: 'Example Editor',
        clientMetadataUrl: 'https://gateway.example/client.json',
        resource: 'none',
        issuer: 'https://login.example/tenant',
        extraParams: { audience: 'https://account.example' },
        dpop: true,
        grant: 'token_exchange',
        per: 'client',
        idp: {
          issuer: 'https://idp.example',
          tokenEndpoint: 'https://idp.example/token',
          clientId: 'gateway-at-idp',
          clientSecret: 'b-secret',
          subjectToken: 'c-secret',
        },
      },
      perClient: true,
    },
    {
      name: 'keyed',
      oauth: {
        clientId: 'gateway',
        privateKey: 'a-key',
        scopes: ['read', 'write'],
        redirect: { port: 8977, path: '/callback' },
      },
    },
    {
      name: 'cursor',
      oauth: {
        clientId: 'gateway',
        clientSecret: 'd-secret',
        scopes: ['read'],
        redirect: 'http://localhost:8978/done',
      },
    },
    { name: 'bare', prefix: false, replicas: [{ endpoint: { cwd: join(VALID, 'sub') } }], timeoutMs: 0 },
  ])
  expect(config.gateway).toEqual({
    admin: { socket: false, listen: '127.0.0.1:7333', token: 'a-token-of-the-admin', allowPlaintext: true },
    vault: {
      keys: ['a2V5IG9mIHRoZSB2YXVsdCBvZiB0aGUgZml4dHVyZSE='],
      keySource: 'file',
      folder: join(VALID, 'state'),
    },
    http: {
      host: '0.0.0.0',
      port: 0,
      publicUrl: 'https://mcp.example',
      tls: {
        cert: join(VALID, 'tls/cert.pem'),
        key: join(VALID, 'tls/key.pem'),
        ca: join(VALID, 'tls/ca.pem'),
        clientCertificates: 'request',
        contentDigest: expect.stringMatching(/^[0-9a-f]{64}$/) as string,
      },
      maxBodyBytes: 1_000_000,
      allowedHosts: ['gateway.example'],
      allowedOrigins: ['https://app.example'],
      maxSessions: 5,
      sessionIdleMs: 3_600_000,
      keepAliveMs: 0,
      maxEvents: 10,
      maxEventBytes: 64 * 1024,
    },
    state: `lmdb:${join(VALID, 'state')}`,
    log: 'debug',
    catalog: {
      maxNameLength: 64,
      pageSize: 100,
      refreshAfterMs: 3_600_000,
      firstListTimeoutMs: 2000,
      ttlMs: 10_000,
    },
    maxConcurrentCalls: 100,
    queue: 1000,
    quotaFailureMode: 'open',
    timeZone: 'Europe/Berlin',
    metrics: { enabled: false, maxSeries: 500 },
    usage: { enabled: false, keepMs: 90 * 86_400_000 },
    rules: [
      {
        location: 'gateway.policy.deny',
        effect: 'deny',
        match: ['tool:*/drop_*'],
        when: undefined,
        shadow: false,
      },
    ],
    auth: {
      jwt: [
        {
          issuer: 'https://login.example',
          jwks: 'https://login.example/keys',
          audience: ['https://mcp.example/mcp'],
          algorithms: ['ES256'],
          scopes: { 'mcp:read': ['reader'] },
          requiredScopes: ['mcp'],
          client: 'people',
          clockToleranceMs: 60_000,
        },
      ],
      proxy: { header: 'x-user', from: ['10.0.0.0/8'], client: 'people' },
      anonymous: 'guest',
      allowAnonymous: false,
    },
    audit: { file: join(VALID, 'audit.jsonl'), args: 'full', maxBytes: 1024 * 1024, maxFiles: 3 },
    asks: { answerTimeoutMs: 3_600_000, maxSuspendedCalls: 20, maxPerSession: 4, maxRounds: 3 },
    listen: { maxStreams: 6, maxResources: 7, acknowledgeTimeoutMs: 1000 },
    maxLinksPerClient: 9,
    zone: 'eu',
    dns: { refreshMs: 5000, servers: ['10.0.0.53', '10.0.0.54:5353', '[fd00::53]:5353', 'fd00::54'] },
    secrets: { execCacheMs: 60_000 },
    drainTimeoutMs: 60_000,
    shutdownTimeoutMs: 20_000,
    watch: false,
    cache: {
      maxBytes: 1024 ** 3,
      maxBytesPerClient: 10_000_000,
      persist: false,
      maxStoredBytes: 2_000_000_000,
      compressOverBytes: 1024,
    },
  })
  expect(config.clients).toMatchObject([
    {
      name: 'ci',
      keys: [`${'0'.repeat(62)}ab`],
      subjects: ['repo:acme'],
      certificates: ['ci.example'],
      users: ['ci'],
      roles: ['reader'],
      default: 'deny',
      weight: 2,
    },
    { name: 'people', default: 'allow', shadow: true },
    { name: 'guest', default: 'deny' },
  ])
  expect(config.warnings).toEqual([
    'The server "search" has a conversation of its own for each call ("isolation"), but results of "query" are shared by all clients ("scope"). Make sure that they depend on nothing but the arguments.',
  ])
})

describe('all mistakes of a file are said', () => {
  const names = readdirSync(INVALID).filter(name => name.endsWith('.json'))

  test.each(names)('%s', async name => {
    const expected = readFileSync(join(INVALID, name.replace('.json', '.txt')), 'utf8').trimEnd()
    const message = await loadWithSource({ file: join(INVALID, name), env: {}, home: '/home/ada' }).then(
      ({ problems }) => problems ?? '',
      (error: unknown) => {
        expect(error).toBeInstanceOf(GatewayError)
        expect((error as GatewayError).code).toBe('config')
        return (error as GatewayError).message
      },
    )
    expect(message.replaceAll(INVALID, '<folder>')).toBe(expected)
    expect(message).not.toContain('sekrit')
  })
})
