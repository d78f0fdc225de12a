import { describe, expect, test } from 'vitest'
import type { Json } from '../../../src/core/exchange.ts'
import { errorFor, headFor, mapUris, resultFor } from '../../../src/protocol/results.ts'

const KEY = 'io.modelcontextprotocol'
const INFO = '{"name":"g","version":"1"}'
const SERVER_INFO = `"${KEY}/serverInfo":${INFO}`

/** Result for a client of one era from a server of one era. */
function framed(
  from: 'legacy' | 'modern',
  to: 'legacy' | 'modern',
  text: string,
  method = 'tools/call',
): string {
  const value = JSON.parse(text) as unknown
  const client = { modern: to === 'modern', protocolVersion: to === 'modern' ? '2026-07-28' : '2025-11-25' }
  return resultFor(client, method, { kind: 'result', text, value, modern: from === 'modern' }, INFO)
}

const ODD = String.raw`{ "2":1.0, "1" :12345678901234567890,"s":"\u00e9\/","none":[ ],"b":false}`

const toModern = (text: string, method?: string): string => framed('legacy', 'modern', text, method)

const toLegacy = (text: string): string => framed('modern', 'legacy', text)

describe('within one era', () => {
  test.each(['legacy', 'modern'] as const)('a %s result stays as it is', era => {
    const text = `{ "resultType" : "x", "content":[ ],"structuredContent":[1.0],"ttlMs":1.0,"_meta":{${SERVER_INFO}},"x":${ODD} }`
    expect(framed(era, era, text)).toBe(text)
  })

  // It breaks the protocol, but to repair it is not ours, and an answer it is.
  test.each(['[ 1.0 ]', '"x"', 'null', '7.0', 'true'])('so does %s', text => {
    for (const from of ['legacy', 'modern'] as const)
      for (const to of ['legacy', 'modern'] as const) expect(framed(from, to, text)).toBe(text)
  })
})

describe('from a legacy server to a modern client', () => {
  test('says that it is complete, and names the server', () => {
    expect(toModern(`{ "content":[ ], "x":${ODD}\n}`)).toBe(
      `{"resultType":"complete","_meta":{${SERVER_INFO}}, "content":[ ], "x":${ODD}\n}`,
    )
  })

  test('an empty result', () => {
    expect(toModern('{ }')).toBe(`{"resultType":"complete","_meta":{${SERVER_INFO}}}`)
  })

  test('a _meta of its own is kept', () => {
    expect(toModern(`{"content":[ ],"_meta":{ "a": 1.0},"x":${ODD}}`)).toBe(
      `{"resultType":"complete","content":[ ],"_meta":{${SERVER_INFO}, "a": 1.0},"x":${ODD}}`,
    )
  })

  test("a server's own serverInfo is kept", () => {
    const meta = `"_meta":{"${KEY}/serverInfo":{"name":"s"}}`
    expect(toModern(`{${meta}}`)).toBe(`{"resultType":"complete",${meta}}`)
  })

  test('a resultType of its own is kept', () => {
    expect(toModern('{"resultType":"task"}')).toBe(`{"_meta":{${SERVER_INFO}},"resultType":"task"}`)
  })

  test('what was read may be cached as far as the server says, which is not at all', () => {
    expect(toModern('{"contents":[]}', 'resources/read')).toBe(
      `{"resultType":"complete","ttlMs":0,"cacheScope":"private","_meta":{${SERVER_INFO}},"contents":[]}`,
    )
    expect(toModern('{"contents":[],"ttlMs":5.0,"cacheScope":"public"}', 'resources/read')).toBe(
      `{"resultType":"complete","_meta":{${SERVER_INFO}},"contents":[],"ttlMs":5.0,"cacheScope":"public"}`,
    )
    expect(toModern('{"messages":[]}', 'prompts/get')).not.toContain('ttlMs')
  })

  test('a _meta that is no object is left alone', () => {
    expect(toModern('{"_meta":null,"x":1.0}')).toBe('{"resultType":"complete","_meta":null,"x":1.0}')
  })
})

