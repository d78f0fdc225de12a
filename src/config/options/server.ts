import { SERVER_CACHE, TOOL_CACHE } from './cache.ts'
import { ENDPOINT } from './endpoint.ts'
import { IGNORED_SERVER_KEYS } from './foreign-keys.ts'
import { CURSOR_AUTH, SERVER_OAUTH } from './oauth.ts'
import {
  choice,
  duration,
  flag,
  group,
  ignoredKeys,
  integer,
  list,
  listOf,
  number,
  option,
  size,
  table,
  text,
  texts,
} from './kinds.ts'
import { deciding, section, type Check, type Decides, type Option } from './option.ts'
import { COST, QUOTA, QUOTA_OF_ALL_CLIENTS } from './quota.ts'
import { REPLICA, RESILIENCE, TOOL_RESILIENCE } from './resilience.ts'

/** Options of a server and its tools. */

/** A prefix is part of the names sent to models, so its maximum is below that of a server name. */
export const MAX_PREFIX = 32
const prefixExpected = `expected 1 to ${MAX_PREFIX} letters, digits, "-" or "_", or false`
const prefixCheck: Check<string | false> = {
  kind: 'either',
  of: [
    {
      kind: 'text',
      pattern: new RegExp(`^[A-Za-z0-9_-]{1,${MAX_PREFIX}}$`),
      expected: prefixExpected,
    },
    { kind: 'literal', value: false },
  ],
  expected: prefixExpected,
}

export const TOOL = section('mcpServers.*.tools.*', {
  hidden: flag('The tool is neither listed nor callable.', { default: false }),
  ...TOOL_CACHE,
  ...TOOL_RESILIENCE,
  cost: number('Cost units that one call takes from a budget.', COST),
  ...QUOTA_OF_ALL_CLIENTS,
  concurrency: { ...QUOTA.concurrency, meaning: 'Most calls of all clients together at once.' },
})

export const REPLICA_ENTRY = section('mcpServers.*.replicas.*', { ...ENDPOINT, ...REPLICA })

const rootExpected = 'expected a path or a file:// URI, or an object with uri and name'
const rootPath: Check<string> = { kind: 'text', expected: rootExpected, passes: isFileRoot }
const root: Check<string | { readonly uri: string; readonly name?: string | undefined }> = {
  kind: 'either',
  of: [
    rootPath,
    {
      kind: 'object',
      required: { uri: rootPath },
      optional: { name: { kind: 'text', expected: 'expected a text' } },
    },
  ],
  expected: rootExpected,
}

