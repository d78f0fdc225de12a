import { AUTH, TLS } from './auth.ts'
import { ROLE } from './client.ts'
import { choice, duration, flag, group, integer, listOf, size, text, texts } from './kinds.ts'
import { section, type Check } from './option.ts'
import { VAULT } from './vault.ts'

/** Options of the gateway itself. */

export const HTTP = section('gateway.http', {
  // Only this machine by default.
  host: text('Address to listen on; anything but a loopback address opens the gateway to the network.', {
    default: '127.0.0.1',
    restart: 'the address to listen on is bound at the start',
  }),
  port: integer('Port to listen on; 0 asks the system for a free one.', {
    default: 3333,
    restart: 'the port to listen on is bound at the start',
    min: 0,
    max: 65_535,
  }),
  publicUrl: text(
    'Address under which clients reach the gateway, without a path; tokens are issued for it.',
    { as: false, shown: 'the address it listens on' },
  ),
  tls: group('Serves https itself. Certificates are read again by a reload.', TLS, {
    as: false,
    restart: 'a listener speaks either http or https from its start to its end',
  }),
  // Call arguments are text written by a model.
  maxBody: size('Largest body of a request.', { default: '4MiB', min: '1KiB', max: '512MiB' }),
  allowedHosts: texts('Host names accepted in `Host`, besides loopback names and `host` itself.'),
  allowedOrigins: texts(
    'Origins accepted in `Origin`, such as "https://app.example", besides loopback ones.',
  ),
  // An idle session with an open stream takes about 30 KiB.
  maxSessions: integer('Sessions kept at once.', { default: 1000, min: 1, max: 1_000_000 }),
  sessionIdle: duration('A session without a request or an open stream for so long is closed.', {
    default: '30m',
    min: '1s',
    max: '30d',
    off: true,
  }),
  // Shorter than the 30 to 60 seconds after which proxies close an idle connection.
  keepAlive: duration('Time between comment lines on silent streams.', {
    default: '15s',
    min: '1s',
    max: '10m',
    off: true,
  }),
  // Enough to resume a stream after an interruption of seconds, not hours. Also bounded by size, for large events.
  maxEvents: integer('Most events kept for a session, so that it can resume a broken stream; 0 keeps none.', {
    default: 1000,
    min: 0,
    max: 1_000_000,
  }),
  maxEventBytes: size('Largest size of these events together.', {
    as: '*',
    default: '1MiB',
    min: '1KiB',
    max: '512MiB',
  }),
})

export const ASKS = section('gateway.asks', {
  // Enough time for a person to read, think, and return from a break.
  answerTimeout: duration('How long a client may take to answer a question.', {
    default: '10m',
    min: '1s',
    max: '24h',
  }),
  // Each one holds a call open at a server, for a client that may never return.
  maxSuspendedCalls: integer(
    'Most calls of clients without a session that are under way, or wait for their client, at servers that can ask in the middle of a call.',
    { aliases: ['maxParked'], default: 2000, min: 1, max: 1_000_000 },
  ),
  // More simultaneous questions cannot be answered by a person.
  maxPerSession: integer('Most questions open at once at one session.', {
    default: 32,
    min: 1,
    max: 10_000,
  }),
  // A server that still asks after this many rounds is unlikely to stop.
  maxRounds: integer('Most rounds of questions of a server in one call.', {
    default: 8,
    min: 1,
    max: 100,
  }),
})

export const LISTEN = section('gateway.listen', {
  // As many as sessions: each is a client with an open connection.
  maxStreams: integer('Most listen streams open at once.', { default: 1000, min: 1, max: 1_000_000 }),
  // Each one requires a subscription at its server.
  maxResources: integer(
    'Most resources that one stream may name (further ones are ignored) or one session may be subscribed to.',
    { default: 1000, min: 1, max: 100_000 },
  ),
  // An unresponsive server must not block notifications of the others.
  acknowledgeTimeout: duration(
    'How long the acknowledgement of a stream waits for servers to take its subscriptions.',
    { default: '10s', min: '100ms', max: '10m' },
  ),
})

