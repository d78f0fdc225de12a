import { describe, expect, test } from 'vitest'
import {
  elements,
  find,
  members,
  onOneLine,
  rawAt,
  skipSpace,
  skipValue,
  splice,
  withMembers,
} from '../../../src/protocol/json-text.ts'

/** Random JSON texts come from numbered seeds, so that a failure names the one that shows it again. */
const SEEDS = 300

function forEachSeed(check: (random: Random) => void): void {
  for (let seed = 0; seed < SEEDS; seed++) {
    try {
      check(randomFrom(seed))
    } catch (error) {
      throw new Error(`seed ${seed}`, { cause: error })
    }
  }
}

type Random = (below: number) => number

/** Numbers from 0 up to, not including, `below`; the same for the same seed (mulberry32). */
function randomFrom(seed: number): Random {
  let state = seed + 1
  return below => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below
  }
}

const SPACES = ['', '', '', ' ', '\t', '\n', '\r\n', '  \n\t ']
const PIECES = ['a', 'é', '日', '😀', '{', '}', '[', ']', ',', ':', ' ', '/', String.raw`\"`, String.raw`\\`]
const ESCAPES = [
  '\\/',
  '\\b',
  '\\n',
  '\\u0061',
  '\\u0000',
  '\\ud83d',
  '\\uDE00',
  '\\u2028',
  '\\\\\\"',
  '\u2028',
]
const SCALARS = [
  '0',
  '-0',
  '1.0',
  '1E+2',
  '1e400',
  '12345678901234567890',
  '-0.5e-7',
  'true',
  'false',
  'null',
]
const KEYS = [
  '"a"',
  '"1"',
  '"2"',
  '"__proto__"',
  '"constructor"',
  '""',
  String.raw`"\u0061"`,
  String.raw`"\""`,
]

const space = (random: Random): string => SPACES[random(SPACES.length)] ?? ''
const oneOf = (random: Random, list: readonly string[]): string => list[random(list.length)] ?? ''

function randomString(random: Random): string {
  let text = ''
  for (let left = random(6); left > 0; left--) text += oneOf(random, random(3) === 0 ? ESCAPES : PIECES)
  return `"${text}"`
}

/** A member as it was put together: what the code under test should find. */
interface Part {
  readonly rawKey: string
  /** From the colon, spaces around it included, to the value. */
  readonly colon: string
  readonly value: string
}

function randomParts(random: Random, depth: number): Part[] {
  return Array.from({ length: random(5) }, () => ({
    rawKey: random(2) === 0 ? oneOf(random, KEYS) : randomString(random),
    colon: `${space(random)}:${space(random)}`,
    value: randomValue(random, depth),
  }))
}

const joined = (random: Random, items: readonly string[]): string =>
  items.map(item => space(random) + item + space(random)).join(',') +
  (items.length === 0 ? space(random) : '')

const objectText = (random: Random, parts: readonly Part[]): string =>
  `{${joined(
    random,
    parts.map(({ rawKey, colon, value }) => rawKey + colon + value),
  )}}`

function randomValue(random: Random, depth: number): string {
  const kind = depth > 0 ? random(4) : random(2)
  if (kind === 0) return oneOf(random, SCALARS)
  if (kind === 1) return randomString(random)
  if (kind === 2) return objectText(random, randomParts(random, depth - 1))
  return `[${joined(
    random,
    Array.from({ length: random(4) }, () => randomValue(random, depth - 1)),
  )}]`
}

const parsed = (text: string): unknown => JSON.parse(text) as unknown

describe('spans', () => {
  test('of members are those of JSON.parse', () => {
    forEachSeed(random => {
      const parts = randomParts(random, 4)
      // In two-byte texts V8 of Node 24.21 can take the second of two equal keys with an escaped quote for another key.
      if (parts.filter(({ rawKey }) => rawKey.includes('\\"')).length > 1) return
      const before = space(random)
      const text = before + objectText(random, parts) + space(random)
      const list = members(text)
      expect(list.map(({ key }) => key)).toEqual(parts.map(({ rawKey }) => parsed(rawKey)))
      expect(list.map(({ start, end }) => text.slice(start, end))).toEqual(parts.map(({ value }) => value))
      expect(list.map(({ keyStart, end }) => text.slice(keyStart, end))).toEqual(
        parts.map(({ rawKey, colon, value }) => rawKey + colon + value),
      )
      const value = parsed(text) as Record<string, unknown>
      // The last of several members of one name is the one that JSON.parse takes.
      for (const key of Object.keys(value)) {
        const member = find(list, key)
        expect(parsed(text.slice(member?.start, member?.end))).toEqual(
          Object.getOwnPropertyDescriptor(value, key)?.value,
        )
        expect(rawAt(text, key)).toBe(text.slice(member?.start, member?.end))
      }
      expect(skipValue(text, skipSpace(text, 0))).toBe(text.trimEnd().length)
    })
  })

  test('of elements are those of JSON.parse', () => {
    forEachSeed(random => {
      const items = Array.from({ length: random(6) }, () => randomValue(random, 4))
      const text = `${space(random)}[${joined(random, items)}]${space(random)}`
      expect(elements(text).map(({ start, end }) => text.slice(start, end))).toEqual(items)
      expect(items.map(parsed)).toEqual(parsed(text))
    })
  })

  test('inside a larger text, at an offset', () => {
    const text = '{"a":[1, {"b" : "x"} ],"c":{}}'
    const [a, c] = members(text)
    const [, second] = elements(text, a?.start)
    expect(text.slice(second?.start, second?.end)).toBe('{"b" : "x"}')
    expect(members(text, second?.start).map(({ key }) => key)).toEqual(['b'])
    expect(members(text, c?.start)).toEqual([])
  })

  test('nesting may be deeper than a call stack', () => {
    const deep = '{"a":['.repeat(100_000) + ']}'.repeat(100_000)
    expect(skipValue(deep, 0)).toBe(deep.length)
    expect(members(deep)).toHaveLength(1)
  })

  test('a string of backslashes ends where it ends', () => {
    for (let pairs = 0; pairs < 6; pairs++) {
      const text = `{"a":"${'\\\\'.repeat(pairs)}","b":"${'\\\\'.repeat(pairs)}\\"","c":1}`
      expect(members(text).map(({ key }) => key)).toEqual(Object.keys(parsed(text) as object))
    }
  })

  test('a scalar ends at the end of the text', () => {
    expect(skipValue('-1.0e5', 0)).toBe(6)
    expect(skipValue('null \n', 0)).toBe(4)
  })
})

