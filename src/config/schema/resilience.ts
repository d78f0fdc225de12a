import { z } from 'zod'
import {
  CRASHES,
  DNS_REFRESH,
  DRAIN_TIMEOUT,
  SHUTDOWN_TIMEOUT,
  ERROR_RATE,
  HEALTH_EJECT,
  HEALTH_EVERY,
  HEALTH_FAILURES,
  HEALTH_SLOW_BY,
  HEALTH_SLOW_START,
  HEALTH_TIMEOUT,
  MAX_MEMORY,
  PANIC,
  REPLICA_WEIGHT,
  RETRIES,
  RETRY_BUDGET,
  SPARES,
  TIER,
} from '../defaults.ts'
import { duration, flag, integer, option, section, size, text, type Option } from './options.ts'

/** What a server's options say about its replicas, and about what happens when one of them fails (docs/resilience.md). */

/** Besides its endpoint, of one replica. */
export const REPLICA = {
  name: text('What it is called in logs and by `mcp-manifold drain`.', {
    pattern: /^[A-Za-z0-9._:[\]-]{1,64}$/,
    expected: 'expected a name of 1 to 64 letters, digits, ".", "_", ":", "[", "]" or "-"',
    default: 'host and port of `url`, else its number',
  }),
  weight: integer('Share of the calls, compared with the others of its tier; 0 gets none.', REPLICA_WEIGHT),
  tier: integer('Used only while no replica of a lower tier can be.', TIER),
  zone: text('Where it is; replicas of `gateway.zone` are preferred within a tier.'),
  service: text(
    'Service and protocol, such as "_mcp._tcp": the SRV records of that name at the host of `url` say which replicas there are.',
    { pattern: /^_[A-Za-z0-9-]+\._(?:tcp|udp)$/, expected: 'expected a service such as "_mcp._tcp"' },
  ),
} as const satisfies Record<string, Option>

function named(what: string): z.ZodString {
  const error = `expected the name of ${what}`
  return z.string({ error }).min(1, { error })
}

const checkedTool = z.strictObject(
  { tool: named('a tool'), args: z.record(z.string(), z.unknown()).optional() },
  { error: 'expected "protocol", or an object with tool and args' },
)

const health = section('mcpServers.*.health', {
  check: option(
    '"protocol" \\| `{tool, args}`',
    'What a replica is asked: `server/discover` or `ping`, or a tool of its own, whose result must not be an error.',
    z.union([z.literal('protocol'), checkedTool], {
      error: 'expected "protocol", or an object with tool and args',
    }),
    { default: '"protocol"' },
  ),
  every: duration('How often, where a server has several replicas.', HEALTH_EVERY),
  timeout: duration('Longest time for an answer to that.', HEALTH_TIMEOUT),
  failures: integer('Failures in a row after which a replica is ejected.', HEALTH_FAILURES),
  errorRate: integer('Percentage of failed calls within ten seconds above which it is ejected.', ERROR_RATE),
  slowBy: integer('A replica so many times slower than the others is ejected.', HEALTH_SLOW_BY),
  panic: integer('When more than this percentage of a tier is ejected, all of it is used.', PANIC),
  eject: duration('How long an ejection lasts at first; each further one takes twice as long.', HEALTH_EJECT),
  slowStart: duration('Time in which the share of a replica that returns grows.', HEALTH_SLOW_START),
})

const fallbackError = 'expected the name of a server, or an object with server, tool and args'
const fallback = option(
  'string \\| `{server, tool, args}`',
  'Server that gets a call when no replica can take it; `tool` is the name there, unless it is the same, and `args` says which of its arguments is which of ours.',
  z.union(
    [
      z.string().min(1),
      z.strictObject({
        server: named('a server'),
        tool: named('a tool').optional(),
        args: z
          .record(z.string(), z.string({ error: 'expected the name of an argument' }), {
            error: 'expected an object',
          })
          .optional(),
      }),
    ],
    { error: fallbackError },
  ),
)

/** For a server as a whole. */
export const RESILIENCE = {
  retry: flag('Calls of its tools may be repeated although the first attempt may have had an effect.', false),
  retries: integer('Most repeats of one call.', RETRIES),
  retryBudget: integer(
    'Most repeats of calls that may have been run, as a percentage of calls.',
    RETRY_BUDGET,
  ),
  hedge: flag(
    'What may be repeated is tried at a second replica as well when it takes longer than 95 % of the calls before.',
    true,
  ),
  health: option('object', 'How it is judged whether a replica is well.', health),
  fallback,
  crashes: integer(
    'Starts of `command` in a row that fail or do not last, after which it is started only every five minutes.',
    CRASHES,
  ),
  memory: size('Most memory that `command` and its children may use; above it, it is replaced.', MAX_MEMORY),
  spares: integer('Processes of `command` that wait, started, to be needed.', SPARES),
} as const satisfies Record<string, Option>

/** For single tools. */
export const TOOL_RESILIENCE = {
  retry: flag('A call may be repeated although the first attempt may have had an effect.', false),
  fallback,
} as const satisfies Record<string, Option>

const dns = section('gateway.dns', {
  refresh: duration(
    'How often names of replicas are looked up again; a name with several addresses is several replicas.',
    DNS_REFRESH,
  ),
  servers: option(
    'list of strings',
    'Name servers to ask, as `address` or `address:port`.',
    z
      .array(z.string({ error: 'expected an address' }), { error: 'expected a list of addresses' })
      .min(1, { error: 'expected a list with at least one address' }),
    { default: "the system's resolver" },
  ),
})

export const GATEWAY_RESILIENCE = {
  zone: text('Where this gateway is; replicas of the same `zone` are preferred.'),
  dns: option('object', 'How names of replicas are resolved.', dns),
  drainTimeout: duration('How long calls of a replica that is taken away may go on.', DRAIN_TIMEOUT),
  shutdownTimeout: duration(
    'How long calls in flight may go on when the gateway is told to stop; those that are left then get an error.',
    SHUTDOWN_TIMEOUT,
  ),
} as const satisfies Record<string, Option>
