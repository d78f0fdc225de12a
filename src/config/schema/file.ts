import { z } from 'zod'
import {
  CALL_TIMEOUT,
  COST,
  IDLE,
  LINK_WAIT,
  LIST_TIMEOUT,
  MAX_EXCLUSIVE_LINKS,
  MAX_LINKS,
  MAX_MESSAGE,
  MAX_PREFIX,
  MAX_QUESTIONS,
  MAX_SERVER_NAME,
  QUEUE_TIMEOUT,
  SERVER_CONCURRENCY,
  SERVER_QUEUE,
  START_TIMEOUT,
} from '../defaults.ts'
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
import { isFilePlace } from '../paths.ts'
import { client, profile, role } from './client.ts'
import { gateway } from './gateway.ts'
import { cache, toolCache } from './cache.ts'
import { quota } from './quota.ts'
import { REPLICA, RESILIENCE, TOOL_RESILIENCE } from './resilience.ts'
import type { Option } from './options.ts'
import { IGNORED_ROOT_KEYS, IGNORED_SERVER_KEYS } from './foreign-keys.ts'

/**
 * The whole format of a configuration file, also what later versions put into effect. Loaded only when a file is new or has
 * changed. It checks one value at a time; what concerns several values is in `rules.ts`.
 */
const headerValue = z.string({ error: 'expected a text' })
const envValue = z.union([z.string(), z.number(), z.null()], {
  error: 'expected a text; put true and false in quotes',
})

const ENDPOINT = {
  type: choice(
    'Transport; `http` falls back to the deprecated SSE transport where a server knows nothing else.',
    ['stdio', 'http', 'streamable-http', 'streamableHttp', 'sse'],
    { default: 'stdio with `command`, http with `url`' },
  ),
  command: text('Program to start; it speaks MCP on its stdin and stdout.', {
    expected: 'expected the program alone as a text; put what follows it into "args"',
    empty: 'expected the name or the path of a program',
  }),
  args: texts('Arguments of `command`.', 'expected a list of texts such as ["-y", "server"]'),
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
  url: text('Address of a remote server, http or https.', {
    empty: 'expected an address such as "https://host/mcp"',
  }),
  serverUrl: text('Another name for `url`.'),
  headers: table('object of strings', 'HTTP headers sent with every request to `url`.', headerValue, {
    pattern: /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/,
    expected: 'expected the name of an HTTP header',
  }),
}

const PREFIX = new RegExp(`^[A-Za-z0-9_-]{1,${MAX_PREFIX}}$`)
const prefixExpected = `expected 1 to ${MAX_PREFIX} letters, digits, "-" or "_", or false`

const forEveryone = {
  rate: { ...quota.rate, meaning: 'Most calls of all clients together in any such span of time.' },
  budget: { ...quota.budget, meaning: 'Amounts that all clients together may use up in a period.' },
}

const tool = section('mcpServers.*.tools.*', {
  hidden: flag('Neither listed nor callable.', false),
  ...toolCache,
  ...TOOL_RESILIENCE,
  cost: number('Cost units that one call takes from a budget.', { min: COST.min, max: COST.max }),
  ...forEveryone,
  concurrency: { ...quota.concurrency, meaning: 'Most calls of all clients together at once.' },
})

const replica = section('mcpServers.*.replicas.*', {
  ...ENDPOINT,
  ...REPLICA,
})

/** Typed as nothing: no code of the gateway may read these. */
const ignoredKeys = (keys: Readonly<Record<string, string>>): Record<never, Option> =>
  Object.fromEntries(Object.entries(keys).map(([key, whose]) => [key, ignored(whose)]))

const rootExpected = 'expected a path or a file:// URI, or an object with uri and name'
const place = z.string({ error: rootExpected }).refine(isFilePlace, { error: rootExpected })
const root = z.union(
  [place, z.strictObject({ uri: place, name: z.string({ error: 'expected a text' }).optional() })],
  { error: rootExpected },
)

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
    'Longest time for a call. Each progress notification begins it anew, up to 12 times this time in all; a bare number means milliseconds.',
    CALL_TIMEOUT,
    true,
  ),
  listTimeout: duration('Longest time for one page of a list.', LIST_TIMEOUT),
  idle: duration(
    'A server that was not used for so long is stopped; it starts again when it is needed.',
    IDLE,
  ),
  maxMessage: size('Largest single message that is accepted from the server.', MAX_MESSAGE),
  maxLinks: integer('Most conversations with the server at once; a program is started for each.', MAX_LINKS),
  maxExclusiveLinks: integer(
    'Of these, most for the calls of one client where `isolation` is "call"; more wait.',
    MAX_EXCLUSIVE_LINKS,
  ),
  linkWait: duration('How long a call waits for one of these.', LINK_WAIT),
  maxQuestions: integer('Most questions of the server open at once for one call.', MAX_QUESTIONS),
  roots: option(
    'list of strings or `{uri, name}`',
    "Folders and files the server is told of when it asks for roots: paths relative to the configuration file, or file:// URIs. The clients' own roots do not reach it then; an empty list means none at all.",
    z.array(root, { error: 'expected a list of paths' }),
    { default: "each client's own" },
  ),
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
  isolation: choice(
    'Who shares a conversation, and with it the state that the server keeps: "auto": as its era and its clients need it; "shared": all clients; "client": all sessions and calls of a client, but sessions that the server may ask have their own; "session": each session; "call": no two calls at the same time.',
    ['auto', 'shared', 'client', 'session', 'call'],
    { default: 'auto' },
  ),
  concurrency: integer(
    'Calls that this process lets the server work on at once; more wait for their turn.',
    SERVER_CONCURRENCY,
  ),
  queue: integer('Most calls that wait for their turn.', SERVER_QUEUE),
  queueTimeout: duration('Longest time a call waits for its turn.', QUEUE_TIMEOUT),
  cache,
  ...RESILIENCE,
  cost: number('Cost units that one call takes from a budget, unless its tool says otherwise.', COST),
  ...forEveryone,
  oauth: option(
    'object',
    'Settings of a login at the server.',
    z.record(z.string(), z.unknown(), { error: 'expected an object' }),
  ),
  headersHelper: text('Program that prints headers as JSON, as Claude Code has it.'),
  sandboxEnabled: flag('Runs `command` in a sandbox, as VS Code has it.', false),
  ...ignoredKeys(IGNORED_SERVER_KEYS),
})

const servers = table('object', 'Servers by name, as in the files of MCP clients.', server, {
  max: MAX_SERVER_NAME,
  expected: `expected a name of 1 to ${MAX_SERVER_NAME} characters`,
})

const includePath = z.string().min(1, { error: 'expected a path that is not empty' })

/** Checks a file whose variables are expanded. Valid input comes back as it was. */
export const serversFile = section('', {
  $schema: text('Address of the JSON Schema, for editors.'),
  include: option(
    'string \\| list of strings',
    'Files whose servers, clients, roles and profiles are added: a file, a folder of `*.json` and `*.jsonc`, or a pattern such as `conf.d/team-*.json`, relative to this file.',
    z.union([includePath, z.array(includePath)], { error: 'expected a path or a list of paths' }),
    { bounds: 'up to 256 files, 16 MiB in all' },
  ),
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
