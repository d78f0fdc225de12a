import { posix } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { ANONYMOUS } from '../../../src/core/principal.ts'
import {
  MAX_URI_CHARS,
  readingsOf,
  resolvedPatterns,
  textsOf,
  uriProblem,
} from '../../../src/core/uri-readings.ts'
import { decide, type Rule, type RuleSet } from '../../../src/policy/decide.ts'
import { compilePattern } from '../../../src/policy/pattern.ts'
import { cpuMs } from '../../helpers/running-time.ts'

const rule = (effect: 'allow' | 'deny', pattern: string): Rule => ({
  location: `${effect} ${pattern}`,
  effect,
  patterns: [compilePattern(pattern)],
  condition: undefined,
  shadow: false,
})
const DENYING: RuleSet = {
  denies: [rule('deny', 'resource:files/file:///secret/*')],
  allows: [],
  default: 'allow',
  shadow: false,
}
const ALLOWING: RuleSet = {
  denies: [],
  allows: [rule('allow', 'resource:files/file:///pub/*')],
  default: 'deny',
  shadow: false,
}
const verdict = (rules: RuleSet, name: string): string =>
  decide(rules, {
    item: { kind: 'resource', server: 'files', name, title: '', annotations: {} },
    principal: ANONYMOUS,
  }).verdict

