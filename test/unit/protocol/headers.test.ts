import { describe, expect, test } from 'vitest'
import {
  decodeHeaderValue,
  encodeHeaderValue,
  headerParamsOf,
  headerTextOf,
  paramHeaderMismatch,
  paramHeaders,
} from '../../../src/protocol/headers.ts'

const base64 = (text: string): string => `=?base64?${Buffer.from(text).toString('base64')}?=`

describe('values', () => {
  test.each(['a', 'us-west1', 'a b', 'a\tb', '~!"#$%', '=?base64?', '=?utf-8?x?=', '0'])(
    '%j goes as it is',
    value => {
      expect(encodeHeaderValue(value)).toBe(value)
      expect(decodeHeaderValue(value)).toBe(value)
    },
  )

  test.each([
    '',
    ' a',
    'a ',
    '\ta',
    'a\nb',
    'a\r\nX-Evil: 1',
    'é',
    '日本',
    '😀',
    '\u007f',
    '\0',
    '=?base64?eA==?=',
    '=?base64??=',
  ])('%j goes as Base64', value => {
    expect(encodeHeaderValue(value)).toBe(base64(value))
    expect(decodeHeaderValue(base64(value))).toBe(value)
  })

  test.each(['=?base64?x?=', '=?base64?eA?=', '=?base64?e A==?=', '=?base64?-_-_?=', '=?base64?eB==?='])(
    '%s only claims to be Base64',
    header => {
      expect(decodeHeaderValue(header)).toBeUndefined()
    },
  )

  test('arguments have a text where the protocol gives them one', () => {
    expect(['a', '', true, false, 0, -7, 42].map(headerTextOf)).toEqual([
      'a',
      '',
      'true',
      'false',
      '0',
      '-7',
      '42',
    ])
    expect([null, undefined, {}, [], 1.5, Infinity].map(headerTextOf)).toEqual(Array(6).fill(undefined))
  })
})

const PARAMS = [
  { header: 'Region', path: ['region'] },
  { header: 'Limit', path: ['page', 'limit'] },
  { header: 'Dry', path: ['dry'] },
]

describe('headers of a call', () => {
  test('repeat its arguments', () => {
    expect(paramHeaders(PARAMS, { region: 'é', page: { limit: 42 }, dry: false })).toEqual({
      'mcp-param-region': base64('é'),
      'mcp-param-limit': '42',
      'mcp-param-dry': 'false',
    })
  })

  test('leave out what is absent, null or inherited', () => {
    expect(paramHeaders(PARAMS, { region: null, page: 7 })).toEqual({})
    expect(paramHeaders(PARAMS, undefined)).toEqual({})
    expect(paramHeaders([{ header: 'X', path: ['constructor', 'name'] }], {})).toEqual({})
  })
})

const check = (args: unknown, headers: Record<string, string | string[]>): string | undefined =>
  paramHeaderMismatch(PARAMS, args, headers)

describe('headers held against a call', () => {
  test('that says the same', () => {
    expect(
      check({ region: 'eu', page: { limit: 42 } }, { 'mcp-param-region': 'eu', 'mcp-param-limit': '42' }),
    ).toBeUndefined()
    expect(check({ region: 'é' }, { 'mcp-param-region': base64('é') })).toBeUndefined()
    expect(check({}, {})).toBeUndefined()
  })

  test('integers are compared as numbers', () => {
    expect(check({ page: { limit: 42 } }, { 'mcp-param-limit': '42.0' })).toBeUndefined()
    expect(check({ page: { limit: 42 } }, { 'mcp-param-limit': '0x2a' })).toMatch(/differs/)
    expect(check({ page: { limit: 0 } }, { 'mcp-param-limit': '' })).toMatch(/differs/)
    expect(check({ page: { limit: 42 } }, { 'mcp-param-limit': 'x' })).toMatch(/differs/)
  })

  test.each([
    ['differs', { region: 'eu' }, { 'mcp-param-region': 'EU' }],
    ['differs', { region: 'eu' }, { 'mcp-param-region': ['eu', 'eu'] }],
    ['differs', { region: 'x' }, { 'mcp-param-region': '=?base64?x?=' }],
    ['differs', { dry: true }, { 'mcp-param-dry': 'True' }],
    ['is missing', { region: 'eu' }, {}],
    ['is missing', { region: '' }, {}],
    ['is absent', {}, { 'mcp-param-region': 'eu' }],
    ['is absent', { region: null }, { 'mcp-param-region': 'null' }],
  ])('that %s: %j, %j', (what, args, headers) => {
    expect(check(args, headers as Record<string, string | string[]>)).toContain(what)
  })
})

const property = (header: unknown, type: unknown = 'string') => ({ type, 'x-mcp-header': header })
const object = (properties: object) => ({ type: 'object', properties })

describe('x-mcp-header in a schema', () => {
  test('is found through properties', () => {
    const schema = object({
      region: property('Region'),
      page: object({
        limit: property('Page-Limit', 'integer'),
        'a.b': property("!#$%&'*+-.^_`|~9", 'boolean'),
      }),
      plain: { type: 'string' },
    })
    expect(headerParamsOf(schema)).toEqual([
      { header: 'Region', path: ['region'] },
      { header: 'Page-Limit', path: ['page', 'limit'] },
      { header: "!#$%&'*+-.^_`|~9", path: ['page', 'a.b'] },
    ])
  })

  test('a schema without any has none', () => {
    expect(headerParamsOf(object({ a: { type: 'string' } }))).toEqual([])
    expect(headerParamsOf(undefined)).toEqual([])
    expect(headerParamsOf(true)).toEqual([])
  })

  test('a property of that name is no annotation', () => {
    expect(headerParamsOf(object({ 'x-mcp-header': { type: 'string' } }))).toEqual([])
    expect(
      headerParamsOf({ type: 'object', default: { 'x-mcp-header': 1 }, enum: [{ 'x-mcp-header': 1 }] }),
    ).toEqual([])
  })

  test.each(['', 'a b', 'a:b', 'é', 'a\r\n', 7, null])('%j is no name for a header', header => {
    expect(headerParamsOf(object({ a: property(header) }))).toContain('not an HTTP token')
  })

  test.each(['number', 'object', 'array', 'null', undefined, ['string', 'null']])(
    'a %j has no header',
    type => {
      const schema = object({ a: { 'x-mcp-header': 'A', ...(type !== undefined && { type }) } })
      expect(headerParamsOf(schema)).toContain('needs type')
    },
  )

  test('two of one name are one too many, whatever their case', () => {
    expect(headerParamsOf(object({ a: property('Region'), b: object({ c: property('rEGION') }) }))).toContain(
      'twice',
    )
  })

  test.each([
    ['items', object({ a: { type: 'array', items: property('A') } })],
    ['anyOf', { type: 'object', anyOf: [object({ a: property('A') })] }],
    ['additionalProperties', { type: 'object', additionalProperties: property('A') }],
    ['$defs', { type: 'object', $defs: { a: property('A') } }],
    ['the schema itself', property('A')],
    ['properties below items', object({ a: { type: 'array', items: object({ b: property('B') }) } })],
  ])('%s do not lead to one place in the arguments', (_, schema) => {
    expect(headerParamsOf(schema)).toContain('not reachable')
  })
})
