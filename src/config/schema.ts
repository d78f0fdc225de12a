import { z } from 'zod'
import {
  AUDIT_MAX_FILES,
  AUDIT_MAX_SIZE,
  CACHE_TTL,
  CALL_TIMEOUT,
  CLOCK_TOLERANCE,
  CONCURRENCY,
  COST,
  FIRST_LIST_TIMEOUT,
  GATEWAY_CONCURRENCY,
  GATEWAY_QUEUE,
  HTTP_HOST,
  HTTP_PORT,
  IDLE,
  JWT_ALGORITHMS,
  KEEP_ALIVE,
  LIST_TIMEOUT,
  LOG_DEFAULT,
  LOG_LEVEL_NAMES,
  MAX_BODY,
  MAX_MESSAGE,
  MAX_NAME_LENGTH,
  MAX_PREFIX,
  MAX_SERVER_NAME,
  MAX_SESSIONS,
  PAGE_SIZE,
  QUEUE_TIMEOUT,
  REFRESH_AFTER,
  SERVER_CONCURRENCY,
  SERVER_QUEUE,
  SESSION_IDLE,
  START_TIMEOUT,
  WEIGHT,
} from './defaults.ts'
import {
  choice,
  duration,
  flag,
  ignored,
  integer,
  list,
  number,
  option,
  section,
  size,
  table,
  text,
  texts,
} from './options.ts'
import type { Option } from './options.ts'
import { IGNORED_ROOT_KEYS, IGNORED_SERVER_KEYS } from './ignored.ts'

/**
 * The whole format of a configuration file, also what later versions put into effect. Loaded only when a file is new or has
 * changed. It checks one value at a time; what concerns several values is in `rules.ts`.
 */
const headerValue = z.string({ error: 'expected a text' })
const envValue = z.union([z.string(), z.number(), z.null()], { error: 'expected a text' })

const ENDPOINT = {
  type: choice(
    'Transport; `http` falls back to the deprecated SSE transport where a server knows nothing else.',
    ['stdio', 'http', 'streamable-http', 'streamableHttp', 'sse'],
    { default: 'stdio with `command`, http with `url`' },
  ),
  command: text('Program to start; it speaks MCP on its stdin and stdout.'),
  args: texts('Arguments of `command`.'),
  env: table(
    'object of strings',
    'Environment variables of `command`, on top of the few that every child inherits; null leaves one out.',
    envValue,
    {
      pattern: /^[^=]+$/,
      expected: 'expected the name of an environment variable',
    },
  ),
  envFile: text(
    'File with lines `NAME=value` for `command`, relative to the configuration file; `env` wins over it.',
  ),
  cwd: text('Working directory of `command`, relative to the configuration file.', {
    default: 'the directory the gateway was started in',
  }),
  url: text('Address of a remote server, http or https.'),
  serverUrl: text('Another name for `url`.'),
  headers: table('object of strings', 'HTTP headers sent with every request to `url`.', headerValue, {
    pattern: /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/,
    expected: 'expected the name of an HTTP header',
  }),
}

const rate = text('Most calls in any such span of time.', {
  pattern: /^[1-9]\d{0,8}\/(s|sec|second|min|minute|h|hour)$/,
  expected: 'expected a rate such as "60/min" or "5/s"',
})

/** One amount in a period, or several. */
const amount = (
  meaning: string,
  unit: string,
  example: string,
): Option<z.ZodUnion<readonly [z.ZodString, z.ZodArray<z.ZodString>]>> => {
  const error = `expected an amount such as "${example}", or a list of them`
  const one = z.string({ error }).regex(new RegExp(`^${unit}/(min|minute|hour|day|month)$`), { error })
  return option(
    'string \\| list of strings',
    meaning,
    z.union([one, z.array(one, { error }).min(1, { error })], { error }),
  )
}

const budget = section('clients.*.budget', {
  calls: amount('Calls that were sent to a server.', '[1-9]\\d{0,11}', '5000/day'),
  compute: amount('Time that servers worked on calls.', '\\d+(\\.\\d+)?(ms|s|m|h|d)', '30m/day'),
  cost: amount('Cost units, see `cost` of servers and tools.', '\\d+(\\.\\d+)?', '1000/month'),
  bytes: amount('Size of results.', '\\d+(\\.\\d+)?([kKmMgG][iI]?)?[bB]', '100MiB/day'),
})

