import { expect, test } from 'vitest'
import { alignColumns } from '../../../src/cli/columns.ts'

test('columns are as wide as their widest cell, and nothing trails', () => {
  expect(
    alignColumns([
      ['a', 'bb', ''],
      ['ccc', 'd', 'e'],
    ]),
  ).toEqual(['  a    bb', '  ccc  d   e'])
})

test('characters that steer a terminal are not passed on', () => {
  expect(alignColumns([['\u001b[2Jname\n']])).toEqual(['  ?[2Jname?'])
})