describe('from a modern server to a legacy client', () => {
  test('what only the modern era has is taken out', () => {
    expect(
      toLegacy(`{"resultType":"complete","ttlMs":0,"contents":[ ],"cacheScope":"private","x":${ODD}}`),
    ).toBe(`{"contents":[ ],"x":${ODD}}`)
  })

  test('a result that has nothing of the kind stays as it is', () => {
    const text = `{ "content":[ ] , "_meta":{ "a":1.0 },"x":${ODD} }`
    expect(toLegacy(text)).toBe(text)
  })

  test('what the protocol put into _meta goes, what others put there stays', () => {
    expect(
      toLegacy(`{"content":[],"_meta":{"a":1.0,${SERVER_INFO},"b":[ ],"${KEY}/subscriptionId":1}}`),
    ).toBe('{"content":[],"_meta":{"a":1.0,"b":[ ]}}')
    expect(toLegacy(`{"content":[],"_meta":{${SERVER_INFO}}}`)).toBe('{"content":[]}')
    expect(
      toLegacy('{"content":[],"_meta":{"io.modelcontextprotocol/related-task":{"taskId":"1"}}}'),
    ).toContain('related-task')
  })

  test.each(['[1.0,{ }]', '"x"', '1.0', 'null', 'true'])(
    'structured content that is no object, %s, is left to the text beside it',
    structured => {
      expect(
        toLegacy(
          `{"content":[{"type":"text","text":"t"}],"structuredContent":${structured},"isError":false}`,
        ),
      ).toBe('{"content":[{"type":"text","text":"t"}],"isError":false}')
    },
  )

  test('and becomes that text where there is none', () => {
    const text = String.raw`[{\"type\":\"text\",\"text\":1.0}]`
    expect(toLegacy('{"content":[],"structuredContent":[{"type":"text","text":1.0}]}')).toBe(
      `{"content":[{"type":"text","text":"${text}"}]}`,
    )
    expect(toLegacy('{"structuredContent":1.0}')).toBe('{"content":[{"type":"text","text":"1.0"}]}')
  })

  test('structured content that is an object stays', () => {
    const text = `{"structuredContent":${ODD}}`
    expect(toLegacy(text)).toBe(text)
  })
})

const map = (text: string): string =>
  mapUris({ text, value: JSON.parse(text) as unknown }, uri => (uri === 'a:/1' ? 's+a:/1' : uri))

describe('mapUris', () => {
  test('links and embedded resources of a result', () => {
    expect(
      map(
        '{ "content" : [ {"type":"resource_link", "uri" : "a:/1","name":"a:/1"},{"type":"resource","resource":{"uri":"a:\\/1","text":"a:/1"}} ],"x":1.0}',
      ),
    ).toBe(
      '{ "content" : [ {"type":"resource_link", "uri" : "s+a:/1","name":"a:/1"},{"type":"resource","resource":{"uri":"s+a:/1","text":"a:/1"}} ],"x":1.0}',
    )
  })

  test('messages of a prompt', () => {
    expect(
      map(
        '{"messages":[{"role":"user","content":{"type":"resource","resource":{"uri":"a:/1"}}},{"content":{"type":"resource_link","uri":"a:/1"}}]}',
      ),
    ).toBe(
      '{"messages":[{"role":"user","content":{"type":"resource","resource":{"uri":"s+a:/1"}}},{"content":{"type":"resource_link","uri":"s+a:/1"}}]}',
    )
  })

  test('contents of a resource', () => {
    expect(map('{"contents":[{"uri":"a:/1","text":"a:/1"},{"uri":"a:/2"},{ "uri":"a:/1"}]}')).toBe(
      '{"contents":[{"uri":"s+a:/1","text":"a:/1"},{"uri":"a:/2"},{ "uri":"s+a:/1"}]}',
    )
  })

  test.each([
    '{"content":[{"type":"text","text":"a:/1","uri":"a:/1"}]}',
    '{"structuredContent":{"content":[{"type":"resource_link","uri":"a:/1"}],"uri":"a:/1"}}',
    '{"content":[{"type":"resource_link","uri":"a:/2"}, {"type":"resource_link","uri":7.0},{"type":"resource_link"}]}',
    '{"content":["a:/1",null,[{"uri":"a:/1"}],{"type":"resource","resource":"a:/1"},{"type":"resource"}]}',
    '{"contents":{"uri":"a:/1"},"messages":["a:/1",{"content":"a:/1"},{"content":[ ]}],"content":"a:/1"}',
    '[ {"uri":"a:/1"} ]',
    'null',
  ])('nothing else: %s', text => {
    expect(map(text)).toBe(text)
  })
})

