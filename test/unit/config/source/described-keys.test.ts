import { expect, test } from 'vitest'
import { configFrom } from '../../../../src/config/load/load.ts'
import { everyKey } from '../../../../src/config/options/keys.ts'
import { formatPath } from '../../../../src/config/problem.ts'
import { describeChange } from '../../../../src/config/source/describe-change.ts'
import type { Check } from '../../../../src/config/options/option.ts'
import type { Config } from '../../../../src/config/types.ts'

/** A change of each key, at each place where it may stand, is described by that key. */

type Pair = readonly [unknown, unknown]

/** Two values of a key whose descriptor does not give them, by the end of its path. */
const VALUES: Readonly<Record<string, Pair>> = {
  url: ['https://a.example', 'https://b.example'],
  serverUrl: ['https://a.example', 'https://b.example'],
  type: ['http', 'sse'],
  env: [{ k: '1' }, { k: '2' }],
  prefix: ['one', false],
  roots: [['/one'], ['/two']],
  uriSchemes: [['one'], ['two']],
  cache: [undefined, {}],
  'cache.tags': [['one'], ['two']],
  'replicas.*.name': ['b', 'c'],
  service: ['_a._tcp', '_b._tcp'],
  'health.check': ['protocol', { tool: 't' }],
  allow: [['a/x'], ['a/y']],
  deny: [['a/x'], ['a/y']],
  match: [['a/x'], ['a/y']],
  'profiles.*.tools': [['a/x'], ['a/y']],
  fallback: ['b', { server: 'b', tool: 't' }],
  rate: ['3/min', '600/min'],
  calls: ['1/day', '2/day'],
  compute: ['1m/day', '2m/day'],
  'budget.cost': ['1/day', '2/day'],
  bytes: ['1MiB/day', '2MiB/day'],
  keys: [[`sha256:${'0'.repeat(64)}`], [`sha256:${'1'.repeat(64)}`]],
  'clients.*.roles': [['r'], ['q']],
  'clients.*.values': [{ token: 'one' }, { token: 'two' }],
  'profiles.*.servers': [['a'], ['b']],
  when: ['args.a == 1', 'args.a == 2'],
  timeZone: ['UTC', 'Europe/Berlin'],
  anonymous: ['ci', 'cd'],
  client: ['ci', 'cd'],
  scopes: [{ s: ['r'] }, { s: ['q'] }],
  issuer: ['https://a.example', 'https://b.example'],
  jwks: ['https://a.example/jwks', 'https://b.example/jwks'],
  publicUrl: ['https://a.example', 'https://b.example'],
  algorithms: [['RS256'], ['ES256']],
  'proxy.header': ['x-one', 'x-two'],
  'proxy.from': [['10.0.0.1'], ['10.0.0.2']],
  'dns.servers': [['10.0.0.1'], ['10.0.0.2']],
  state: ['memory', 'redis://127.0.0.1'],
  'admin.listen': ['127.0.0.1:7333', '127.0.0.1:7334'],
  'admin.token': ['a'.repeat(16), 'b'.repeat(16)],
  'vault.keys': [[`${'A'.repeat(43)}=`], [`${'B'.repeat(42)}A=`]],
  'audit.file': ['off', '/var/log/audit.jsonl'],
  'mcpServers.*.oauth': [false, {}],
  'oauth.scopes': [['one'], ['two']],
  'oauth.scope': ['one', 'two'],
  'auth.scopes': ['one', 'two'],
  redirect: ['https://a.example/callback', 'https://b.example/callback'],
  'redirect.path': ['/one', '/two'],
  redirectUri: ['https://a.example/callback', 'https://b.example/callback'],
  clientMetadataUrl: ['https://a.example/client', 'https://b.example/client'],
  resource: ['auto', 'none'],
  grant: ['code', 'device'],
  tokenEndpoint: ['https://a.example/token', 'https://b.example/token'],
}

/** What is said of a key in place of its own path. */
const SAID: Readonly<Record<string, string>> = {
  'mcpServers.*.disabled': 'Server "a" is removed.',
  'mcpServers.*.serverUrl': 'url',
  'mcpServers.*.replicas.*.serverUrl': 'replicas.b.url',
  'mcpServers.*.replicas.*.name': 'replicas.c added',
  'mcpServers.*.oauth.client_id': 'oauth.clientId',
  'mcpServers.*.oauth.scope': 'oauth.scopes',
  'mcpServers.*.oauth.redirectUri': 'oauth.redirect',
  'mcpServers.*.oauth.callbackPort': 'oauth.redirect.port',
  'mcpServers.*.auth.CLIENT_ID': 'oauth.clientId',
  'mcpServers.*.auth.CLIENT_SECRET': 'oauth.clientSecret',
  'mcpServers.*.auth.scopes': 'oauth.scopes',
}

/** What has no effect of its own: on other keys, or not at all. The variables of `envFile` are named as those of `env`. */
const UNSAID = /^(?:servers\.|inputs$|include$|\$schema$)|\.envFile$/

/** What an entry needs beside the key, by a part of its path. */
const BESIDE: readonly (readonly [RegExp, (entry: Record<string, unknown>) => void])[] = [
  [/^mcpServers\.\*\.(?:args|env|cwd)$/, entry => (entry['command'] = 'x')],
  [/\.replicas\.\*\.(?:args|env|cwd)$/, entry => (entry['command'] = 'x')],
  [/\.oauth\.(?:clientSecret|privateKey)$/, oauth => (oauth['clientId'] = 'x')],
  [
    /\.oauth\.idp$/,
    oauth =>
      Object.assign(oauth, { grant: 'id_jag', idp: { issuer: 'https://i.example', subjectToken: 'x' } }),
  ],
]

