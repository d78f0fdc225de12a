import { UriTemplate as Official } from '@modelcontextprotocol/sdk/shared/uriTemplate.js'
import { describe, expect, it } from 'vitest'
import { UriTemplate } from '../../../src/protocol/uri-template.ts'
import { rng } from '../../helpers/rng.ts'
import { cpuMs } from '../../helpers/running-time.ts'

const matches = (template: string, uri: string): boolean =>
  UriTemplate.parse(template)?.matches(uri, { left: Infinity }) ?? false

const TEMPLATES = [
  'file:///{path}',
  'file:///{+path}',
  'db://{+schema}/{+table}',
  'db://{schema}/{table}',
  'x://{a}b{c}',
  'x://{+a}{+b}x',
  'x://{a*}',
  'x://{a*}/end',
  'x:/{/a}{/b}',
  'x:{/a*}',
  'x://a{.ext}',
  'x://a{#part}',
  'x://search{?q}',
  'x://search{?q,limit}',
  'x://search?fixed=1{&q,limit}',
  'x://{a,b}',
  'x://{var:3}',
  'aab{a}aab{b}',
  '{+a}',
  '{a}',
  'plain',
  '',
  'x://{ spaced }/{?}',
]

const URIS = [
  '',
  'plain',
  'file:///a',
  'file:///a/b.txt',
  'file:///',
  'db://public/users',
  'db://a/b/c',
  'db:///x',
  'x://abc',
  'x://1b2',
  'x://bbb',
  'x://1,2,3',
  'x://1,,3',
  'x://1,2/end',
  'x://1,',
  'x://abx',
  'x://x',
  'x:/a/b',
  'x:/1,2',
  'x://a.txt',
  'x://apart',
  'x://search?q=1',
  'x://search?q=1&limit=2',
  'x://search?limit=2&q=1',
  'x://search?fixed=1&q=a/b&limit=2',
  'aabaabaabaab',
  'aabxaaby',
  'x://a\nb',
  'x://é/ü',
  'x://a/',
]

describe('a template', () => {
  it.each(TEMPLATES)('has the verdicts of the official SDK: %s', template => {
    const official = new Official(template)
    for (const uri of URIS) expect(matches(template, uri), uri).toBe(official.match(uri) !== null)
  })

  it('has them for what chance makes of a few pieces, too', () => {
    const random = rng(20260728)
    const pick = (from: readonly string[]): string => from[Math.floor(random() * from.length)] as string
    const make = (from: readonly string[], most: number): string =>
      Array.from({ length: 1 + Math.floor(random() * most) }, () => pick(from)).join('')
    for (let n = 0; n < 3000; n++) {
      const template = make(['a', 'ab', '/', ',', '{x}', '{+x}', '{x*}', '{/x}', '{.x}', '{?x}', '{&y*}'], 6)
      const uri = make(['a', 'ab', 'b', '/', ',', '.', '?x=', '&y=', '\n'], 9)
      const official = new Official(template).match(uri) !== null
      expect(matches(template, uri), `${template} ${JSON.stringify(uri)}`).toBe(official)
    }
  })

  it.each(['{+a}{+b}{+c}{+d}{+e}{+f}x', 'db://{+schema}/{+table}', '{a*}{b*}{c*}{d*}!', 'a{+b}ab{+c}abb'])(
    'takes a URI of 200 KB in no time: %s',
    template => {
      const started = cpuMs()
      for (const piece of ['a', '/', 'ab', ',', 'a,'])
        for (const prefix of ['', 'db://']) matches(template, prefix + piece.repeat(200_000 / piece.length))
      expect(cpuMs() - started).toBeLessThan(5000)
    },
  )

  it.each(['{a', 'x'.repeat(10_000), '{a}'.repeat(33), `{?${'a,'.repeat(33)}}`])(
    'is none that cannot be used: %#',
    template => {
      expect(UriTemplate.parse(template)).toBeUndefined()
    },
  )
})