const quota = {
  rate,
  concurrency: integer('Most calls at once.', CONCURRENCY),
  budget: option('object', 'Amounts that may be used up in a period.', budget),
}

const cacheSettings = section('mcpServers.*.tools.*.cache', {
  ttl: duration('How long a result may be served again.', CACHE_TTL),
  scope: choice('Whether results are kept for each client or shared by all.', ['client', 'shared'], {
    default: 'client',
  }),
})

const PREFIX = new RegExp(`^[A-Za-z0-9_-]{1,${MAX_PREFIX}}$`)
const prefixExpected = `expected 1 to ${MAX_PREFIX} letters, digits, "-" or "_", or false`

const tool = section('mcpServers.*.tools.*', {
  hidden: flag('Neither listed nor callable.', false),
  cache: option('object', 'Serves equal calls from memory.', cacheSettings),
  retry: flag('A call may be repeated although the first try may have had an effect.', false),
  cost: number('Cost units that one call takes from a budget.', { min: COST.min, max: COST.max }),
  rate: { ...rate, meaning: 'Most calls of all clients together in any such span of time.' },
  concurrency: { ...quota.concurrency, meaning: 'Most calls of all clients together at once.' },
  budget: { ...quota.budget, meaning: 'Amounts that all clients together may use up in a period.' },
})

const replica = section('mcpServers.*.replicas.*', {
  ...ENDPOINT,
  weight: integer('Share of the calls, compared with the other replicas.', WEIGHT),
})

/** Typed as nothing: no code of the gateway may read these. */
const ignoredKeys = (keys: Readonly<Record<string, string>>): Record<never, Option> =>
  Object.fromEntries(Object.entries(keys).map(([key, whose]) => [key, ignored(whose)]))

const server = section('mcpServers.*', {
  ...ENDPOINT,
  replicas: list(
    'list of endpoints',
    'Several endpoints of the same server, in place of `command` or `url`; `headers`, `env` and `args` of the server apply to each.',
    replica,
  ),
  disabled: flag('Leaves the server out as if it were not in the file.', false),
  required: flag('The gateway does not report itself ready without this server.', false),
  prefix: option(
    'string \\| false',
    'Goes before the names of tools and prompts, with two underscores; false exposes bare names.',
    z.union([z.string().regex(PREFIX, { error: prefixExpected }), z.literal(false)], {
      error: prefixExpected,
    }),
    {
      default: "the server's name, other characters as `_`",
      bounds: `1 to ${MAX_PREFIX} of A–Z a–z 0–9 - _`,
    },
  ),
  startTimeout: duration('Longest time for starting and the handshake.', START_TIMEOUT),
  timeout: duration(
    'Longest time for a call, counted anew from each progress notification; a bare number means milliseconds.',
    CALL_TIMEOUT,
    true,
  ),
  listTimeout: duration('Longest time for one page of a list.', LIST_TIMEOUT),
  idle: duration(
    'A server that was not used for so long is stopped; it starts again when it is needed.',
    IDLE,
  ),
  maxMessage: size('Largest single message that is accepted from the server.', MAX_MESSAGE),
  uriSchemes: option(
    'list of strings',
    'URI schemes of resources that belong to this server without being listed.',
    z.array(
      z.string().regex(/^[A-Za-z][A-Za-z0-9+.-]*$/, {
        error: 'expected a URI scheme such as "file", without a colon',
      }),
      {
        error: 'expected a list of URI schemes such as ["file"]',
      },
    ),
  ),
  tools: table(
    'object',
    'Settings of single tools by their own names; `*` and `?` are wildcards and the first match counts.',
    tool,
  ),
  disabledTools: texts('Names of tools that are neither listed nor callable, as some clients write it.'),
  excludeTools: texts('Another name for `disabledTools`.'),
  isolation: choice('Who shares a conversation with the server.', ['auto', 'shared', 'client', 'session'], {
    default: 'auto',
  }),
  concurrency: integer(
    'Calls that this process lets the server work on at once; more wait for their turn.',
    SERVER_CONCURRENCY,
  ),
  queue: integer('Most calls that wait for their turn.', SERVER_QUEUE),
  queueTimeout: duration('Longest time a call waits for its turn.', QUEUE_TIMEOUT),
  cache: option(
    'object \\| "hints"',
    'Serves equal calls of all tools from memory; with hints, of those the server marks as read-only and idempotent.',
    z.union([z.literal('hints'), cacheSettings], {
      error: 'expected "hints" or an object with ttl and scope',
    }),
  ),
  retry: flag('Calls may be repeated although the first try may have had an effect.', false),
  cost: number('Cost units that one call takes from a budget, unless its tool says otherwise.', COST),
  rate: { ...rate, meaning: 'Most calls of all clients together in any such span of time.' },
  budget: { ...quota.budget, meaning: 'Amounts that all clients together may use up in a period.' },
  oauth: option(
    'object',
    'Settings of a login at the server.',
    z.record(z.string(), z.unknown(), { error: 'expected an object' }),
  ),
  headersHelper: text('Program that prints headers as JSON, as Claude Code has it.'),
  sandboxEnabled: flag('Runs `command` in a sandbox, as VS Code has it.', false),
  ...ignoredKeys(IGNORED_SERVER_KEYS),
})