describe('rawAt', () => {
  const text = '{ "a" : { "b" : [ 1.0 ] , "n" : null, "n" : 1e400 } }'

  test('gives the text of a value at a path', () => {
    expect(rawAt(text, 'a', 'b')).toBe('[ 1.0 ]')
    expect(rawAt(text, 'a', 'n')).toBe('1e400')
    expect(rawAt(text)).toBe(text)
  })

  test('gives nothing where there is nothing', () => {
    expect(rawAt(text, 'x')).toBeUndefined()
    expect(rawAt(text, 'a', 'b', '0')).toBeUndefined()
    expect(rawAt(text, 'a', 'n', 'x')).toBeUndefined()
    expect(rawAt(text, 'toString')).toBeUndefined()
  })
})

describe('splice', () => {
  test('replaces values and keeps every other byte', () => {
    forEachSeed(random => {
      const text = objectText(random, randomParts(random, 3))
      const list = members(text)
      const chosen = list
        .filter(() => random(2) === 0)
        .map(({ start, end }) => ({ start, end, text: `<${start}>` }))
      // Any order will do.
      const changed = splice(text, random(2) === 0 ? chosen : chosen.toReversed())
      let expected = text
      for (const { start, end, text: by } of chosen.toReversed())
        expected = expected.slice(0, start) + by + expected.slice(end)
      expect(changed).toBe(expected)
    })
  })

  test('inserts where nothing is replaced', () => {
    expect(splice('{}', [{ start: 1, end: 1, text: '"a":1' }])).toBe('{"a":1}')
    expect(splice('{}', [])).toBe('{}')
  })
})

describe('withMembers', () => {
  test('changes what it is given, and no byte of any other member', () => {
    forEachSeed(random => {
      const parts = randomParts(random, 3)
      const text = objectText(random, parts)
      const changes: Record<string, string | undefined> = {}
      for (const key of ['a', '1', 'constructor', 'new'])
        if (random(2) === 0) changes[key] = random(2) === 0 ? undefined : oneOf(random, SCALARS)
      const changed = withMembers(text, changes)

      const isChanged = (part: Part): boolean => Object.hasOwn(changes, parsed(part.rawKey) as string)
      const untouched = parts
        .filter(part => !isChanged(part))
        .map(({ rawKey, colon, value }) => rawKey + colon + value)
      const found = members(changed)
      expect(
        found
          .filter(({ key }) => !Object.hasOwn(changes, key))
          .map(({ keyStart, end }) => changed.slice(keyStart, end)),
      ).toEqual(untouched)
      for (const [key, value] of Object.entries(changes)) {
        const now = found
          .filter(member => member.key === key)
          .map(({ start, end }) => changed.slice(start, end))
        expect(now).toEqual(value === undefined ? [] : [value])
      }
      expect(parsed(changed)).toBeTypeOf('object')
      // Where nothing stands to be replaced or removed, all that happens is an insertion.
      if (!parts.some(isChanged)) {
        const added = Object.entries(changes).flatMap(([key, value]) =>
          value === undefined ? [] : [`"${key}":${value}`],
        )
        const comma = added.length > 0 && parts.length > 0 ? ',' : ''
        expect(changed).toBe(`{${added.join(',')}${comma}${text.slice(1)}`)
      }
    })
  })

  test('a replaced member stays in its place, a new one comes first', () => {
    expect(withMembers('{"a":1,"b":2,"c":3}', { b: '2.0', new: 'null' })).toBe(
      '{"new":null,"a":1,"b":2.0,"c":3}',
    )
  })

  test('of a member that stands twice one is left', () => {
    expect(withMembers('{"a":1,"b":2,"a":3}', { a: '4' })).toBe('{"a":4,"b":2}')
    expect(withMembers('{"a":1,"b":2,"a":3}', { a: undefined })).toBe('{"b":2}')
  })

  test('a member is known by its name, not by how that is written', () => {
    expect(withMembers(String.raw`{"\u0061":1}`, { a: '2' })).toBe(String.raw`{"\u0061":2}`)
  })

  test('the text itself comes back when there is nothing to do', () => {
    expect(withMembers(' { "a" : 1 } ', { b: undefined })).toBe(' { "a" : 1 } ')
  })
})

describe('onOneLine', () => {
  test('turns line breaks between tokens into spaces, one for one', () => {
    expect(onOneLine('{\r\n"a":\n"\\n"}')).toBe('{  "a": "\\n"}')
  })

  test('changes nothing else', () => {
    const text = '{\t"a" : "\u2028\u2029\u0085"}'
    expect(onOneLine(text)).toBe(text)
  })
})
