import { choice, tableOf, text, texts } from './kinds.ts'
import type { Check } from './option.ts'

/** The endpoint of a server: a program or a URL. `config/resolve` resolves it. */

const envValue: Check<string | number | null> = {
  kind: 'either',
  of: [{ kind: 'text' }, { kind: 'any number' }, { kind: 'null' }],
  expected: 'expected a text; put true and false in quotes',
}

export const ENDPOINT = {
  type: choice(
    'Transport; `http` falls back to the deprecated SSE transport where a server knows nothing else.',
    ['stdio', 'http', 'streamable-http', 'streamableHttp', 'sse'],
    { as: false, shown: 'stdio with `command`, http with `url`' },
  ),
  command: text('Program to start; it speaks MCP on its stdin and stdout.', {
    as: false,
    expected: 'expected the program alone as a text; put what follows it into "args"',
    empty: 'expected the name or the path of a program',
  }),
  args: texts('Arguments of `command`.', {
    as: false,
    expected: 'expected a list of texts such as ["-y", "server"]',
  }),
  env: tableOf(
    'object of strings',
    'Environment variables of `command`, on top of the few that every child inherits; null leaves one out.',
    envValue,
    { pattern: /^[^=]+$/, expected: 'expected the name of an environment variable' },
  ),
  envFile: text(
    'File with lines `NAME=value` for `command`, relative to the configuration file; `env` wins over it.',
    { as: false },
  ),
  cwd: text('Working directory of `command`, relative to the configuration file.', {
    as: false,
    shown: 'the directory the gateway was started in',
  }),
  url: text('Address of a remote server, http or https.', {
    as: false,
    empty: 'expected an address such as "https://host/mcp"',
  }),
  serverUrl: text('Another name for `url`.', { as: false }),
  headers: tableOf(
    'object of strings',
    'HTTP headers sent with every request to `url`.',
    { kind: 'text', expected: 'expected a text' } as Check<string>,
    { pattern: /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/, expected: 'expected the name of an HTTP header' },
  ),
}

/**
 * The keys that say where a server is. A server or replica has exactly one of them; two with the same `noun` mean the
 * same. `use` completes 'Add "command" for …', and is absent for another name of a key.
 */
export const LOCATIONS = {
  command: { noun: 'a command', use: 'a program to start' },
  url: { noun: 'a url', use: 'a remote server' },
  serverUrl: { noun: 'a url', use: undefined },
} as const satisfies Partial<
  Record<keyof typeof ENDPOINT, { readonly noun: string; readonly use: string | undefined }>
>

export const LOCATION_KEYS = Object.keys(LOCATIONS) as readonly (keyof typeof LOCATIONS)[]