const patterns = 'expected a list of patterns such as ["search/*", "tool:files/read_*"]'

const rule = section('clients.*.rules.*', {
  effect: choice('What the rule does.', ['allow', 'deny']),
  match: texts('What the rule is about, as in `allow`; everything when left out.', patterns),
  when: text(
    'Condition in CEL over `args`, `tool`, `principal` and `now`, see policy.md; one that fails to evaluate denies.',
  ),
  shadow: flag('The rule, which denies, only logs what it would deny.', false),
})

const rules = {
  allow: texts(
    'What may be used, as `server/name` with `*` and `?`; `tool:`, `prompt:` or `resource:` before it names one kind.',
    patterns,
  ),
  deny: texts('What may not be used; wins over everything that allows.', patterns),
  rules: list('list of rules', 'Rules with conditions, beside `allow` and `deny`.', rule),
}

const role = section('roles.*', rules)

const limits = section('clients.*.limits.*', quota)

const client = section('clients.*', {
  keys: option(
    'list of strings',
    'Digests of the API keys that identify the client; `mcp-manifold keys create` makes more.',
    z.array(
      z.string().regex(/^sha256:[0-9a-f]{64}$/i, { error: 'expected "sha256:" and 64 hexadecimal digits' }),
      { error: 'expected a list of digests' },
    ),
  ),
  subjects: texts(
    'Subjects of JWTs that are this client; an issuer and a space before one names whose it is, when there are several.',
  ),
  certificates: texts('Common names of TLS client certificates that are this client.'),
  users: texts('Names in the header of a trusted proxy that are this client.'),
  roles: texts('Names in `roles` whose rules apply as well.'),
  ...rules,
  default: choice('What becomes of things that no rule is about.', ['allow', 'deny'], {
    default: '"deny" if anything is allowed explicitly, else "allow"',
  }),
  shadow: flag('Nothing is denied by policy, only logged.', false),
  rate: { ...rate, meaning: 'Most requests in any such span of time, lists included.' },
  concurrency: quota.concurrency,
  budget: quota.budget,
  limits: table(
    'object',
    'Rates, concurrency and budgets for a part of what the client may use, by pattern; every one that matches counts.',
    limits,
  ),
  weight: integer('Share of a queue, compared with the other clients.', WEIGHT),
})

const profile = section('profiles.*', {
  servers: texts('Servers of this selection; all when left out.'),
  tools: texts('What of them is offered, as in `clients.<name>.allow`; everything when left out.', patterns),
})

