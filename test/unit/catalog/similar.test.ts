import { expect, test } from 'vitest'
import { listed as entryOf, type Listed } from '../../../src/catalog/listed.ts'
import { similarNames } from '../../../src/catalog/similar.ts'

const listed = (...names: string[]): Listed[] =>
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

test('a name costs little, however many tools there are', () => {
  const many = listed(...Array.from({ length: 50_000 }, (_, at) => `s__${'a'.repeat(60)}${at}`))
  const start = performance.now()
  similarNames('s__' + 'a'.repeat(62), many)
  expect(performance.now() - start).toBeLessThan(3000)
})
