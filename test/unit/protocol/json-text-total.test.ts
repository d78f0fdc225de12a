import { expect, test } from 'vitest'
import { inexactNumber } from '../../../src/protocol/inexact-number.ts'
import * as jsonText from '../../../src/protocol/json-text.ts'
import { JsonTextError } from '../../../src/protocol/json-text.ts'
import { rng } from '../../helpers/rng.ts'

/** Every function of the module ends on every text: with a value, or with an error of its own. */

/** A text that counts what is looked at in it, and ends a function that looks too often. */
class Counted extends String {
  #steps = 0

  #step(count: number): void {
    this.#steps += count
    if (this.#steps > 1000 + 100 * this.length) throw new Error('this does not end')
  }

  override charCodeAt(at: number): number {
    this.#step(1)
    return super.charCodeAt(at)
  }

  override indexOf(wanted: string, from = 0): number {
    const found = super.indexOf(wanted, from)
    this.#step(1 + Math.max(0, (found === -1 ? this.length : found) - from))
    return found
  }
}

type Random = (below: number) => number

const SCALARS = ['0', '-1.5e3', '12345678901234567890', 'true', 'null', '"a"', String.raw`"\u0061\\"`, '""']
const KEYS = ['"a"', '"_meta"', String.raw`"\u0061"`, '"a\\""', '""']
const PIECES = [...'{}[]",:\\ \n-1ae', '"a":', '\\"', 'null']
const pick = <T>(random: Random, list: readonly T[]): T => list[random(list.length)] as T

function value(random: Random, depth: number): string {
  const kind = depth > 0 ? random(4) : 0
  const items = Array.from({ length: kind === 0 ? 0 : random(4) }, () => value(random, depth - 1))
  if (kind === 1) return `[${items.join(', ')}]`
  if (kind === 2) return `{${items.map(item => `${pick(random, KEYS)} : ${item}`).join(',')}}`
  return pick(random, SCALARS)
}

/** A JSON text, as it is, cut, with characters in between, or none at all. */
function textOf(random: Random): string {
  const json = value(random, 4)
  const at = random(json.length + 1)
  switch (random(4)) {
    case 0:
      return json
    case 1:
      return json.slice(random(2) * at, at + 1)
    case 2:
      return json.slice(0, at) + pick(random, PIECES) + json.slice(at + random(3))
    default:
      return Array.from({ length: random(12) }, () => pick(random, PIECES)).join('')
  }
}

const positionIn = (random: Random, text: string): number => random(text.length + 3) - random(2)
const path = (random: Random): string[] =>
  Array.from({ length: random(4) }, () => pick(random, ['a', '_meta', '', 'x']))

const CALLS: Readonly<Record<string, (text: string, random: Random) => unknown>> = {
  skipSpace: (text, random) => jsonText.skipSpace(text, positionIn(random, text)),
  skipValue: (text, random) => jsonText.skipValue(text, positionIn(random, text)),
  isObjectAt: (text, random) => jsonText.isObjectAt(text, positionIn(random, text)),
  members: (text, random) => jsonText.members(text, random(2) * positionIn(random, text)),
  elements: (text, random) => jsonText.elements(text, random(2) * positionIn(random, text)),
  eachElement: (text, random) => {
    let left = random(4)
    jsonText.eachElement(text, random(2) * positionIn(random, text), () => --left !== 0)
  },
  find: text => jsonText.find(jsonText.members(text), 'a'),
  lastMembers: (text, random) => jsonText.lastMembers(text, random(2) * positionIn(random, text)),
  rawAt: (text, random) => jsonText.rawAt(text, ...path(random)),
  isDeeperThan: (text, random) => jsonText.isDeeperThan(text, random(4)),
  repeatedKey: text => jsonText.repeatedKey(text),
  inexactNumber: (text, random) => inexactNumber(text, random(3), text.length + random(3) - random(3)),
  splice: (text, random) =>
    jsonText.splice(
      text,
      Array.from({ length: random(3) }, () => ({
        start: positionIn(random, text),
        end: positionIn(random, text),
        text: 'x',
      })),
    ),
  withMembers: (text, random) =>
    jsonText.withMembers(text, { a: random(2) === 0 ? undefined : '1', _meta: '{}' }),
  onOneLine: text => jsonText.onOneLine(text),
}

test('every function that the module exports is called here', () => {
  const functions = Object.keys({ ...jsonText, inexactNumber }).filter(name => name !== 'JsonTextError')
  expect(Object.keys(CALLS).toSorted()).toEqual(functions.toSorted())
})

test.each(Object.keys(CALLS))('%s ends on whatever text it is given', name => {
  const call = CALLS[name] as (text: string, random: Random) => unknown
  for (let seed = 0; seed < 3000; seed++) {
    const next = rng(seed)
    const random: Random = below => Math.floor(next() * below)
    const text = textOf(random)
    try {
      call(new Counted(text) as unknown as string, random)
    } catch (error) {
      if (!(error instanceof JsonTextError))
        throw new Error(`seed ${seed}: ${name} of ${JSON.stringify(text)}`, { cause: error })
    }
  }
})

test.each(['"a"', '5', 'null', '[1]', '[]', '', ' ', '{', '{"a', '{"a"', '{"a" 1}', '{"a":', '{"a":}'])(
  'what has no members is refused: %s',
  text => {
    expect(() => jsonText.members(text)).toThrow(JsonTextError)
    expect(() => jsonText.lastMembers(text)).toThrow(JsonTextError)
    expect(() => jsonText.withMembers(text, { x: '1' })).toThrow(JsonTextError)
  },
)

test('an error says what is expected where', () => {
  expect(() => jsonText.members(' 5')).toThrow(
    'JSON text: an object is expected at position 1, and there is "5".',
  )
  expect(() => jsonText.elements('')).toThrow(
    'JSON text: an array is expected at position 0, and there is the end of the text.',
  )
})
