import { duration, flag, group, integer, option, percentage, size, text } from './kinds.ts'
import { deciding, section, type Check } from './option.ts'

/** Options for replicas and their failures (docs/resilience.md). */

/** Options of one replica besides its endpoint. */
export const REPLICA = {
  name: text('Name of the replica in logs and for `mcp-manifold drain`.', {
    as: false,
    pattern: /^[A-Za-z0-9._:[\]-]{1,64}$/,
    expected: 'expected a name of 1 to 64 letters, digits, ".", "_", ":", "[", "]" or "-"',
    shown: 'host and port of `url`, else its number',
  }),
  weight: integer('Share of the calls, compared with the others of its priority; 0 gets none.', {
    default: 1,
    min: 0,
    max: 1000,
  }),
  priority: integer('The replica is used only while none with a lower number can be used.', {
    aliases: ['tier'],
    default: 0,
    min: 0,
    max: 9,
  }),
  zone: deciding(
    'neither',
    text('Zone of the replica; those of `gateway.zone` are preferred within a priority.'),
  ),
  service: deciding(
    'address',
    text(
      'Service and protocol, such as "_mcp._tcp": the SRV records of that name at the host of `url` say which replicas there are.',
      { pattern: /^_[A-Za-z0-9-]+\._(?:tcp|udp)$/, expected: 'expected a service such as "_mcp._tcp"' },
    ),
  ),
}

const named = (what: string): Check<string> => ({
  kind: 'text',
  expected: `expected the name of ${what}`,
  empty: `expected the name of ${what}`,
})

export interface CheckedTool {
  readonly tool: string
  readonly args?: Readonly<Record<string, unknown>> | undefined
}

const checkExpected = 'expected "protocol", or an object with tool and args'
const healthCheck: Check<'protocol' | CheckedTool> = {
  kind: 'either',
  of: [
    { kind: 'literal', value: 'protocol' },
    {
      kind: 'object',
      required: { tool: named('a tool') },
      optional: { args: { kind: 'table', of: { kind: 'any' } } },
      expected: checkExpected,
    },
  ],
  expected: checkExpected,
}

/** The health check request: that of the protocol, or a tool call. */
export type HealthCheck =
  'protocol' | { readonly tool: string; readonly args: Readonly<Record<string, unknown>> }

const HEALTH = section('mcpServers.*.health', {
  check: option(
    '"protocol" \\| `{tool, args}`',
    'Request of a check: `server/discover` or `ping`, or a tool of the server, whose result must not be an error.',
    healthCheck,
    { shown: '"protocol"' },
    (written): HealthCheck =>
      written === undefined || written === 'protocol'
        ? 'protocol'
        : { tool: written.tool, args: written.args ?? {} },
  ),
  // Short enough to save a call that has a minute left.
  interval: duration('Time between two checks of a replica, where a server has several.', {
    aliases: ['every'],
    default: '10s',
    min: '100ms',
    max: '1h',
    off: true,
  }),
  timeout: duration('Longest time for the answer to a check.', { default: '5s', min: '100ms', max: '5m' }),
  // One failure may be chance, and two may have the same cause.
  failures: integer('Failures in a row after which a replica is ejected.', {
    default: 3,
    min: 1,
    max: 1000,
  }),
  errorRate: percentage('Percentage of failed calls within ten seconds above which it is ejected.', {
    default: 50,
    min: 1,
    max: 100,
  }),
  slowBy: integer('A replica so many times slower than the others is ejected.', {
    default: 10,
    min: 2,
    max: 1000,
  }),
  // When most replicas appear unhealthy, the health checks are probably wrong.
  panic: percentage('When more than this percentage of a priority is ejected, all of it is used.', {
    default: 50,
    min: 0,
    max: 100,
  }),
  baseEjectionTime: duration('How long an ejection lasts at first; each further one takes twice as long.', {
    aliases: ['eject'],
    default: '5s',
    min: '100ms',
    max: '5m',
  }),
  // The time that caches, pools and compilers of a server need to warm up.
  slowStart: duration('Time in which the share of a replica that returns grows.', {
    default: '30s',
    min: '100ms',
    max: '1h',
    off: true,
  }),
})

/** Target of a call when all replicas are unavailable, as written in a file. */
export type FallbackEntry =
  | string
  | {
      readonly server: string
      readonly tool?: string | undefined
      readonly args?: Readonly<Record<string, string>> | undefined
    }

const fallbackCheck: Check<FallbackEntry> = {
  kind: 'either',
  of: [
    { kind: 'text', empty: 'expected the name of a server' },
    {
      kind: 'object',
      required: { server: named('a server') },
      optional: {
        tool: named('a tool'),
        args: {
          kind: 'table',
          of: { kind: 'text', expected: 'expected the name of an argument' },
          expected: 'expected an object',
        },
      },
    },
  ],
  expected: 'expected the name of a server, or an object with server, tool and args',
}

const FALLBACK = deciding(
  'neither',
  option(
    'string \\| `{server, tool, args}`',
    'Server that gets a call when no replica can take it; `tool` is the name there, unless it is the same, and `args` gives for each of its arguments the argument of the call.',
    fallbackCheck,
    {},
    written => {
      if (written === undefined) return undefined
      const { server, tool, args = {} } = typeof written === 'string' ? { server: written } : written
      return { server, tool, args }
    },
  ),
)

/** Options of a whole server. */
export const RESILIENCE = {
  retry: flag('Calls of its tools may be repeated although the first attempt may have had an effect.', {
    default: false,
  }),
  // The first repeat finds a healthy replica; the second covers another failure.
  retries: integer('Most repeats of one call.', { default: 2, min: 0, max: 10 }),
  // A fifth of additional load is acceptable for a server in trouble.
  retryBudget: percentage('Most repeats of calls that may have been run, as a percentage of calls.', {
    default: 20,
    min: 0,
    max: 100,
  }),
  hedge: flag(
    'A call that may be repeated is also sent to a second replica when it takes longer than 95 % of the calls before.',
    { default: true },
  ),
  health: group('Health checks of the replicas.', HEALTH),
  fallback: FALLBACK,
  // Including the back-off, this takes some minutes.
  restartLimit: integer(
    'Number of starts of `command` in a row that fail or do not last, after which it is started only every five minutes.',
    { aliases: ['crashes'], default: 8, min: 1, max: 1000 },
  ),
  // Enough for a browser with many pages, but a leak does not exhaust the machine.
  memoryLimit: size(
    'Most memory that `command` and its children may use; above it, the process is replaced.',
    {
      aliases: ['memory'],
      default: '4GiB',
      min: '16MiB',
      max: '1024GiB',
    },
  ),
  warmInstances: integer('Processes of `command` that are started in advance.', {
    aliases: ['spares'],
    default: 0,
    min: 0,
    max: 16,
  }),
}

/** For single tools; without it, a tool has the settings of its server. */
export const TOOL_RESILIENCE = {
  retry: flag('A call may be repeated although the first attempt may have had an effect.', {
    shown: 'false',
  }),
  fallback: FALLBACK,
}
