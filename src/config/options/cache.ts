import { choice, duration, flag, listOf, option, size, texts } from './kinds.ts'
import { section, type Check, type Written } from './option.ts'

/** Options for cached results. */

const tagExpected = 'expected a tag of 1 to 64 letters, digits, ".", "_" or "-"'
const TAG: Check<string> = { kind: 'text', expected: tagExpected, pattern: /^[A-Za-z0-9_.-]{1,64}$/ }
const tagsExpected = 'expected a list of tags such as ["issues"]'
const TAGS: Check<readonly string[]> = { kind: 'list', of: TAG, expected: tagsExpected }

/** A stale result is served only when the file allows it. */
const STALE = { default: 'never', min: '1s', max: '30d', off: true } as const

export const CACHE_RULE = section('mcpServers.*.cache', {
  // Covers repetitions within one conversation, without serving noticeably outdated results.
  ttl: duration('How long a result may be served again.', { default: '5m', min: '1s', max: '30d' }),
  scope: choice(
    'Whether results are kept for each client or shared by all; the latter only where they depend on nothing but the arguments.',
    ['client', 'shared'],
    { default: 'client' },
  ),
  staleWhileRevalidate: duration(
    'How long after that a result is still served, while it is renewed in the background.',
    STALE,
  ),
  staleIfError: duration(
    'How long after `ttl` a result is still served when the server cannot be reached or fails.',
    STALE,
  ),
  ignoreArgs: texts('Members of the arguments that make no difference, such as the id of a request.'),
  // Larger results are rare and use the room of many others, so they require an explicit setting.
  maxResult: size('Largest result that is kept.', {
    as: 'maxBytes',
    default: '1MiB',
    min: '1KiB',
    max: '48MiB',
  }),
  tags: listOf(TAG, 'Names by which `invalidates` of other tools refers to the results.', {
    expected: tagsExpected,
  }),
})

type RuleEntry = Written<(typeof CACHE_RULE)['options']>
const RULE: Check<RuleEntry> = { kind: 'section', section: CACHE_RULE }

const ofServer: Check<'hints' | RuleEntry> = {
  kind: 'either',
  of: [{ kind: 'literal', value: 'hints' }, RULE],
  expected: 'expected "hints" or an object with ttl and scope',
}

/** `cache` of a server. */
export const SERVER_CACHE = option(
  'object \\| "hints"',
  'Serves equal calls of all tools from memory; with hints, of those the server marks as read-only and idempotent.',
  ofServer,
  { as: false },
)

const ofTool: Check<false | RuleEntry> = {
  kind: 'either',
  of: [{ kind: 'literal', value: false }, RULE],
  expected: 'expected an object with ttl and scope, or false',
}

const invalidates: Check<'server' | 'none' | readonly string[]> = {
  kind: 'either',
  of: [{ kind: 'choice', values: ['server', 'none'], expected: '' }, TAGS],
  expected: 'expected "server", "none" or a list of tags such as ["issues"]',
}

/** The cache option of a tool. */
export const TOOL_CACHE = {
  cache: option(
    'object \\| false',
    'Serves equal calls from memory; false never does, whatever the server says.',
    ofTool,
    { as: false },
  ),
  invalidates: option(
    '"server" \\| "none" \\| list of strings',
    'What a call that is not read-only makes out of date: everything that is kept of the server, nothing, or what has one of these tags.',
    invalidates,
    { shown: 'server' },
    (written = 'server') => written,
  ),
  readOnly: flag('Whether a call changes nothing, so that it makes nothing out of date.', {
    shown: 'true with `cache`, else as the server hints if its hints are trusted',
  }),
}
