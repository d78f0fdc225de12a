import { expect, test } from 'vitest'
import { wrongBracket } from '../../../../src/config/load/brackets.ts'
import { otherFormat } from '../../../../src/config/load/other-formats.ts'
import { cpuMs } from '../../../helpers/running-time.ts'

function timed<T>(work: () => T): { readonly ms: number; readonly found: T } {
  const started = cpuMs()
  const found = work()
  return { ms: cpuMs() - started, found }
}

test('lines of blanks in YAML are read in linear time', () => {
  const { ms, found } = timed(() =>
    otherFormat(`servers:\n${`${' '.repeat(900)}x\n`.repeat(2000)}  "my server": 1\n`, 'a'),
  )
  expect(found).toContain('"my server": {')
  expect(ms).toBeLessThan(3000)
})

test('a line of many brackets behind a long indent is read in linear time', () => {
  const { ms, found } = timed(() => wrongBracket(`${' '.repeat(200_000)}${'[]'.repeat(20_000)}[`))
  expect(found?.cause).toContain('"[" at line 1, column 240001')
  expect(ms).toBeLessThan(3000)
})
