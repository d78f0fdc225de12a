import {
  CONCURRENCY,
  FIRST_LIST_TIMEOUT,
  HTTP_HOST,
  HTTP_PORT,
  KEEP_ALIVE,
  LOG_DEFAULT,
  LOG_LEVEL_NAMES,
  MAX_BODY,
  MAX_NAME_LENGTH,
  MAX_SESSIONS,
  PAGE_SIZE,
  QUEUE,
  REFRESH_AFTER,
  SESSION_IDLE,
} from './defaults.ts'
import { choice, duration, integer, option, section, size, text, texts } from './options.ts'

/** The part of the format that is about the gateway itself. */

const http = section('gateway.http', {
  host: text('Address to listen on; anything but a loopback address opens the gateway to the network.', {
    default: HTTP_HOST,
  }),
  port: integer('Port to listen on; 0 asks the system for a free one.', HTTP_PORT),
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

export const gateway = section('gateway', {
  http: option('object', 'The HTTP endpoint of `mcp-manifold serve`.', http),
  state: text(
    'Where the gateway remembers lists: `memory`, or `lmdb:` and a directory, relative to the configuration file.',
    {
      pattern: /^(memory|lmdb:.*)$/s,
      expected: 'expected "memory" or "lmdb:" and a directory, such as "lmdb:./.manifold"',
      default: '`lmdb:` and mcp-manifold in the state directory of the user',
    },
  ),
  log: choice('How much is logged, to stderr.', LOG_LEVEL_NAMES, { default: LOG_DEFAULT }),
  catalog: option('object', 'The merged lists.', catalog),
  concurrency: integer('Most calls at once, over all servers.', CONCURRENCY),
  queue: integer('Most calls that wait for their turn, over all servers.', QUEUE),
  fail: choice('Whether calls pass while quotas cannot be read.', ['open', 'closed'], { default: 'closed' }),
})
