import { GATEWAY_RESILIENCE } from './resilience.ts'
import {
  ACKNOWLEDGE_TIMEOUT,
  ANSWER_TIMEOUT,
  AUDIT_MAX_FILES,
  AUDIT_MAX_SIZE,
  CACHE_COMPRESS_OVER,
  CACHE_MAX_SIZE,
  CACHE_MAX_SIZE_PER_CLIENT,
  CACHE_MAX_STORED,
  FIRST_LIST_TIMEOUT,
  GATEWAY_CONCURRENCY,
  GATEWAY_QUEUE,
  HTTP_HOST,
  HTTP_PORT,
  KEEP_ALIVE,
  LIST_TTL,
  LOG_DEFAULT,
  LOG_LEVEL_NAMES,
  MAX_BODY,
  MAX_EVENT_BYTES,
  MAX_EVENTS,
  MAX_LINKS_PER_CLIENT,
  MAX_LISTEN_STREAMS,
  MAX_LISTENED,
  MAX_NAME_LENGTH,
  MAX_PARKED,
  MAX_QUESTIONS_PER_SESSION,
  MAX_ROUNDS,
  MAX_SESSIONS,
  PAGE_SIZE,
  REFRESH_AFTER,
  SESSION_IDLE,
} from '../defaults.ts'
import { auth, tls } from './auth.ts'
import { role } from './client.ts'
import { choice, duration, flag, integer, option, section, size, text, texts } from './options.ts'

/** The part of the format that is about the gateway itself. */

const http = section('gateway.http', {
  host: text('Address to listen on; anything but a loopback address opens the gateway to the network.', {
    default: HTTP_HOST,
  }),
  port: integer('Port to listen on; 0 asks the system for a free one.', HTTP_PORT),
  publicUrl: text(
    'Address under which clients reach the gateway, without a path; tokens are issued for it.',
    { default: 'the address it listens on' },
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
  maxEvents: integer(
    'Most events kept for a session, so that it can resume a broken stream; 0 keeps none.',
    MAX_EVENTS,
  ),
  maxEventBytes: size('Largest size of these together.', MAX_EVENT_BYTES),
})

const asks = section('gateway.asks', {
  answerTimeout: duration('How long a client may take to answer a question.', ANSWER_TIMEOUT),
  maxParked: integer(
    'Most calls of clients without a session that are under way, or wait for their client, at servers that can ask in the middle of a call.',
    MAX_PARKED,
  ),
  maxPerSession: integer('Most questions open at once at one session.', MAX_QUESTIONS_PER_SESSION),
  maxRounds: integer('Most times a server may ask in one call by having it made again.', MAX_ROUNDS),
})

const listen = section('gateway.listen', {
  maxStreams: integer('Most listen streams open at once.', MAX_LISTEN_STREAMS),
  maxResources: integer(
    'Most resources that one stream may name (further ones are not heard of) or one session may be subscribed to.',
    MAX_LISTENED,
  ),
  acknowledgeTimeout: duration(
    'How long the acknowledgement of a stream waits for servers to take its subscriptions.',
    ACKNOWLEDGE_TIMEOUT,
  ),
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
  ttl: duration(
    'How long clients of revision 2026-07-28 may keep a list without hearing of changes, as far as its servers do not say it themselves.',
    LIST_TTL,
  ),
})

const cache = section('gateway.cache', {
  maxSize: size('What is kept in memory at most.', CACHE_MAX_SIZE),
  maxSizePerClient: size('Of this, for one client at most.', CACHE_MAX_SIZE_PER_CLIENT),
  persist: flag(
    'Results are kept in the state store as well, unencrypted: they survive a restart and are shared with other processes.',
    true,
  ),
  maxStored: size(
    'What is kept in the state store at most, of all processes that share it; what was stored first goes first.',
    CACHE_MAX_STORED,
  ),
  compressOver: size('Larger results are compressed in the state store.', CACHE_COMPRESS_OVER),
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

export const gateway = section('gateway', {
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
  asks: option('object', 'What servers may ask of clients.', asks),
  listen: option('object', 'Streams on which clients without a session hear of changes.', listen),
  maxLinksPerClient: integer(
    'Most conversations that one client has with all servers together, as far as clients are told apart.',
    MAX_LINKS_PER_CLIENT,
  ),
  ...GATEWAY_RESILIENCE,
  concurrency: integer('Calls under way at once in this process, over all servers.', GATEWAY_CONCURRENCY),
  queue: integer('Most calls that wait for their turn, over all servers.', GATEWAY_QUEUE),
  fail: choice(
    'Whether calls pass while the state of quotas cannot be reached, and after it was lost.',
    ['open', 'closed'],
    {
      default: 'closed',
    },
  ),
  timeZone: text('Time zone (IANA) in which days and months of budgets begin.', { default: "the machine's" }),
  auth: option('object', 'How callers over HTTP are identified.', auth),
  policy: option('object', 'Rules for every client, before its own.', role),
  audit: option('object', 'The record of who did what.', audit),
  cache: option('object', 'Room for the results that servers and tools allow to keep.', cache),
})
