import { describe, expect, test } from 'vitest'
import { GatewayError } from '../../../src/core/errors.ts'
import type { JsonObject } from '../../../src/core/exchange.ts'
import {
  errorText,
  isId,
  messageKindOf,
  notificationText,
  parseJson,
  requestText,
  resultText,
  takeApart,
} from '../../../src/protocol/message.ts'
import type { Incoming } from '../../../src/protocol/message.ts'

/** Code of the `GatewayError` that `run` throws. */
function codeOf(run: () => unknown): string {
  try {
    run()
  } catch (error) {
    return error instanceof GatewayError ? error.code : String(error)
  }
  return 'nothing thrown'
}

const apart = (text: string): Incoming => takeApart({ text, value: JSON.parse(text) as JsonObject })

test('what is not JSON is a parse error', () => {
  expect(codeOf(() => parseJson('{"a":1,}'))).toBe('parse_error')
  expect(codeOf(() => parseJson(''))).toBe('parse_error')
  expect(parseJson('[1.0]')).toEqual([1])
})

describe('kindOf', () => {
  test.each([
    ['{"jsonrpc":"2.0","id":1,"method":"m"}', 'request'],
    ['{"jsonrpc":"2.0","id":"","method":""}', 'request'],
    ['{"jsonrpc":"2.0","id":-12345678901234567890,"method":"m"}', 'request'],
    ['{"jsonrpc":"2.0","method":"m"}', 'notification'],
    ['{"jsonrpc":"2.0","id":1,"result":null}', 'response'],
    ['{"jsonrpc":"2.0","id":null,"error":{}}', 'response'],
  ])('%s is a %s', (text, kind) => {
    expect(messageKindOf(JSON.parse(text))).toBe(kind)
  })

  test.each([
    'null',
    '1',
    '"x"',
    '[]',
    '{}',
    '{"jsonrpc":"2.0"}',
    '{"jsonrpc":"2.0","id":1}',
    '{"jsonrpc":2.0,"id":1,"method":"m"}',
    '{"jsonrpc":"1.0","id":1,"method":"m"}',
    '{"id":1,"method":"m"}',
    '{"jsonrpc":"2.0","id":1,"method":1}',
    '{"jsonrpc":"2.0","id":1,"method":null,"result":{}}',
    '{"jsonrpc":"2.0","id":null,"method":"m"}',
    '{"jsonrpc":"2.0","id":1.5,"method":"m"}',
    '{"jsonrpc":"2.0","id":1e400,"method":"m"}',
    '{"jsonrpc":"2.0","id":{},"method":"m"}',
    '{"jsonrpc":"2.0","id":true,"method":"m"}',
  ])('%s is no message', text => {
    expect(codeOf(() => messageKindOf(JSON.parse(text)))).toBe('invalid_request')
  })
})

test('ids are strings and whole numbers', () => {
  expect([0, -1, 1e20, '', 'a'].map(isId)).toEqual([true, true, true, true, true])
  expect([1.5, Number.NaN, Infinity, null, undefined, {}, true].some(isId)).toBe(false)
})

describe('takeApart', () => {
  test.each(['1', '0', '-7', '1.0', '1e2', '12345678901234567890', '"a"', String.raw`"\u0061\/"`, '""'])(
    'keeps the id %s as it is written',
    id => {
      expect(apart(`{"jsonrpc":"2.0", "id" : ${id} ,"method":"m"}`).id).toBe(id)
    },
  )

  test('keeps the params as they are written', () => {
    const params = '{ "2":1.0, "1" : [ ],"twice":{"a":1,"a":2}}'
    expect(apart(`{"params": ${params} ,"method":"m\\u0061","jsonrpc":"2.0"}`)).toEqual({
      id: undefined,
      method: 'ma',
      params: { text: params, value: JSON.parse(params) as unknown },
    })
  })

  test('params may be absent, but not something else than an object', () => {
    expect(apart('{"jsonrpc":"2.0","method":"m"}').params).toBeUndefined()
    for (const params of ['[]', 'null', '1', '"x"'])
      expect(codeOf(() => apart(`{"jsonrpc":"2.0","method":"m","params":${params}}`))).toBe('invalid_params')
  })

  test.each([
    '{"jsonrpc":"2.0","id":1,"id":2,"method":"m"}',
    '{"jsonrpc":"2.0","id":1,"method":"a","method":"b"}',
    String.raw`{"jsonrpc":"2.0","id":1,"method":"a","\u006dethod":"b"}`,
    '{"jsonrpc":"2.0","id":1,"method":"m","params":{},"params":{}}',
    '{"jsonrpc":"2.0","id":1,"method":"m","__proto__":1,"__proto__":2}',
  ])('refuses a member that stands twice: %s', text => {
    expect(codeOf(() => apart(text))).toBe('invalid_request')
  })

  test('does not mind odd names', () => {
    expect(apart('{"jsonrpc":"2.0","method":"m","__proto__":{},"constructor":1,"":2}').method).toBe('m')
  })
})

test('messages are put together around raw texts', () => {
  expect(requestText(7, 'a"b', '{ "x":1.0 }')).toBe(
    String.raw`{"jsonrpc":"2.0","id":7,"method":"a\"b","params":{ "x":1.0 }}`,
  )
  expect(requestText(7, 'm', undefined)).toBe('{"jsonrpc":"2.0","id":7,"method":"m"}')
  expect(notificationText('m', '{ }')).toBe('{"jsonrpc":"2.0","method":"m","params":{ }}')
  expect(notificationText('m', undefined)).toBe('{"jsonrpc":"2.0","method":"m"}')
  expect(resultText('1.0', '[ ]')).toBe('{"jsonrpc":"2.0","id":1.0,"result":[ ]}')
  expect(errorText('"x"', '{"code":1.0}')).toBe('{"jsonrpc":"2.0","id":"x","error":{"code":1.0}}')
})
