import { expect, test } from 'vitest'
import {
  countValues,
  hasMoreValues,
  MAX_CLIENT_VALUES,
  MAX_SERVER_VALUES,
  TooManyValues,
} from '../../../src/protocol/values.ts'
import { rng } from '../../helpers/rng.ts'
import { cpuMs } from '../../helpers/running-time.ts'

const counted = (value: unknown): number =>
  1 +
  (typeof value === 'object' && value !== null
    ? Object.values(value).reduce((sum: number, item) => sum + counted(item), 0)
    : 0)

test.each([
  '1',
  ' "a,[{" ',
  '[]',
  '[ ]',
  '{ }',
  '[1,2]',
  '[[],{},[{}]]',
  '{"a":{"b":[1,"x",null]},"c":{}}',
  '{"a\\",[":"\\\\","b":"\\\\\\"{,{","c":"é🙂,"}',
  '["\\"","",""]',
])('%s', text => {
  expect(countValues(text)).toBe(counted(JSON.parse(text)))
})

test('what JSON.stringify writes', () => {
  const random = rng(7)
  const pick = (below: number): number => Math.floor(random() * below)
  const make = (depth: number): unknown => {
    const kind = pick(depth > 5 ? 4 : 6)
    if (kind === 0) return pick(1000)
    if (kind === 1) return '\\",[{'.repeat(pick(4))
    if (kind === 2) return []
    if (kind === 3) return {}
    const items = Array.from({ length: pick(5) }, () => make(depth + 1))
    return kind === 4 ? items : Object.fromEntries(items.map((item, at) => [`"${at},`, item]))
  }
  for (let round = 0; round < 500; round++) {
    const value = make(0)
    expect(countValues(JSON.stringify(value))).toBe(counted(value))
    expect(countValues(JSON.stringify(value, null, 2))).toBe(counted(value))
  }
})

test.each(['', '"', '"a\\', '"a\\"', '["\\\\\\"', '{"a":"', '[[[', ',', '}]', '"\\"\\"'])(
  'a text that was cut comes to an end: %s',
  text => {
    expect(countValues(text)).toBeLessThan(5)
  },
)

test('counting stops at the limit', () => {
  expect(countValues('['.repeat(10_000), 10)).toBe(11)
  expect(countValues('[1,2,3]', 4)).toBe(4)
  expect(countValues('[1,2,3]', 3)).toBe(4)
  expect(countValues('[{},{}]', 3)).toBe(3)
})

test('short texts are not counted, and strings do not count whatever they hold', () => {
  expect(hasMoreValues('['.repeat(1000), 10)).toBe(false)
  expect(hasMoreValues('['.repeat(100_000), 10)).toBe(true)
  expect(hasMoreValues(JSON.stringify('[,"'.repeat(1_000_000)), 10)).toBe(false)
})

test('a message of 32 MiB is counted in less than the time of its parsing', () => {
  for (const text of [
    `"${'\\"'.repeat(16e6)}"`,
    ' '.repeat(32e6),
    `[${'1'.repeat(32e6)}]`,
    '""'.repeat(16e6),
  ]) {
    const began = cpuMs()
    countValues(text, MAX_SERVER_VALUES)
    expect(cpuMs() - began).toBeLessThan(3000)
  }
})

test.each([
  ['{"jsonrpc":"2.0","id":7,"method":"x","params":{', '}}', '7'],
  ['{"id":"a b","params":{', '}}', '"a b"'],
  ['{ "method":"x", "jsonrpc":"2.0", "id" : -1 , "params":{', '}}', '-1'],
  ['{"method":"x","params":{', '},"id":8}', '8'],
  ['{"method":"x","params":{', '},"id":8,"jsonrpc":"2.0"}', '8'],
  ['{"method":"x","params":{', ',"id":8}}', undefined],
  ['{"params":{"id":1,"p":[', ']}}', undefined],
  ['[{"id":1,', '}]', undefined],
  ['[', ',{"a":1,"id":8}', undefined],
])('the id of a request that begins %s and ends %s', (head, tail, id) => {
  const error = new TooManyValues(`${head}${'"p":[{},{}],'.repeat(1000)}"q":1${tail}`)
  expect(error.id).toBe(id)
  expect(error.message).toContain(String(MAX_CLIENT_VALUES))
})
