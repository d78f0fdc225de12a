import { expect, test } from 'vitest'
import { mayOpenBrowser, opener } from '../../../src/cli/open-browser.ts'
import { pastedQuery } from '../../../src/cli/pasted.ts'

test.each([
  ['a terminal', true, {}, true],
  ['no terminal', false, {}, false],
  ['a terminal of a build', true, { CI: 'true' }, false],
  ['a terminal over SSH', true, { SSH_CONNECTION: '10.0.0.1 22 10.0.0.2 22' }, false],
])('at %s a browser is opened: %s', (_, isTerminal, env, opens) => {
  expect(mayOpenBrowser({ isTerminal, env })).toBe(opens)
})

test.each(['win32', 'darwin', 'linux'] as const)(
  'no program that opens an address is a shell: %s',
  platform => {
    const url = 'https://as.example/authorize?a=1&b=%22%26calc'
    const [program, ...args] = opener(url, platform)
    expect(program).toMatch(/^(?:rundll32|open|xdg-open)$/)
    expect(args.at(-1)).toBe(url)
  },
)

test.each([
  ['http://127.0.0.1:4711/callback?code=c&state=s', 'c', 's'],
  ['  "https://gateway.example/oauth/callback?state=s&code=c&iss=x#_=_"  ', 'c', 's'],
  ['?code=c&state=s', 'c', 's'],
  ['code=c&state=s', 'c', 's'],
  ['http://127.0.0.1:4711/callback?error=access_denied&state=s', null, 's'],
])('%s is the end of a login', (text, code, state) => {
  const query = pastedQuery(text)
  expect([query?.get('code'), query?.get('state')]).toEqual([code, state])
})

test.each(['', 'c', 'https://as.example/login', '?code=c', '?state=s'])('%j is none', text => {
  expect(pastedQuery(text)).toBeUndefined()
})