/** Holds other keys only. */
function isHolder(check: Check): boolean {
  if (check.kind === 'section') return true
  return (check.kind === 'list' || check.kind === 'table') && check.of.kind === 'section'
}

const PLACES = everyKey()
  .filter(({ option: { check, pending } }) => pending === undefined && !isHolder(check))
  .map(({ path, option }) => [path.join('.'), path, option.check] as const)
  .filter(([text]) => !UNSAID.test(text))

test.each(PLACES)('%s', async (text, path, check) => {
  const ends = Object.keys(VALUES).filter(end => `.${text}`.endsWith(`.${end}`))
  const longest = ends.sort((a, b) => b.length - a.length)[0] ?? ''
  const pair = VALUES[longest] ?? valuesOf(check)
  if (!pair) throw new Error(`Add two values of ${text} to VALUES.`)
  const [before, after] = [await configOf(path, pair[0]), await configOf(path, pair[1])]
  const said = describeChange(before, after).lines.join('\n')
  const entry = path[0] === 'gateway' ? 0 : 2
  const own = formatPath(
    path.slice(entry).map((step, at) => (step === '*' ? nameIn(path, at + entry) : step)),
  )
  // Rules have no names, so their list is named.
  expect(said).toContain(SAID[text] ?? own.replace(/(?<=\brules)\[0\].*/, ''))
  expect(said.split('\n')).toHaveLength(1)
})

/** The name or index that stands for a `*`. */
function nameIn(path: readonly string[], at: number): string | number {
  const names: Readonly<Record<string, string | number>> = {
    mcpServers: 'a',
    clients: 'ci',
    roles: 'r',
    profiles: 'p',
    tools: 't',
    limits: 'a/*',
    replicas: 'b',
    jwt: 0,
    rules: 0,
  }
  return names[path[at - 1] ?? ''] ?? 'x'
}

async function configOf(path: readonly string[], value: unknown): Promise<Config> {
  const server = { url: 'https://a.example' }
  const file = {
    mcpServers: { a: { ...server }, b: { ...server } },
    clients: { ci: {}, cd: {} },
    roles: { r: {}, q: {} },
    profiles: { p: { servers: ['b'] } },
    gateway: {
      state: 'memory',
      admin: { token: 'c'.repeat(16) },
      http: { tls: { cert: '/cert.pem', key: '/key.pem', ca: '/ca.pem' } },
      auth: { jwt: [{ ...REQUIRED['jwt'] }], proxy: { header: 'x-user', from: ['10.0.0.9'] } },
    },
  }
  place(file, path, 0, value)
  const config = await configFrom(file, { env: {}, home: '/home/ada', cwd: '/somewhere' })
  expect(config.servers.map(({ problem }) => problem)).toEqual(config.servers.map(() => undefined))
  return config
}

function place(at: Record<string, unknown>, path: readonly string[], step: number, value: unknown): void {
  const key = path[step] ?? ''
  const text = path.slice(0, step + 1).join('.')
  for (const [where, beside] of BESIDE) if (where.test(text)) beside(at)
  if (step === path.length - 1) {
    if (/^(?:url|serverUrl|command)$/.test(key)) delete at['url']
    if (at['command'] !== undefined) delete at['url']
    at[key] = value
    return
  }
  if (path[step + 1] !== '*') {
    at[key] ??= {}
    place(at[key] as Record<string, unknown>, path, step + 1, value)
    return
  }
  const name = nameIn(path, step + 1)
  const entry = { ...REQUIRED[key] }
  if (key === 'replicas') {
    delete at['url']
    at[key] = [{ url: 'https://other.example', name: 'o' }, entry]
  } else if (typeof name === 'number') at[key] = [entry]
  else {
    const table = (at[key] ??= {}) as Record<string, unknown>
    table[name] ??= entry
    place(table[name] as Record<string, unknown>, path, step + 2, value)
    return
  }
  place(entry, path, step + 2, value)
}

/** What an entry of a list or table must have. */
const REQUIRED: Readonly<Record<string, Record<string, unknown>>> = {
  replicas: { name: 'b', url: 'https://b.example' },
  jwt: { issuer: 'https://issuer.example', audience: ['https://g.example'] },
  rules: { effect: 'deny', match: ['a/*'] },
}

function valuesOf(check: Check): Pair | undefined {
  switch (check.kind) {
    case 'flag':
      return [false, true]
    case 'choice':
      return [check.values[0], check.values.at(-1)]
    case 'number':
      return [check.min, check.min + 1]
    case 'duration':
    case 'size':
      return [check.limits.min, check.limits.max]
    case 'text':
      return check.pattern || check.passes ? undefined : ['x', 'y']
    case 'list': {
      const values = valuesOf(check.of)
      return values && [[values[0]], [values[1]]]
    }
    case 'table': {
      const values = valuesOf(check.of)
      return values && [{ k: values[0] }, { k: values[1] }]
    }
    case 'either':
      return check.of.map(valuesOf).find(values => values !== undefined)
    default:
      return undefined
  }
}
