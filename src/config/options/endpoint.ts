import { choice, tableOf, text, texts } from './kinds.ts'
import { deciding, type Check, type Decides, type Option } from './option.ts'

/** The endpoint of a server: a program or a URL. `config/resolve` resolves it. */

const envValue: Check<string | number | null> = {
  kind: 'either',
  of: [{ kind: 'text' }, { kind: 'any number' }, { kind: 'null' }],
  expected: 'expected a text; put true and false in quotes',
}

/** Words of `type` for a program, and for an address. */
const PROGRAM_TYPES = ['stdio'] as const
const ADDRESS_TYPES = ['http', 'streamable-http', 'streamableHttp', 'sse'] as const

export const ENDPOINT = {
  type: deciding(
    'transport',
    choice(
      'Transport; `http` falls back to the deprecated SSE transport where a server knows nothing else.',
      [...PROGRAM_TYPES, ...ADDRESS_TYPES],
      { as: false, shown: 'stdio with `command`, http with `url`' },
    ),
  ),
  command: deciding(
    'program',
    text('Program to start; it speaks MCP on its stdin and stdout.', {
      as: false,
      expected: 'expected the program alone as a text; put what follows it into "args"',
      empty: 'expected the name or the path of a program',
    }),
  ),
  args: deciding(
    'program',
    texts('Arguments of `command`.', {
      as: false,
      expected: 'expected a list of texts such as ["-y", "server"]',
    }),
  ),
  env: deciding(
    'program',
    tableOf(
      'object of strings',
      'Environment variables of `command`, on top of the few that every child inherits; null leaves one out.',
      envValue,
      { pattern: /^[^=]+$/, expected: 'expected the name of an environment variable' },
    ),
  ),
  envFile: deciding(
    'program',
    text(
      'File with lines `NAME=value` for `command`, relative to the configuration file; `env` wins over it.',
      { as: false },
    ),
  ),
  cwd: deciding(
    'program',
    text('Working directory of `command`, relative to the configuration file.', {
      as: false,
      shown: 'the directory the gateway was started in',
    }),
  ),
  url: deciding(
    'address',
    text('Address of a remote server, http or https.', {
      as: false,
      empty: 'expected an address such as "https://host/mcp"',
    }),
  ),
  serverUrl: deciding('address', text('Another name for `url`.', { as: false })),
  headers: deciding(
    'neither',
    tableOf(
      'object of strings',
      'HTTP headers sent with every request to `url`.',
      { kind: 'text', expected: 'expected a text' } as Check<string>,
      { pattern: /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/, expected: 'expected the name of an HTTP header' },
    ),
  ),
} as const satisfies Readonly<Record<string, Option & { readonly decides: Decides }>>

/**
 * The keys that say where a server is. A server or replica has exactly one of them; two with the same `noun` mean the
 * same. `use` completes 'Add "command" for …', and is absent for another name of a key. `types` are its words of
 * `type`.
 */
export const LOCATIONS = {
  command: { noun: 'a command', use: 'a program to start', types: PROGRAM_TYPES },
  url: { noun: 'a url', use: 'a remote server', types: ADDRESS_TYPES },
  serverUrl: { noun: 'a url', use: undefined, types: ADDRESS_TYPES },
} as const satisfies Partial<Record<keyof typeof ENDPOINT, Location>>

interface Location {
  readonly noun: string
  readonly use: string | undefined
  readonly types: readonly string[]
}

export type LocationKey = keyof typeof LOCATIONS

export const LOCATION_KEYS = Object.keys(LOCATIONS) as readonly LocationKey[]

/** The keys of an entry, valid or not, that say where a server is. */
export function locationsOf(entry: Readonly<Partial<Record<LocationKey, unknown>>>): LocationKey[] {
  return LOCATION_KEYS.filter(key => entry[key] !== undefined)
}

/** The key that a word of `type` belongs to. */
export function locationOfType(type: string): LocationKey | undefined {
  return LOCATION_KEYS.find(key => (LOCATIONS[key].types as readonly string[]).includes(type))
}

/** Words of `type` in lower case. */
export const TYPES: ReadonlySet<string> = new Set(
  LOCATION_KEYS.flatMap(key => LOCATIONS[key].types.map(type => type.toLowerCase())),
)