/** Paths that servers make of a URI. */
const decode = (text: string): string => {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}
const cutOff = (uri: string): string => uri.replace(/^file:(?:\/\/)?/i, '')
const SERVERS: Readonly<Record<string, (uri: string) => string>> = {
  'fileURLToPath of Node': uri => posix.normalize(fileURLToPath(uri)),
  'URL, pathname': uri => posix.normalize(new URL(uri).pathname),
  'URL, pathname decoded': uri => posix.normalize(decode(new URL(uri).pathname)),
  'URL, pathname decoded twice': uri => posix.normalize(decode(decode(new URL(uri).pathname))),
  'scheme cut off': uri => posix.normalize(cutOff(uri)),
  'scheme cut off, decoded': uri => posix.normalize(decode(cutOff(uri))),
  'decoded, then URL': uri => posix.normalize(new URL(decode(uri)).pathname),
  // urlsplit of Python and url.Parse of Go: no dots resolved before the path is decoded, any host.
  'urlsplit, path decoded': uri =>
    posix.normalize(decode(/^file:(?:\/\/[^/?#]*)?([^?#]*)/i.exec(uri)?.[1] ?? '')),
  'on Windows': uri =>
    posix.normalize(
      decode(cutOff(uri))
        .replaceAll('\\', '/')
        .replace(/[. ]+(?=\/|$)/g, ''),
    ),
}

const SEEDS = 4000

describe('whatever a server makes of a URI', () => {
  let seed = 7
  const random = (below: number): number => (seed = (seed * 48271) % 2147483647) % below
  const pick = <T>(list: readonly T[]): T => list[random(list.length)] as T
  const encode = (char: string): string => `%${char.charCodeAt(0).toString(16).padStart(2, '0')}`
  const at = (uri: string, change: (char: string) => string): string => {
    const place = 5 + random(uri.length - 5)
    return uri.slice(0, place) + change(uri.charAt(place)) + uri.slice(place + 1)
  }
  const CHANGES: ((uri: string) => string)[] = [
    uri => uri.replace('file:', pick(['FILE:', 'File:', 'file:'])),
    uri =>
      uri.replace(
        'file:///',
        pick(['file:/', 'file:', 'file:////', 'file://localhost/', 'file://LOCALHOST/', 'file://any/']),
      ),
    uri => uri.replace('//', pick(['\\\\', '/\\', '///'])),
    uri =>
      at(uri, char =>
        char === '/' ? pick(['//', '/./', '\\', '/x/../', '%2f', '%5c', '/%2e/', '/x/%2E%2e/']) : char,
      ),
    uri => at(uri, char => (/[a-z.]/.test(char) ? encode(char) : char)),
    uri => at(uri, char => (char === '%' ? '%25' : char)),
    uri => uri + pick(['?', '#', '?x', '#x', '?/../..', '.', '/.', '/x/..']),
    uri =>
      uri.replace(
        '/secret',
        pick([
          '/pub/../secret',
          '/pub/..%2fsecret',
          '/pub/%2e%2e/secret',
          '/pub%5c..%5csecret',
          '/pub/a?/../../secret',
        ]),
      ),
  ]
  const uris = Array.from({ length: SEEDS }, () => {
    let uri = pick(['file:///secret/payroll.csv', 'file:///pub/secret/a.csv', 'file:///pub/a.csv'])
    for (let round = random(4); round >= 0; round--) uri = pick(CHANGES)(uri)
    return uri
  })

  test.each(Object.entries(SERVERS))(
    'a denied file is not read, an allowed folder not left: %s',
    (_, server) => {
      let denied = 0
      let allowed = 0
      for (const uri of uris) {
        let path: string
        try {
          path = server(uri)
        } catch {
          continue
        }
        if (uriProblem(uri) !== undefined) continue
        if (path.startsWith('/secret/')) {
          denied++
          expect(verdict(DENYING, uri), `${uri} is read as ${path}`).toBe('deny')
        }
        if (verdict(ALLOWING, uri) === 'allow') {
          allowed++
          expect(`${path}/`.startsWith('/pub/'), `${uri} is read as ${path}`).toBe(true)
        }
      }
      expect(denied).toBeGreaterThan(SEEDS / 20)
      expect(allowed).toBeGreaterThan(20)
    },
  )
})

describe('a URI', () => {
  test.each([
    'file:///a/b.txt',
    'x://a',
    'db://{+schema}/{table}',
    'note://a/b-c_d/é',
    'urn:isbn:1',
    'plain name',
    '',
  ])('%s has one reading', uri => {
    expect(readingsOf(uri)).toBeUndefined()
  })

  test.each([
    ['FILE:///a', 'file:///a'],
    ['file:/a', 'file:///a'],
    ['file:////a', 'file:///a'],
    ['file://localhost/a', 'file:///a'],
    ['file://localhost./a', 'file:///a'],
    ['file://other/a', 'file:///a'],
    ['file:\\\\\\a', 'file:///a'],
    ['file:///a?b', 'file:///a'],
    ['file:///a#b', 'file:///a'],
    ['file:///a.', 'file:///a'],
    ['file:///a/', 'file:///a'],
    ['file:///C|/a', 'file:///C:/a'],
    ['file:///x%2f..%2fa', 'file:///a'],
    ['file:///%2561', 'file:///a'],
    ['http://EXAMPLE.com:80/a', 'http://example.com/a'],
    ['https://example.com.:443/a', 'https://example.com/a'],
    ['http:example.com/a', 'http://example.com/a'],
    ['http://user:pw@example.com/a', 'http://example.com/a'],
    ['http://0x7f.1/a', 'http://127.0.0.1/a'],
    ['x://a/b/%2e%2e/c', 'x://a/c'],
    ['x://a/', 'x://a'],
    ['x://A/b', 'x://a/b'],
    ['X:a', 'x:a'],
    ['x://a#b', 'x://a'],
    ['db://private:/1', 'db://private/1'],
    ['DB://u@private.:/1', 'db://u@private/1'],
    ['notes://private:80/1', 'notes://private/1'],
    ['db://private:0/1', 'db://private/1'],
    ['db://private:a:1/1', 'db://private/1'],
    ['db://u:p@private:80/1', 'db://u:p@private/1'],
    ['db://u:p@private:80/1', 'db://private:80/1'],
    ['db://u:p@private:80/1', 'db://private/1'],
    ['db://[private]/1', 'db://private/1'],
    ['db://[::1]:5/1', 'db://[::1]/1'],
    ['http://wiki:8080/secret', 'http://wiki/secret'],
    ['http://x\\@wiki/secret', 'http://wiki/secret'],
    ['http://x%5C@wiki/secret', 'http://wiki/secret'],
    ['http://x\\@wiki:\\80/secret', 'http://wiki/secret'],
    ['notes://private:\\80/1', 'notes://private/1'],
    ['notes://private/1?', 'notes://private/1'],
    ['notes://private/1?x=1', 'notes://private/1'],
    ['notes://private/1?x=1#y', 'notes://private/1'],
    ['notes://private/1?#y', 'notes://private/1#y'],
    ['notes://private/1%3Fx', 'notes://private/1'],
    ['notes:1?x', 'notes:1'],
    ['http://wiki/secret?', 'http://wiki/secret'],
    ['http://u@wiki/secret?x#y', 'http://wiki/secret?x'],
    ['http://wiki/secret;x', 'http://wiki/secret'],
    ['http://wiki/secret;', 'http://wiki/secret'],
    ['http://wiki/secret%3bx', 'http://wiki/secret'],
    ['http://wiki/a;b/secret;x;y=/z', 'http://wiki/a/secret/z'],
    ['http://wiki/a;b/secret;x', 'http://wiki/a;b/secret'],
    ['http://wiki/pub/..;/secret', 'http://wiki/secret'],
  ])('%s may be read as %s', (uri, reading) => {
    expect(textsOf(uri)).toContain(reading)
  })

  test.each([
    ['file:///a\n', 'control character'],
    ['file:///se\tcret', 'control character'],
    ['\u0085x://a', 'control character'],
    [' x://a', 'white space'],
    ['x://a\u00a0', 'white space'],
    ['x://a%00', 'NUL'],
    ['x://a%2500', 'NUL'],
    ['x://%2525252525252561', 'over and over'],
  ])('%j is refused: %s', (uri, problem) => {
    expect(uriProblem(uri)).toContain(problem)
  })

  test('with data in it is fine', () => {
    for (const uri of [
      'web://fetch/https%3A%2F%2Fexample.com%2F%3Fq%3D100%2525',
      'db://q/select%20%2A%0Afrom%20t',
    ])
      expect(uriProblem(uri)).toBeUndefined()
  })

  test('that is long or made to have many readings is decided in no time', () => {
    const started = cpuMs()
    for (const part of ['%2e%2e%2f', '/../', '%252f', '\\', '. /', '%25', '?#', '..%5c'])
      textsOf(`file:///${part.repeat(2000)}x`)
    expect(cpuMs() - started).toBeLessThan(5000)
  })
})

test('a URI that is longer than what is read is refused, and the bound is named', () => {
  expect(uriProblem(`x://${'a'.repeat(MAX_URI_CHARS)}`)).toContain(`at most ${MAX_URI_CHARS} are accepted`)
})

test('the longest URIs of dots, slashes or different letters are read in no time', () => {
  const host = String.fromCodePoint(...Array.from({ length: 8000 }, (_, at) => 0x4e00 + at * 2))
  const started = cpuMs()
  for (const uri of [`x://${'.'.repeat(8000)}b/%41`, `x://h${'/'.repeat(8000)}a/%41/`, `http://${host}/%41`])
    textsOf(uri)
  expect(cpuMs() - started).toBeLessThan(2000)
  for (const label of ['ü.', 'xn--a.', '*ü.', ':0', '[0:', '@'])
    for (const scheme of ['file', 'http', 'x'])
      for (const path of ['', '/%ff%41;a?*#<url:']) {
        textsOf(`${scheme}://${label.repeat(4000)}${path}`.slice(0, MAX_URI_CHARS))
        textsOf(`${scheme}://${label.repeat(120)}${path.repeat(400)}`.slice(0, MAX_URI_CHARS))
        resolvedPatterns(`${scheme}://*${label.repeat(4000)}${path}`)
      }
  expect(cpuMs() - started).toBeLessThan(5000)
  for (const path of ['%41', 'a']) {
    expect(uriProblem(`http://${host}/${path}`)).toContain('too many ways')
    expect(verdict({ ...DENYING, denies: [] }, `http://${host}/${path}`)).toBe('deny')
  }
})

test('a pattern matches its literal text, and every reading of a URI', () => {
  expect(resolvedPatterns('FILE://localhost/my%20files/*')).toEqual(['file:///my files/*'])
  // A wildcard comes from the author of the pattern alone.
  expect(resolvedPatterns('x://a/%2a%3f')).toEqual(['x://a/%2A%3F'])
  const allowed = { ...ALLOWING, allows: [rule('allow', 'files/web://fetch/https%3A%2F%2Fexample.com%2F*')] }
  expect(verdict(allowed, 'web://fetch/https%3A%2F%2Fexample.com%2Fa')).toBe('allow')
  expect(verdict(allowed, 'web://fetch/https%3A%2F%2Fexample.org%2Fa')).toBe('deny')
  const hosts = { ...ALLOWING, allows: [rule('allow', 'files/db://Users/*')] }
  expect(verdict(hosts, 'db://Users/t')).toBe('allow')
  expect(verdict(hosts, 'db://users/t')).toBe('deny')
})

describe('a rule about', () => {
  const denies = (pattern: string, uri: string): string =>
    verdict({ ...DENYING, denies: [rule('deny', `resource:files/${pattern}`)] }, uri)
  const allows = (pattern: string, uri: string): string =>
    verdict({ ...ALLOWING, allows: [rule('allow', `resource:files/${pattern}`)] }, uri)

  test.each([
    // An empty path is the root.
    ['http://wiki/*', 'http://wiki'],
    ['http://wiki/*', 'http://wiki?page=secret'],
    ['http://wiki/*', 'HTTP:wiki?x'],
    ['http://wiki/*', 'http://WIKI#x'],
    ['http://wiki?page=secret', 'http://wiki/?page=secret'],
    ['HTTP://wiki?page=secret', 'http://wiki/?page=secret'],
    ['http://wiki', 'http://wiki/'],
    ['ws://wiki/*', 'ws://wiki?x'],
    ['ftp://wiki/*', 'ftp://wiki'],
    ['file:///*', 'file://'],
    ['file:///', 'file://'],
    ['file://host/', 'file://host'],
    // Hosts with wildcards.
    ['http://*.büro/*', 'http://x.BÜRO/1'],
    ['http://*.büro/*', 'http://x.xn--bro-hoa/1'],
    ['http://*.BÜRO/*', 'http://x.büro/1'],
    ['http://*.xn--bro-hoa/*', 'http://x.büro/1'],
    ['http://*büro/*', 'http://x.xn--bro-hoa/1'],
    ['http://*.b%C3%BCro/*', 'http://x.xn--bro-hoa/1'],
    ['http://*.büro。corp/*', 'http://x.xn--bro-hoa.corp/1'],
    ['http://*.corp:80/*', 'http://x.corp/1'],
    ['http://*.corp:080/*', 'http://x.corp/1'],
    ['https://*.corp:443/*', 'https://x.corp/1'],
    ['http://*.corp:*/*', 'http://x.corp/1'],
    ['http://*.corp:8080/*', 'http://x.corp:08080/1'],
    ['HTTP://*.Corp/*', 'http://x.corp/1'],
    ['http://user@*.corp/*', 'http://user@x.corp:80/1'],
    ['file://x.BÜRO/*', 'file://x.xn--bro-hoa/1'],
    ['file://*.büro/*', 'file://x.xn--bro-hoa/1'],
    ['file://x.xn--bro-hoa/*', 'file://x.büro/1'],
    // Other schemes.
    ['notes:///private/*', 'notes:/private/1'],
    ['notes:/private/*', 'notes:///private/1'],
    ['notes:/private/*', 'notes:////private/1'],
    ['notes:///private/*', 'notes:/x/../private/1'],
    ['db://wiki:8080/*', 'db://wiki:08080/s'],
    ['db://wiki:08080/*', 'db://wiki:8080/s'],
    ['db://*:08080/*', 'db://wiki:8080/s'],
    ['db://[::1]/*', 'db://[0::1]/1'],
    ['db://[0:0::1]:5/*', 'db://[::1]:05/1'],
    ['db://[::FFFF]:*/*', 'db://[0::ffff]:5/1'],
    // Bytes that are no UTF-8.
    ['http://lat/s%e9cret', 'http://lat/s%E9cret'],
    ['http://lat/s%E9cret', 'http://lat/s%e9cret'],
    ['x://lat/s%e9cret*', 'x://lat/s%25E9cret'],
    ['notes://hr/ä*', 'notes://hr/%C3%A4%FF'],
    ['notes://hr/*ä', 'notes://hr/%FF%C3%A4'],
    ['notes://hr/%ed%a0%80a', 'notes://hr/%ED%A0%80%61'],
    // A wildcard that a pattern means as a character.
    ['x://a/%2a', 'x://a/*'],
    ['x://a/%2a', 'x://a/%2A'],
    ['x://a/b%3fc', 'x://a/b%3Fc'],
    // Parameters, and what stands around a URI.
    ['rtsps://h/secret', 'rtsps://h/secret;x'],
    ['imap://h/secret', 'imap://h/secret;x'],
    ['svn://h/secret', 'svn://h/secret;x'],
    ['http://wiki/secret', 'URL:http://wiki/secret'],
    ['http://wiki/secret', '<URL:http://wiki/secret>'],
    ['http://wiki/secret', '<http://wiki/secret>'],
    ['file:///secret', 'url:file:/secret'],
  ])('%s denies %s', (pattern, uri) => {
    expect(denies(pattern, uri)).toBe('deny')
  })

  test.each([
    ['http://wiki/secret/*', 'http://wiki?page=secret'],
    ['http://*.büro/*', 'http://x.buro/1'],
    ['http://*.corp:80/*', 'https://x.corp/1'],
    ['notes:///private/*', 'notes://private/1'],
    ['notes:///private/*', 'notes:private/1'],
    ['db://wiki:8080/*', 'db://wiki:80/s'],
    ['db://[::1]/*', 'db://[::2]/1'],
    ['http://lat/s%e9cret', 'http://lat/s%e8cret'],
    ['notes://hr/ä*', 'notes://hr/%C3%FF'],
    ['x://a/%2a', 'x://a/b'],
    ['rtsps://h/secret', 'rtsps://h/open;x'],
    ['http://wiki/secret', 'URL:http://wiki/open'],
  ])('%s does not deny %s', (pattern, uri) => {
    expect(denies(pattern, uri)).toBe('allow')
  })

  test.each([
    ['http://wiki', 'http://wiki'],
    ['http://wiki/*', 'http://wiki/?page=1'],
    ['http://wiki?page=*', 'http://wiki?page=1'],
    ['http://wiki*', 'http://wiki?page=1'],
    ['http://wik?', 'http://wiki'],
    ['http://*.corp/*', 'http://x.corp/a/b?c#d'],
    ['http://*.corp:80/*', 'http://x.corp:80/1'],
    ['http://*.büro/*', 'http://x.büro/1'],
    ['https://api:8443/*', 'https://api:8443/1'],
    ['file://*', 'file://'],
    ['file://nas/share/*', 'file://nas/share/a b'],
    ['notes:/a/*', 'notes:/a/1'],
    ['notes:///a/*', 'notes:///a/1'],
    ['db://[0::1]:05/*', 'db://[0::1]:05/1'],
    ['http://lat/%e9*', 'http://lat/%e9/1'],
    ['mailto:*', 'mailto:a@b'],
    ['x://a/*', 'x://a/b*c;d'],
  ])('%s allows %s', (pattern, uri) => {
    expect(allows(pattern, uri)).toBe('allow')
  })

  test.each([
    ['http://wiki/a*', 'http://wiki'],
    ['http://wiki?page=*', 'http://wiki/?page=1'],
    ['http://wiki/*', 'http://wiki'],
    ['notes:///a/*', 'notes:/a/1'],
    ['http://*.büro/*', 'http://x.xn--bro-hoa/1'],
    ['db://[::1]/*', 'db://[0::1]/1'],
    ['http://wiki/*', 'URL:http://wiki/a'],
  ])('%s does not allow %s, which is written in another way', (pattern, uri) => {
    expect(allows(pattern, uri)).toBe('deny')
  })
})

test.each([
  ['http://*.corp:80/*', ['http://x.corp/1', 'HTTP://x.CORP:080/1'], ['http://x.org/1']],
  [
    'http://*.büro/*',
    ['http://x.BÜRO/1', 'http://x.xn--bro-hoa/1', 'http://x.B%C3%9CRO/1'],
    ['http://büro/1'],
  ],
  ['http://wiki/*', ['http://wiki', 'http://wiki?page=secret', 'HTTP:wiki#x'], ['http://wikis']],
  ['file:///*', ['file://'], []],
  ['notes:///private/*', ['notes:/private/1', 'notes:////private/1'], ['notes:private/1']],
  ['db://wiki:8080/*', ['db://wiki:08080/s'], ['db://wiki:80/s']],
  ['db://[0::1]/*', ['db://[::1]/1', 'db://[0:0::1]:5/1'], ['db://[::2]/1']],
  ['http://lat/s%e9cret', ['http://lat/s%E9cret'], ['http://lat/s%E8cret']],
])('a rule that denies %s denies what it may be written as', (pattern, denied, others) => {
  const rules = { ...DENYING, denies: [rule('deny', `resource:files/${pattern}`)] }
  for (const uri of denied) expect(verdict(rules, uri), uri).toBe('deny')
  for (const uri of others) expect(verdict(rules, uri), uri).toBe('allow')
})
