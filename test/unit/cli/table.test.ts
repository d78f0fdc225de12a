import { afterEach, expect, test } from 'vitest'
import { alignColumns, tableLines } from '../../../src/cli/table.ts'

const { isTTY, columns } = process.stdout
afterEach(() => {
  Object.assign(process.stdout, { isTTY, columns })
})

test('columns are as wide as their widest cell, and nothing trails', () => {
  const rows = [
    ['a', 'bb', ''],
    ['ccc', 'd', 'e'],
  ]
  expect(alignColumns(rows)).toEqual(['  a    bb', '  ccc  d   e'])
  expect(tableLines(rows)).toEqual(['a    bb', 'ccc  d   e'])
})

test('characters that steer a terminal are not passed on', () => {
  expect(alignColumns([['\u001b[2Jname\n', '\u202eb']])).toEqual(['   [2Jname    b'])
})

test('at a terminal, the last column of a table is cut to its width, and an aligned one is whole', () => {
  Object.assign(process.stdout, { isTTY: true, columns: 30 })
  const rows = [['name', 'x'.repeat(50)]]
  expect(tableLines(rows)).toEqual([`name  ${'x'.repeat(23)}…`])
  expect(alignColumns(rows)).toEqual([`  name  ${'x'.repeat(50)}`])
})

test('at a narrow terminal, the widest columns are cut first, and none below a dozen characters', () => {
  const rows = [['name', 'y'.repeat(40), 'x'.repeat(60)]]
  Object.assign(process.stdout, { isTTY: true, columns: 60 })
  const [line = ''] = tableLines(rows)
  expect(line).toHaveLength(60)
  expect(line).toMatch(/^name {2}y{31}… {2}x{19}…$/)
  Object.assign(process.stdout, { columns: 10 })
  expect(tableLines(rows)).toEqual([`name  ${'y'.repeat(11)}…  ${'x'.repeat(11)}…`])
})
