import { expect, test } from 'vitest'
import { insufficient, invalid, malformed, missing } from '../../../src/auth/challenge.ts'

const NONE = { metadata: undefined, scopes: [] }
const METADATA = 'https://mcp.example/.well-known/oauth-protected-resource/mcp'

test.each([
  ['nothing to say', missing('x', NONE), 401, 'Bearer'],
  [
    'where to log in',
    missing('x', { metadata: METADATA, scopes: [] }),
    401,
    `Bearer resource_metadata="${METADATA}"`,
  ],
  [
    'what is wrong',
    invalid('It is over.', NONE),
    401,
    'Bearer error="invalid_token", error_description="It is over."',
  ],
  [
    'what is missing',
    insufficient('No.', { metadata: METADATA, scopes: ['a', 'b'] }),
    403,
    `Bearer error="insufficient_scope", error_description="No.", scope="a b", resource_metadata="${METADATA}"`,
  ],
  ['that it cannot be read', malformed('Two.'), 400, 'Bearer error="invalid_request"'],
])('the header says %s', (_, refusal, status, header) => {
  expect([refusal.status, refusal.headers['www-authenticate']]).toEqual([status, header])
})

test('nothing leaves the quotes', () => {
  const { headers } = invalid('a "b" \\ c\r\nx: y é', NONE)
  expect(headers['www-authenticate']).toBe(
    `Bearer error="invalid_token", error_description="a 'b' ? c??x: y ?"`,
  )
})
