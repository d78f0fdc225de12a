import { expect, it } from 'vitest'
import { redact } from '../../../src/observe/redact.ts'
import { cpuMs } from '../../helpers/running-time.ts'

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

const BLANKS = [
  ...Array.from({ length: 21 }, (_, count) => ' '.repeat(count)),
  '\n',
  '\r\n',
  '\n      ',
  '\t\t',
  '\n\n',
]

it.each(BLANKS)('masks a value in quotes, or without, after the blanks %j', blanks => {
  for (const separator of [':', '='])
    for (const quote of ['"', "'", '', `"'`, '\\"']) {
      const value = `${quote}s3cr3tvalue99${quote === `"'` ? `'"` : quote}`
      expect(redact(`authorization${separator}${blanks}${value}`)).not.toContain('s3cr3t')
      for (const name of ['"Authorization"', '\\"Authorization\\"'])
        expect(redact(`{${name}${blanks}${separator}${blanks}${value}}`)).not.toContain('s3cr3t')
    }
  for (const quote of ['"', "'", '\\"']) {
    const [name, value] = [`${quote}api_key${quote}`, `${quote}s3cr3tvalue99${quote}`]
    expect(redact(`{${name}${blanks}:${blanks}${value}}`)).toBe(
      `{${name}${blanks}:${blanks}${quote}***${quote}}`,
    )
  }
  const help = `"Authorization":${blanks}"Bearer <key>"`
  expect(redact(help)).toBe(help)
})

it('takes linear time for text made to be slow', () => {
  const started = cpuMs()
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
  for (const run of [' ', '\n', '"', `'"`, '" ', '\n"'])
    for (const before of ['authorization:', 'authorization', '"key"', '"key":', '"'])
      for (const after of ['bearer <key>"', '"', ':', ',', '""', 'x'])
        redact(before + run.repeat(10_000) + after)
  redact('"a" : '.repeat(50_000))
  expect(cpuMs() - started).toBeLessThan(5000)
})
