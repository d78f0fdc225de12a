import { expect, test } from 'vitest'
import { foldCase, KnownNames, likePair } from '../../../src/core/fold-case.ts'

test.each([
  ['name', 'NAME'],
  ['task', 'ta\u017fk'],
  ['task', 'TAS\u212a'],
  ['straße', 'STRASSE'],
  ['σς', 'ΣΣ'],
  ['ångström', '\u212bNGSTRÖM'],
  // Java and .NET.
  ['uri', 'UR\u0130'],
  ['uri', 'ur\u0131'],
  // What UTF-8 makes of either.
  ['a\ud800', 'a\udfff'],
])('%s and %s are one name to some readers', (a, b) => {
  expect(foldCase(a)).toBe(foldCase(b))
})

test.each([
  ['name', 'n\u0430me'],
  ['name', '\uff4eame'],
  ['na_me', 'name'],
  ['a\ud83d\ude00', 'a\ufffd'],
])('%s and %s are two names', (a, b) => {
  expect(foldCase(a)).not.toBe(foldCase(b))
})

test('known names and their variants are distinguished', () => {
  const known = new KnownNames(['name', 'taskId'])
  expect(known.has('name')).toBe(true)
  expect(known.variantOf('name')).toBeUndefined()
  expect(known.variantOf('Name')).toBe('name')
  expect(known.variantOf('tas\u212aid')).toBe('taskId')
  expect(known.variantOf('other')).toBeUndefined()
  expect(known.resembles('NAME')).toBe(true)
  expect(likePair(['a', 'b', 'B'])).toEqual(['b', 'B'])
  expect(likePair(['a', 'b'])).toBeUndefined()
})