const jwt = section('gateway.auth.jwt.*', {
  issuer: text('Issuer (`iss`) whose tokens are accepted, exactly as it stands in them; an https URL.'),
  jwks: text('Address of its keys.', { default: 'found through the metadata of the issuer' }),
  audience: texts('Audiences (`aud`) a token may have.', 'expected a list of URLs'),
  algorithms: option(
    'list of strings',
    'Signatures that are accepted; symmetric ones never are.',
    z.array(z.enum(JWT_ALGORITHMS, { error: `expected one of ${JWT_ALGORITHMS.join(', ')}` }), {
      error: 'expected a list of algorithms',
    }),
    { default: JWT_ALGORITHMS.join(', ') },
  ),
  scopes: table('object', 'Roles that a scope brings.', z.array(z.string()), {
    expected: 'expected the name of a scope',
  }),
  requiredScopes: texts('Scopes without which a token is refused.'),
  client: text(
    'Client whose rules and limits apply to subjects that no client names; each subject has counters of its own.',
    {
      default: 'none: they may do what the roles of their scopes allow',
    },
  ),
  clockTolerance: duration('What clocks may differ by.', CLOCK_TOLERANCE),
})

const proxy = section('gateway.auth.proxy', {
  header: text('Header in which the proxy names the user.', {
    pattern: /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/,
    expected: 'expected the name of an HTTP header',
  }),
  from: texts('Addresses or networks (`10.0.0.0/8`) of the proxy; the header counts from nowhere else.'),
  client: text('Client whose rules and limits apply to users that no client names.', {
    default: 'none: they are refused',
  }),
})

const auth = section('gateway.auth', {
  jwt: list('list of issuers', 'Issuers of bearer tokens (JWT) that are accepted.', jwt),
  proxy: option('object', 'A proxy in front that has checked who is calling.', proxy),
  anonymous: text('Client that callers without credentials are.', {
    default: 'none: they are refused as soon as there are clients',
  }),
})

const tls = section('gateway.http.tls', {
  cert: text('File with the certificate chain (PEM), relative to the configuration file.'),
  key: text('File with the private key (PEM).'),
  ca: text('File with the authorities that sign client certificates (PEM).'),
  clientCertificates: choice('Whether clients have to show a certificate.', ['request', 'require'], {
    default: '"request" with `ca`, else not asked for',
  }),
})

const audit = section('gateway.audit', {
  file: text(
    'File that gets a line of JSON for every allowed and denied request, relative to the configuration file; "off" for none.',
    {
      default: 'audit.jsonl in the state directory, as soon as there are clients',
    },
  ),
  args: choice('How arguments of calls appear.', ['digest', 'full'], { default: 'digest' }),
  maxSize: size('A file that is larger is put aside.', AUDIT_MAX_SIZE),
  maxFiles: integer('Files that are kept.', AUDIT_MAX_FILES),
})

const http = section('gateway.http', {
  host: text('Address to listen on; anything but a loopback address opens the gateway to the network.', {
    default: HTTP_HOST,
  }),
  port: integer('Port to listen on; 0 asks the system for a free one.', HTTP_PORT),
  publicUrl: text(
    'Address under which clients reach the gateway, without a path; tokens are issued for it.',
    {
      default: 'the address it listens on',
    },
  ),
  tls: option('object', 'Serves https itself.', tls),
  maxBody: size('Largest body of a request.', MAX_BODY),
  allowedHosts: texts('Host names accepted in `Host`, besides loopback names and `host` itself.'),
  allowedOrigins: texts(
    'Origins accepted in `Origin`, such as "https://app.example", besides loopback ones.',
  ),
  maxSessions: integer('Sessions kept at once.', MAX_SESSIONS),
  sessionIdle: duration('A session without a request or an open stream for so long is closed.', SESSION_IDLE),
  keepAlive: duration('Time between comment lines on silent streams.', KEEP_ALIVE),
})

const catalog = section('gateway.catalog', {
  maxNameLength: integer(
    'Longest name of a tool or prompt, in characters; longer ones are shortened.',
    MAX_NAME_LENGTH,
  ),
  pageSize: integer('Entries on one page of a list.', PAGE_SIZE),
  refreshAfter: duration(
    'A remembered list that is older is fetched again in the background.',
    REFRESH_AFTER,
  ),
  firstListTimeout: duration(
    'How long the first list waits for servers that have never been listed.',
    FIRST_LIST_TIMEOUT,
  ),
})