export const CATALOG = section('gateway.catalog', {
  // Leaves room for a client's own prefix below the limit of 60 to 64 characters of common models.
  maxNameLength: integer('Longest name of a tool or prompt, in characters; longer ones are shortened.', {
    default: 48,
    min: 16,
    max: 128,
  }),
  // One page in practice, because some clients never request the second.
  pageSize: integer('Entries on one page of a list.', { default: 10_000, min: 1, max: 100_000 }),
  // Servers that change more often send `list_changed`.
  refreshAfter: duration('A remembered list that is older is fetched again in the background.', {
    default: '24h',
    min: '1s',
    max: '30d',
    off: true,
  }),
  // Below the shortest client timeout for the whole gateway, 10 seconds.
  firstListTimeout: duration('How long the first list waits for servers that have never been listed.', {
    default: '8s',
    min: '100ms',
    max: '10m',
  }),
  // Unset: a client that caches a list is notified of changes.
  ttl: duration(
    'How long clients of revision 2026-07-28 may keep a list without hearing of changes, as far as its servers do not say it themselves.',
    { default: '0s', min: '0s', max: '1d' },
  ),
})

export const CACHE = section('gateway.cache', {
  // About as much as the rest of a busy gateway.
  maxSize: size('Largest size of the results in memory.', {
    as: 'maxBytes',
    default: '64MiB',
    min: '1MiB',
    max: '64GiB',
  }),
  // A quarter, so that one busy client leaves room for others.
  maxSizePerClient: size('Largest part of that for one client.', {
    as: 'maxBytesPerClient',
    default: '16MiB',
    min: '64KiB',
    max: '64GiB',
  }),
  persist: flag(
    'Results are kept in the state store as well, unencrypted: they survive a restart and are shared with other processes.',
    { default: true },
  ),
  // Four times the memory, for results that this process has evicted and another may still need. Small for the disk of
  // a laptop, and for a shared Redis.
  maxStored: size(
    'Largest size of the results in the state store, over all processes that share it; the oldest are removed first.',
    { default: '256MiB', min: '1MiB', max: '1024GiB' },
  ),
  // Smaller results do not exceed a database page or a network packet, so compression saves nothing.
  compressOver: size('Larger results are compressed in the state store.', {
    default: '4KiB',
    min: '256B',
    max: '1GiB',
  }),
})

export const AUDIT = section('gateway.audit', {
  file: text(
    'File that gets a line of JSON for every allowed and denied request, relative to the configuration file; "off" for none.',
    { as: false, shown: 'audit.jsonl in the state directory, as soon as there are clients' },
  ),
  args: choice('How arguments of calls appear.', ['digest', 'full'], { default: 'digest' }),
  // A day of a busy team in one file, and a month in total.
  maxSize: size('A file that is larger is put aside.', {
    as: 'maxBytes',
    default: '64MiB',
    min: '64KiB',
    max: '4GB',
  }),
  maxFiles: integer('Files that are kept.', { default: 30, min: 1, max: 10_000 }),
})

const COUNTED_AT_START = 'metrics are counted from the start to the end'

const METRICS = section('gateway.metrics', {
  enabled: flag('Calls are counted and measured, for `/metrics` of the admin API.', {
    default: true,
    restart: COUNTED_AT_START,
  }),
  // What Prometheus takes from one target without trouble; names of clients and tools may be very many.
  maxSeries: integer('Most series of each metric. Further ones are counted together, as "other".', {
    default: 2000,
    min: 100,
    max: 100_000,
    restart: COUNTED_AT_START,
  }),
})

const USAGE_AT_START = 'usage is counted from the start to the end'

const USAGE = section('gateway.usage', {
  enabled: flag('What clients use is counted by day, in the state store, for `mcp-manifold usage --by`.', {
    default: true,
    restart: USAGE_AT_START,
  }),
  // A year and a month, for comparisons with the year before.
  keep: duration('How long the use of a day is kept.', {
    default: '400d',
    min: '1d',
    max: '3650d',
    restart: USAGE_AT_START,
  }),
})

const ADDRESS: Check<string> = { kind: 'text', expected: 'expected an address' }

export const DNS = section('gateway.dns', {
  // Addresses change when an instance is replaced; half a minute is common for resolvers and load balancers.
  refresh: duration(
    'How often names of replicas are looked up again; a name with several addresses is several replicas.',
    { default: '30s', min: '1s', max: '1d', off: true },
  ),
  servers: listOf(ADDRESS, 'Name servers to ask, as `address` or `address:port`.', {
    expected: 'expected a list of addresses',
    empty: 'expected a list with at least one address',
    shown: "the system's resolver",
  }),
})

export const SECRETS = section('gateway.secrets', {
  // Shorter than the tokens that such programs give live: mostly an hour.
  execCache: duration(
    'How long a reload uses what a program of `${exec:…}` has printed. A server that refuses it in a header (401) ends it early.',
    {
      default: '5m',
      min: '1s',
      max: '1d',
      off: true,
    },
  ),
})

const AT_START = 'the admin API listens from the start to the end'