const error = (text: string): Json => ({ text, value: JSON.parse(text) as unknown })

describe('errorFor', () => {
  test('a resource that was not found has another code in the modern era', () => {
    const text = `{"code":-32002, "message":"Resource not found","data":${ODD}}`
    expect(errorFor(true, error(text))).toBe(`{"code":-32602,"message":"Resource not found","data":${ODD}}`)
    expect(errorFor(false, error(text))).toBe(text)
  })

  test.each(['{ "code":-32050.0, "x-error":[ ]}', '{"code":"-32002"}', '{"data":{"code":-32002}}', '{}'])(
    'any other error stays as it is: %s',
    text => {
      expect(errorFor(true, error(text))).toBe(text)
      expect(errorFor(false, error(text))).toBe(text)
    },
  )
})

describe('what is left of limits', () => {
  const LEFT = '[{"name":"calls/day","limit":9,"left":1.0}]'
  const QUOTA = `"io.github.mcp-manifold/quota":${LEFT}`
  const shown = (from: 'legacy' | 'modern', to: 'legacy' | 'modern', text: string): string => {
    const value = JSON.parse(text) as unknown
    const client = { modern: to === 'modern', protocolVersion: to === 'modern' ? '2026-07-28' : '2025-11-25' }
    const outcome = { kind: 'result', text, value, modern: from === 'modern' } as const
    return resultFor(client, 'tools/call', outcome, INFO, LEFT)
  }

  test.each<[from: 'legacy' | 'modern', to: 'legacy' | 'modern', text: string, expected: string]>([
    ['legacy', 'legacy', `{ "content":[ ],"x":${ODD}}`, `{"_meta":{${QUOTA}}, "content":[ ],"x":${ODD}}`],
    ['legacy', 'legacy', '{ }', `{"_meta":{${QUOTA}} }`],
    ['legacy', 'legacy', '{"_meta":{},"a":1.0}', `{"_meta":{${QUOTA}},"a":1.0}`],
    ['legacy', 'legacy', '{"a":1.0,"_meta":{ "b":2.0}}', `{"a":1.0,"_meta":{${QUOTA}, "b":2.0}}`],
    ['legacy', 'modern', '{"a":1.0}', `{"resultType":"complete","_meta":{${SERVER_INFO},${QUOTA}},"a":1.0}`],
    [
      'legacy',
      'modern',
      '{"_meta":{"b":2.0}}',
      `{"resultType":"complete","_meta":{${SERVER_INFO},${QUOTA},"b":2.0}}`,
    ],
    ['modern', 'modern', `{"_meta":{${SERVER_INFO}}}`, `{"_meta":{${QUOTA},${SERVER_INFO}}}`],
    ['modern', 'modern', '{"resultType":"x"}', `{"_meta":{${QUOTA}},"resultType":"x"}`],
    // All that was there is of the modern era.
    ['modern', 'legacy', `{"resultType":"complete","_meta":{${SERVER_INFO}}}`, `{"_meta":{${QUOTA}}}`],
    ['modern', 'legacy', `{"_meta":{${SERVER_INFO},"a":1.0}}`, `{"_meta":{${QUOTA},"a":1.0}}`],
  ])('from %s to %s in %s', (from, to, text, expected) => {
    expect(shown(from, to, text)).toBe(expected)
  })

  test.each(['[1.0]', '"x"', 'null', '{"_meta":7.0}'])('is not put into %s', text => {
    expect(shown('legacy', 'legacy', text)).toBe(text)
  })

  test('goes into the head of what is framed already', () => {
    const outcome = { kind: 'cached', text: '}}', head: '{"_meta":{"a":1.0' } as const
    expect(headFor(outcome, LEFT)).toBe(`{"_meta":{"a":1.0,${QUOTA}`)
    expect(headFor(outcome, undefined)).toBe(outcome.head)
  })
})
