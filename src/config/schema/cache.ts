import { z } from 'zod'
import { CACHE_MAX_RESULT, CACHE_STALE, CACHE_TTL } from '../defaults.ts'
import { choice, duration, flag, option, section, size, texts } from './options.ts'

/** The part of the format that is about results that are kept. */

const TAG = /^[A-Za-z0-9_.-]{1,64}$/
const tagExpected = 'expected a tag of 1 to 64 letters, digits, ".", "_" or "-"'
const tags = z.array(z.string({ error: tagExpected }).regex(TAG, { error: tagExpected }), {
  error: 'expected a list of tags such as ["issues"]',
})

const rule = section('mcpServers.*.cache', {
  ttl: duration('How long a result may be served again.', CACHE_TTL),
  scope: choice(
    'Whether results are kept for each client or shared by all; the latter only where they depend on nothing but the arguments.',
    ['client', 'shared'],
    { default: 'client' },
  ),
  staleWhileRevalidate: duration(
    'How long after that a result is still served, while it is renewed in the background.',
    CACHE_STALE,
  ),
  staleIfError: duration(
    'How long after `ttl` a result is still served when the server cannot be reached or fails.',
    CACHE_STALE,
  ),
  ignoreArgs: texts('Members of the arguments that make no difference, such as the id of a request.'),
  maxResult: size('Largest result that is kept.', CACHE_MAX_RESULT),
  tags: option('list of strings', 'Names by which `invalidates` of other tools refers to the results.', tags),
})

/** `cache` of a server. */
export const cache = option(
  'object \\| "hints"',
  'Serves equal calls of all tools from memory; with hints, of those the server marks as read-only and idempotent.',
  z.union([z.literal('hints'), rule], { error: 'expected "hints" or an object with ttl and scope' }),
)

const invalidatesExpected = 'expected "server", "none" or a list of tags such as ["issues"]'

/** What a tool says. */
export const toolCache = {
  cache: option(
    'object \\| false',
    'Serves equal calls from memory; false never does, whatever the server says.',
    z.union([z.literal(false), rule], { error: 'expected an object with ttl and scope, or false' }),
  ),
  invalidates: option(
    '"server" \\| "none" \\| list of strings',
    'What a call that is not read-only makes out of date: everything that is kept of the server, nothing, or what has one of these tags.',
    z.union([z.enum(['server', 'none']), tags], { error: invalidatesExpected }),
    { default: 'server' },
  ),
  readOnly: {
    ...flag('Whether a call changes nothing, so that it makes nothing out of date.', false),
    default: 'true with `cache`, else as the server hints if its hints are trusted',
  },
}