const ADMIN = section('gateway.admin', {
  socket: flag(
    'The admin API is offered on a socket in the state directory that only this user can open, for `mcp-manifold reload`.',
    { default: true, restart: AT_START },
  ),
  listen: text('Address and port on which `serve` offers the admin API as well, such as "127.0.0.1:7333".', {
    pattern: /^(?:\[[\da-fA-F:.]+\]|[^\s:/@[\]]+):\d{1,5}$/,
    expected: 'expected an address and a port, such as "127.0.0.1:7333"',
    shown: 'the socket alone',
    restart: AT_START,
  }),
  // A random token of 128 bits has 22 characters.
  token: text(
    'Token that callers at `listen` send as `Authorization: Bearer …`; a variable such as "${ADMIN_TOKEN}" keeps it out of the file.',
    {
      pattern: /^[\x21-\x7e]{16,512}$/,
      expected: 'expected 16 to 512 visible characters without a space',
      bounds: '16 to 512 characters',
      restart: AT_START,
    },
  ),
  allowPlaintext: flag(
    'The admin API may be offered without TLS on an address that is not a loopback one; otherwise it uses `gateway.http.tls` there.',
    { default: false, restart: AT_START },
  ),
})

/** Log levels, from least to most verbose. */
export const LOG_LEVELS = ['error', 'warn', 'info', 'debug'] as const

export const GATEWAY = section('gateway', {
  http: group('The HTTP endpoint of `mcp-manifold serve`.', HTTP, { as: false }),
  state: text(
    'Where the gateway remembers lists, keys and quotas: `memory`; `lmdb:` and a directory, relative to the configuration file, shared by all processes of a machine; or the address of a Redis or Valkey, shared by many machines. By default all projects of a user share one; with a state of its own a project shares no drains, used budgets or keys with others.',
    {
      as: false,
      pattern: /^(memory|lmdb:.*|rediss?:\/\/.+)$/s,
      expected:
        'expected "memory", "lmdb:" and a directory, such as "lmdb:./.manifold", or "redis://host:6379"',
      shown: '`lmdb:` and mcp-manifold in the state directory of the user',
      restart: 'what is counted and remembered would be lost',
    },
  ),
  log: choice('How much is logged, to stderr.', LOG_LEVELS, { default: 'info' }),
  catalog: group('The merged lists.', CATALOG),
  asks: group('Questions of servers to clients.', ASKS),
  listen: group('Streams on which clients without a session hear of changes.', LISTEN),
  // Half of the links of one server, so that no single client takes all.
  maxLinksPerClient: integer(
    'Most conversations that one client has with all servers together, as far as clients are told apart.',
    { default: 32, min: 1, max: 10_000 },
  ),
  watch: flag(
    'Applies a changed configuration at once; if false, `mcp-manifold reload`, the admin API or SIGHUP applies it.',
    { default: true },
  ),
  zone: text('Zone of this gateway; replicas of the same `zone` are preferred.'),
  dns: group('How names of replicas are resolved.', DNS),
  secrets: group('How secrets are got.', SECRETS),
  // Equal to the default call timeout.
  drainTimeout: duration('How long calls of a replica that is taken away may go on.', {
    default: '5m',
    min: '1s',
    max: '24h',
  }),
  // Within Kubernetes' 30 seconds for termination, with time left for the servers to exit.
  shutdownTimeout: duration(
    'How long calls in flight may go on when the gateway is told to stop; those that are left then get an error.',
    { default: '25s', min: '100ms', max: '1h' },
  ),
  // Over all servers: a practical maximum for one process.
  maxConcurrentCalls: integer('Calls under way at once in this process, over all servers.', {
    aliases: ['concurrency'],
    default: 1024,
    min: 1,
    max: 100_000,
  }),
  queue: integer('Most calls that wait for their turn, over all servers.', {
    default: 4000,
    min: 0,
    max: 1_000_000,
  }),
  quotaFailureMode: choice(
    'Whether calls pass while the state of quotas cannot be reached, and after it was lost.',
    ['open', 'closed'],
    { aliases: ['fail'], default: 'closed' },
  ),
  timeZone: text('Time zone (IANA) in which days and months of budgets begin.', {
    shown: "the machine's",
  }),
  auth: group('How callers over HTTP are identified.', AUTH, { as: false }),
  policy: group('Rules for every client, before its own.', ROLE, { as: false }),
  audit: group('The log of allowed and denied requests.', AUDIT, { as: false }),
  metrics: group('The metrics at `/metrics` of the admin API.', METRICS),
  usage: group('What clients use, counted by day.', USAGE),
  admin: group('The API that changes a running gateway.', ADMIN),
  cache: group('Limits of the cache of results.', CACHE),
  vault: group('How credentials of servers are kept.', VAULT),
})