/** Whether a text is a path or a `file://` URI, the only valid roots. A drive such as `C:` is not a scheme. */
export function isFileRoot(text: string): boolean {
  if (/^file:\/\//i.test(text)) return URL.canParse(text)
  return text !== '' && !/^[a-z][a-z0-9+.-]+:/i.test(text)
}

export const SERVER = section('mcpServers.*', {
  ...ENDPOINT,
  replicas: list(
    'list of endpoints',
    'Several endpoints of the same server, in place of `command` or `url`; `headers`, `env` and `args` of the server apply to each.',
    REPLICA_ENTRY,
  ),
  disabled: flag('Leaves the server out as if it were not in the file.', { as: false, default: false }),
  required: flag('The gateway does not report itself ready without this server.', { default: false }),
  prefix: option(
    'string \\| false',
    'Goes before the names of tools and prompts, with two underscores; false exposes bare names.',
    prefixCheck,
    {
      as: false,
      shown: "the server's name, other characters as `_`",
      bounds: `1 to ${MAX_PREFIX} of A–Z a–z 0–9 - _`,
    },
  ),
  // `npx` may have to download a package before the server starts.
  startTimeout: duration('Longest time for starting and the handshake.', {
    default: '60s',
    min: '100ms',
    max: '1h',
  }),
  // Longer than the default timeout of any client; a call that reports progress may take longer.
  timeout: duration(
    'Longest time for a call. Each progress notification begins it anew, up to 12 times this time in all; a bare number means milliseconds.',
    { default: '5m', min: '1s', max: '24h', off: true, bareMs: true },
  ),
  // Half of the shortest client timeout for their own start.
  listTimeout: duration('Longest time for one page of a list.', {
    default: '20s',
    min: '100ms',
    max: '10m',
  }),
  // Covers a pause within the work of a user; restarting a server may lose its state.
  idle: duration('A server that was not used for so long is stopped; it starts again when it is needed.', {
    default: '30m',
    min: '1s',
    max: '30d',
    off: true,
  }),
  // Enough for a screenshot or a PDF in base64.
  maxMessage: size('Largest single message that is accepted from the server.', {
    default: '32MiB',
    min: '64KiB',
    max: '512MiB',
  }),
  // On stdio each link is a process. Idle links are closed to make room, so this limits those in use.
  maxLinks: integer('Most conversations with the server at once; a program is started for each.', {
    default: 64,
    min: 1,
    max: 10_000,
  }),
  // An eighth, so that seven other clients may do the same.
  maxExclusiveLinks: integer(
    'Of these, most for the calls of one client where `isolation` is "call"; more wait.',
    { default: 8, min: 1, max: 1000 },
  ),
  // Half of the 60-second call timeout of the official SDKs: early enough to report the cause.
  linkTimeout: duration('Longest time a call waits for such a conversation.', {
    aliases: ['linkWait'],
    default: '30s',
    min: '100ms',
    max: '10m',
  }),
  // More questions indicate a server in a loop.
  maxQuestions: integer('Most questions of the server open at once for one call.', {
    default: 64,
    min: 1,
    max: 10_000,
  }),
  roots: {
    ...listOf(
      root,
      "Folders and files the server is told of when it asks for roots: paths relative to the configuration file, or file:// URIs. The clients' own roots do not reach it then; an empty list means none at all.",
      { as: false, expected: 'expected a list of paths', shown: "each client's own" },
    ),
    type: 'list of strings or `{uri, name}`',
  },
  uriSchemes: listOf(
    {
      kind: 'text',
      pattern: /^[A-Za-z][A-Za-z0-9+.-]*$/,
      expected: 'expected a URI scheme such as "file", without a colon',
    } as Check<string>,
    'URI schemes of resources that belong to this server without being listed.',
    { as: false, expected: 'expected a list of URI schemes such as ["file"]' },
  ),
  tools: table(
    'Settings of single tools by their own names; `*` and `?` are wildcards and the first match counts.',
    TOOL,
  ),
  disabledTools: deciding(
    'neither',
    texts('Names of tools that are neither listed nor callable, as some clients write it.'),
  ),
  excludeTools: deciding('neither', texts('Another name for `disabledTools`.')),
  isolation: choice(
    'Which callers share a conversation, and with it the state that the server keeps: "auto": as its era and its clients need it; "shared": all clients; "client": all sessions and calls of a client, but sessions that the server may ask have their own; "session": each session; "call": no two calls at the same time.',
    ['auto', 'shared', 'client', 'session', 'call'],
    { default: 'auto' },
  ),
  // Above the load of a healthy server, yet few enough that an unresponsive server cannot exhaust memory.
  maxConcurrentCalls: integer(
    'Calls that this process lets the server work on at once; more wait for their turn.',
    {
      aliases: ['concurrency'],
      default: 256,
      min: 1,
      max: 10_000,
    },
  ),
  // A few bursts of a busy team.
  queue: integer('Most calls that wait for their turn.', { default: 1000, min: 0, max: 100_000 }),
  // Half of the shortest client timeout.
  queueTimeout: duration('Longest time a call waits for its turn.', {
    default: '30s',
    min: '100ms',
    max: '1h',
  }),
  cache: SERVER_CACHE,
  ...RESILIENCE,
  cost: number('Cost units that one call takes from a budget, unless its tool says otherwise.', {
    default: 1,
    min: 0,
    max: 1_000_000,
  }),
  ...QUOTA_OF_ALL_CLIENTS,
  oauth: deciding('address', SERVER_OAUTH),
  auth: deciding(
    'address',
    group('Login at the server, as in the files of Cursor.', CURSOR_AUTH, { as: false }),
  ),
  headersHelper: deciding(
    'program',
    text(
      'Program that prints a JSON object of further headers for `url`, as Claude Code has it. It runs when a link needs them, and again after a 401.',
      { as: false },
    ),
  ),
  sandboxEnabled: deciding(
    'program',
    flag('Runs `command` in a sandbox, as VS Code has it.', {
      as: false,
      default: false,
      pending: { harmless: value => value === false },
    }),
  ),
  ...ignoredKeys(IGNORED_SERVER_KEYS),
})

/** The keys of a server or a replica that determine one thing. */
export function keysThatDecide(decision: Decides): string[] {
  const found = [SERVER, REPLICA_ENTRY].flatMap(({ options }) =>
    Object.entries<Option>(options).flatMap(([key, { decides }]) => (decides === decision ? [key] : [])),
  )
  return [...new Set(found)]
}
