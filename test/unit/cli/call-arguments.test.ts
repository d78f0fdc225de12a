import { describe, expect, test } from 'vitest'
import { argumentsText } from '../../../src/cli/call-arguments.ts'

const SCHEMA = {
  type: 'object',
  properties: {
    path: { type: 'string' },
    head: { type: 'integer' },
    ratio: { type: 'number' },
    deep: { type: 'boolean' },
    tags: { type: 'array', items: { type: 'string' } },
    ids: { type: 'array', items: { type: 'integer' } },
    filter: { $ref: '#/$defs/filter' },
    either: { anyOf: [{ type: 'integer' }, { type: 'string' }] },
    nothing: { type: ['string', 'null'] },
    any: {},
  },
  $defs: { filter: { type: 'object' } },
}

describe('arguments of a call', () => {
  test.each([
    [['path=12'], '{"path":"12"}'],
    [['path=a=b'], '{"path":"a=b"}'],
    [['path='], '{"path":""}'],
    [['head=12345678901234567890'], '{"head":12345678901234567890}'],
    [['ratio=1.0'], '{"ratio":1.0}'],
    [['deep=true'], '{"deep":true}'],
    [['tags=a', 'tags=b,c'], '{"tags":["a","b,c"]}'],
    [['tags=a'], '{"tags":["a"]}'],
    [['tags=["a"]'], '{"tags":["a"]}'],
    [['ids=1', 'ids=2'], '{"ids":[1,2]}'],
    [['filter={"a":1}'], '{"filter":{"a":1}}'],
    [['either=5', 'nothing=null', 'any=5'], '{"either":5,"nothing":null,"any":"5"}'],
    [['either=five'], '{"either":"five"}'],
    [['other:=[1.0]'], '{"other":[1.0]}'],
    [['{"path": 1.0}'], '{"path": 1.0}'],
    [[], '{}'],
  ])('%j', (words, text) => {
    expect(argumentsText(words, SCHEMA)).toBe(text)
  })

  test.each([
    [['head=1.5'], '"head" takes an integer, and "1.5" is not one.'],
    [['head=0x10'], '"head" takes an integer'],
    [['deep=yes'], '"deep" takes a boolean, and "yes" is not one.'],
    [['filter=x'], 'Write filter:=json'],
    [['ids=1', 'ids=x'], '"ids" takes an integer, and "x" is not one.'],
    [['pth=a'], 'The tool has no argument "pth". Did you mean "path"?'],
    [['path=a', 'path=b'], '"path" is given 2 times, and takes one value.'],
    [['path'], '"path" is no argument. Write key=value, key:=json, or one JSON object.'],
    [['=a'], 'is no argument'],
    [['path:=a'], '"path" is no JSON: "a". A text needs quotes in it.'],
    [['{"path":'], 'The arguments are no JSON object'],
  ])('%j is refused', (words, message) => {
    expect(() => argumentsText(words, SCHEMA)).toThrow(message)
  })

  test('what is missing is named with its type, and with all that the tool takes', () => {
    const schema = { type: 'object', properties: { a: { type: 'number' }, b: {} }, required: ['a'] }
    expect(() => argumentsText(['b=1'], schema)).toThrow('It needs a (number). It takes: a=… [b=…]')
  })

  test('a schema that refers to itself ends', () => {
    const schema = { type: 'object', properties: { a: { $ref: '#/properties/a' } } }
    expect(argumentsText(['a=1'], schema)).toBe('{"a":"1"}')
  })

  test('a tool that permits any argument gets it as a text', () => {
    expect(argumentsText(['x=1'], { type: 'object', additionalProperties: true })).toBe('{"x":"1"}')
    expect(argumentsText(['x=1'], undefined)).toBe('{"x":"1"}')
  })
})
