import { describe, expect, test } from 'vitest'
import { GatewayError } from '../../../src/core/errors.ts'
import type { JsonObject } from '../../../src/core/exchange.ts'
import { outgoingParams } from '../../../src/protocol/params.ts'
import type { ParamsChange } from '../../../src/protocol/params.ts'

const KEY = 'io.modelcontextprotocol'
const ENVELOPE = {
  [`${KEY}/protocolVersion`]: '"2026-07-28"',
  [`${KEY}/clientInfo`]: '{"name":"g"}',
  [`${KEY}/clientCapabilities`]: '{}',
}
const ENVELOPE_TEXT = `"${KEY}/protocolVersion":"2026-07-28","${KEY}/clientInfo":{"name":"g"},"${KEY}/clientCapabilities":{}`

const outgoing = (text: string | undefined, change: ParamsChange): string | undefined =>
  outgoingParams(text === undefined ? undefined : { text, value: JSON.parse(text) as JsonObject }, change)

const named = (value: string): ParamsChange => ({ target: { key: 'name', value } })

describe('the target', () => {
  test('a name is replaced and nothing else', () => {
    expect(
      outgoing('{ "x" : 1.0,\n"name" :\t"s__t" , "arguments":{"name":"s__t", "2":1,"1":[ ]} }', named('t"é')),
    ).toBe('{ "x" : 1.0,\n"name" :\t"t\\"é" , "arguments":{"name":"s__t", "2":1,"1":[ ]} }')
  })

  test('a name that stays the same keeps even its escapes', () => {
    expect(outgoing(String.raw`{"name":"\u0074\/"}`, named('t/'))).toBe(String.raw`{"name":"\u0074\/"}`)
  })

  test('a name is found under an escaped key', () => {
    expect(outgoing(String.raw`{"n\u0061me":"s__t"}`, named('t'))).toBe(String.raw`{"n\u0061me":"t"}`)
  })

  test('a URI is replaced', () => {
    expect(outgoing('{"uri":"s+a:b","name":"s+a:b"}', { target: { key: 'uri', value: 'a:b' } })).toBe(
      '{"uri":"a:b","name":"s+a:b"}',
    )
  })

  test('the reference of a completion is replaced, and not its namesakes', () => {
    const change: ParamsChange = { ref: { key: 'name', value: 'p' } }
    expect(
      outgoing(
        '{"name":"s__p","ref":{"type":"ref/prompt", "name":"s__p","x":1.0},"argument":{"name":"s__p"}}',
        change,
      ),
    ).toBe('{"name":"s__p","ref":{"type":"ref/prompt", "name":"p","x":1.0},"argument":{"name":"s__p"}}')
  })

  test.each([
    ['{"name":"a","name":"b"}', named('t')],
    [String.raw`{"name":"a","n\u0061me":"b"}`, named('t')],
    ['{"arguments":{},"name":"a","arguments":{}}', named('t')],
    ['{"_meta":{},"name":"a","_meta":{}}', named('t')],
    ['{"ref":{"name":"a","name":"b"}}', { ref: { key: 'name', value: 'p' } }],
  ] satisfies [string, ParamsChange][])('a member that stands twice is refused: %s', (text, change) => {
    expect(() => outgoing(text, change)).toThrow(GatewayError)
    expect(() => outgoing(text, change)).toThrow(/stands twice/)
  })

  test('what stands twice deeper down is none of our business', () => {
    const text = '{"name":"t","arguments":{"a":1,"a":2}}'
    expect(outgoing(text, named('t'))).toBe(text)
  })
})

describe('_meta', () => {
  test('nothing is added where nothing is needed', () => {
    expect(outgoing(undefined, {})).toBeUndefined()
    expect(outgoing('{ }', {})).toBe('{ }')
    expect(outgoing('{"_meta":{ "a" : 1.0 }}', {})).toBe('{"_meta":{ "a" : 1.0 }}')
  })

  test("the client's progress token gives way to ours", () => {
    expect(outgoing('{"_meta":{"a":[ ],"progressToken":"x","b":1.0}}', { progressToken: 7 })).toBe(
      '{"_meta":{"a":[ ],"progressToken":7,"b":1.0}}',
    )
  })

  test('a token that is none of ours never goes on', () => {
    expect(outgoing('{"_meta":{"progressToken":{},"b":1.0}}', {})).toBe('{"_meta":{"b":1.0}}')
    expect(outgoing('{"_meta":{"progressToken":"x"}}', {})).toBe('{"_meta":{}}')
  })

  test('of several tokens none is left', () => {
    expect(outgoing('{"_meta":{"progressToken":"x","progressToken":2}}', { progressToken: 7 })).toBe(
      '{"_meta":{"progressToken":7}}',
    )
  })

  test.each(['protocolVersion', 'clientInfo', 'clientCapabilities', 'logLevel'])(
    '%s belongs to one hop and does not go on',
    key => {
      expect(outgoing(`{"_meta":{"a":1.0,"${KEY}/${key}":{"x":1},"b":[ ]},"z":0}`, {})).toBe(
        '{"_meta":{"a":1.0,"b":[ ]},"z":0}',
      )
    },
  )

  test('other keys of the protocol and of others go on', () => {
    const text = `{"_meta":{"${KEY}/related-task":{"taskId":"1"},"traceparent":"00-1","x":1.0}}`
    expect(outgoing(text, {})).toBe(text)
  })

  test('the envelope goes in front, into a _meta that is there', () => {
    expect(outgoing('{"name":"t","_meta":{ "a":1.0}}', { envelope: ENVELOPE })).toBe(
      `{"name":"t","_meta":{${ENVELOPE_TEXT}, "a":1.0}}`,
    )
  })

  test('the envelope takes the place of the one that came', () => {
    const text = `{"_meta":{"${KEY}/clientInfo":{"name":"c"},"a":1.0,"${KEY}/protocolVersion":"x","${KEY}/logLevel":"debug"}}`
    expect(outgoing(text, { envelope: ENVELOPE })).toBe(
      `{"_meta":{"${KEY}/clientCapabilities":{},"${KEY}/clientInfo":{"name":"g"},"a":1.0,"${KEY}/protocolVersion":"2026-07-28"}}`,
    )
  })

  test('the envelope and a token make a _meta of their own in front of everything', () => {
    const meta = `"_meta":{"progressToken":7,${ENVELOPE_TEXT}}`
    const change = { envelope: ENVELOPE, progressToken: 7 }
    expect(outgoing('\n{\n"name":"t" }', change)).toBe(`\n{${meta},\n"name":"t" }`)
    expect(outgoing('{ }', change)).toBe(`{${meta} }`)
    expect(outgoing(undefined, change)).toBe(`{${meta}}`)
  })

  test('a _meta that is no object gives way to one, or stays what it is', () => {
    expect(outgoing('{"_meta":null}', { envelope: ENVELOPE })).toBe(`{"_meta":{${ENVELOPE_TEXT}}}`)
    expect(outgoing('{"_meta":[ 1.0 ]}', {})).toBe('{"_meta":[ 1.0 ]}')
  })
})
