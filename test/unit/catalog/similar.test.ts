import { expect, test } from 'vitest'
import { catalogEntry as entryOf, type CatalogEntry } from '../../../src/catalog/catalog-entry.ts'
import { similarNames } from '../../../src/catalog/similar.ts'
import { cpuMs } from '../../helpers/running-time.ts'

const listed = (...names: string[]): CatalogEntry[] =>
  names.map(exposed => {
    const [server = '', own = ''] = exposed.split('__')
    return entryOf('tools', server, { key: own, text: '{}' }, exposed, false)
  })

const TOOLS = listed('files__read_file', 'files__write_file', 'web__search', 'mail__search', 'mail__send')

test.each([
  ['files__read_fil', ['files__read_file']],
  ['files__readFile', ['files__read_file']],
  ['files__raed_file', ['files__read_file']],
  ['filesystem__read_file', ['files__read_file']],
  ['read_files', ['files__read_file']],
  ['search', ['web__search', 'mail__search']],
  ['google__search', ['web__search', 'mail__search']],
  ['mail__sned', ['mail__send']],
  ['weather', []],
  ['', []],
  ['x'.repeat(10_000), []],
])('%s was meant for %j', (name, meant) => {
  expect(similarNames(name, TOOLS)).toEqual(meant)
})

test.each([
  // As long as a name may be, each pair alike in all its characters and in most of their order.
  ['of the same characters', (at: number) => 'ab'.repeat(50) + 'ba'.repeat(12) + String(at).padStart(4, '0')],
  ['of 60 characters', (at: number) => 'a'.repeat(60) + at],
  ['of many characters', (at: number) => 'x'.repeat(10_000) + at],
])('a name costs little, however many tools there are with names %s', (_what, name) => {
  const many = listed(...Array.from({ length: 50_000 }, (_, at) => `s__${name(at % 2000)}`))
  const search = (): number => {
    const start = cpuMs()
    for (const sought of ['ab'.repeat(64), 's__' + 'a'.repeat(62), 'ab'.repeat(58) + '0123'])
      similarNames(sought, many)
    return (cpuMs() - start) / 3
  }
  expect(Math.min(...Array.from({ length: 10 }, search))).toBeLessThan(20)
})

test('the nearest of many names that are alike in their characters is found', () => {
  const many = listed(...Array.from({ length: 1500 }, (_, at) => `s__list_things_${at}`), 's__create_issue')
  expect(similarNames('s__craete_isue', many)).toEqual(['s__create_issue'])
  expect(similarNames('s__lst_thinsg_99', many)[0]).toBe('s__list_things_99')
})