const gateway = section('gateway', {
  http: option('object', 'The HTTP endpoint of `mcp-manifold serve`.', http),
  state: text(
    'Where the gateway remembers lists, keys and quotas: `memory`; `lmdb:` and a directory, relative to the configuration file, shared by all processes of a machine; or the address of a Redis or Valkey, shared by many machines.',
    {
      pattern: /^(memory|lmdb:.*|rediss?:\/\/.+)$/s,
      expected:
        'expected "memory", "lmdb:" and a directory, such as "lmdb:./.manifold", or "redis://host:6379"',
      default: '`lmdb:` and mcp-manifold in the state directory of the user',
    },
  ),
  log: choice('How much is logged, to stderr.', LOG_LEVEL_NAMES, { default: LOG_DEFAULT }),
  catalog: option('object', 'The merged lists.', catalog),
  concurrency: integer('Calls under way at once in this process, over all servers.', GATEWAY_CONCURRENCY),
  queue: integer('Most calls that wait for their turn, over all servers.', GATEWAY_QUEUE),
  fail: choice('Whether calls pass while the state of quotas cannot be reached.', ['open', 'closed'], {
    default: 'closed',
  }),
  timeZone: text('Time zone (IANA) in which days and months of budgets begin.', { default: "the machine's" }),
  auth: option('object', 'How callers over HTTP are identified.', auth),
  policy: option('object', 'Rules for every client, before its own.', role),
  audit: option('object', 'The record of who did what.', audit),
})

const servers = table('object', 'Servers by name, as in the files of MCP clients.', server, {
  max: MAX_SERVER_NAME,
  expected: `expected a name of 1 to ${MAX_SERVER_NAME} characters`,
})

/** Checks a file whose variables are expanded. Valid input comes back as it was. */
export const serversFile = section('', {
  $schema: text('Address of the JSON Schema, for editors.'),
  mcpServers: servers,
  servers: {
    ...servers,
    meaning: 'Another name for `mcpServers`, as in the files of VS Code; both may be present.',
  },
  inputs: option(
    'list of objects',
    'Inputs of VS Code; the value of `${input:some-id}` is taken from the environment variable MCP_INPUT_SOME_ID, else from `default`.',
    z.array(
      z.looseObject(
        { id: z.string({ error: 'expected a text' }) },
        { error: 'expected an object with an id' },
      ),
      { error: 'expected a list' },
    ),
  ),
  clients: table('object', 'Named callers with what they may use.', client),
  roles: table('object', 'Named sets of rules that clients and scopes refer to.', role),
  profiles: table('object', 'Named selections of servers and tools, each with its own endpoint.', profile, {
    pattern: /^[A-Za-z0-9._-]{1,64}$/,
    expected: 'expected a name of 1 to 64 letters, digits, ".", "_" or "-"',
  }),
  gateway: option('object', 'Settings of the gateway itself.', gateway),
  ...ignoredKeys(IGNORED_ROOT_KEYS),
})

/** A valid file, variables expanded. */
export type ServersFile = z.infer<typeof serversFile>
export type ServerEntry = NonNullable<ServersFile['mcpServers']>[string]
export type ReplicaEntry = NonNullable<ServerEntry['replicas']>[number]
export type ClientEntry = NonNullable<ServersFile['clients']>[string]
export type RoleEntry = NonNullable<ServersFile['roles']>[string]

/** JSON Schema (draft 7, which editors know best) of the file. */
export function serversJsonSchema(): object {
  const schema = z.toJSONSchema(serversFile, { target: 'draft-7' })
  const { servers: alias, ...properties } = schema.properties ?? {}
  const description = typeof alias === 'object' ? (alias.description ?? '') : ''
  return {
    $schema: schema.$schema,
    title: 'servers.json of mcp-manifold',
    ...schema,
    // Both hold the same, and once is enough to read.
    properties: { ...properties, servers: { description, allOf: [{ $ref: '#/properties/mcpServers' }] } },
  }
}
