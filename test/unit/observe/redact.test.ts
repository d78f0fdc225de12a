import { expect, it } from 'vitest'
import { redact } from '../../../src/observe/redact.ts'

it.each([
  ['Authorization: Bearer abc.def-123', 'Authorization: ***'],
  ['{"authorization":"Bearer abc","x":1}', '{"authorization":"***","x":1}'],
  ['Authorization: Bearer <key> abcdefgh', 'Authorization: ***'],
  ['"Authorization: Bearer <abc-def123>"', '"Authorization: ***"'],
  ['Authorization: Bearer …abcdefgh', 'Authorization: ***'],
  ['token was bearer abcdefgh, sorry', 'token was bearer ***, sorry'],
  ['https://u:p%40ss@host:8080/x', 'https://***@host:8080/x'],
  ['https://u:p@ss@host/x@y', 'https://***@host/x@y'],
  ['?access_token=a&b=2;client_secret=c', '?access_token=***&b=2;client_secret=***'],
  ['X-Amz-Signature=abc&sig=def&key=ghi', 'X-Amz-Signature=***&sig=***&key=***'],
  ['GITHUB_TOKEN=abc node x', 'GITHUB_TOKEN=*** node x'],
  ['{"password": "abc", "name": "n"}', '{"password": "***", "name": "n"}'],
  [String.raw`{\"token\":\"a b\"}`, String.raw`{\"token\":\"***\"}`],
  ['jwt eyJhbGciOiJIUzI1NiJ9.eyJzdWIi.sig-_x end', 'jwt *** end'],
  ['ghp_abcdefghijklmnopqrst and sk-proj-abcdefghijklmnopq', '*** and ***'],
])('masks in %j', (text, expected) => {
  expect(redact(text)).toBe(expected)
})

it.each([
  'Server "x" could not be started: command "foo" was not found on PATH. Fix: install it.',
  'monkey=1&page=2&progress=7',
  'mail to someone@example.com about https://example.com/a@b',
  'unknown key: "foo"',
  'Credentials are needed: send the header "Authorization: Bearer <key>". A key is made with: keys create',
  'send "Authorization: Bearer <key or access token>".',
  'Send "Authorization: Bearer …" instead, and replace the key.',
  String.raw`{\"headers\":{\"Authorization\":\"Bearer <key>\"}}`,
  '{"headers":{"Authorization":"Bearer <key>"}}',
  `curl -H 'authorization: Bearer <key>'`,
])('leaves %j', text => {
  expect(redact(text)).toBe(text)
})

it('takes linear time for text made to be slow', () => {
  const started = performance.now()
  for (const part of [
    'a',
    'token',
    'eyJ',
    '://',
    'bearer ',
    'a.',
    '="',
    'authorization',
    'authorization: ',
    'x@',
    ' ',
  ]) {
    redact(part.repeat(100_000))
  }
  redact(`authorization:${' '.repeat(200_000)}bearer <key>"`)
  expect(performance.now() - started).toBeLessThan(2000)
})
