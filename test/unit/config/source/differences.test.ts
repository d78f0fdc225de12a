import { expect, test } from 'vitest'
import { isSame } from '../../../../src/config/source/differences.ts'

test('a member with the name of what every object has is a difference', () => {
  for (const name of ['constructor', 'toString', '__proto__']) {
    const value = JSON.parse(`{ "${name}": { "a": 1 } }`) as object
    expect(isSame({}, value)).toBe(false)
    expect(isSame(value, {})).toBe(false)
    expect(isSame(value, JSON.parse(`{ "${name}": { "a": 1 } }`))).toBe(true)
  }
})

test('a key without a value says the same as none', () => {
  expect(isSame({ a: undefined, b: 1 }, { b: 1 })).toBe(true)
  expect(isSame({ b: 1 }, { a: undefined, b: 1 })).toBe(true)
})
