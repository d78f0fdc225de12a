import { expect, test } from 'vitest'
import { NotEditable, type Format } from '../../../src/client-files/formats/format.ts'
import { JSONC } from '../../../src/client-files/formats/jsonc.ts'
import { TOML } from '../../../src/client-files/formats/toml.ts'
import { YAML } from '../../../src/client-files/formats/yaml.ts'
import { rng } from '../../helpers/rng.ts'
import { randomJsonc, randomToml, randomYaml, type RandomText } from './random-texts.ts'

/** Outside of the entry that is added or removed, not one byte of any text differs. */

const TEXTS = 1200
/** Of all texts, so many may be refused. */
const REFUSED = 0.02

const ENTRY = {
  name: 'gw',
  value: { command: '/usr/bin/node', args: ['x.js', '--config', 'C:\\a b'], env: { A: '"' } },
}

test.each<[string, Format, (random: () => number) => RandomText]>([
  ['JSON with comments', JSONC, randomJsonc],
  ['TOML', TOML, randomToml],
  ['YAML', YAML, randomYaml],
])('%s', { timeout: 120_000 }, (_, format, make) => {
  let refused = 0
  for (let seed = 0; seed < TEXTS; seed++) {
    const { text, section, names } = make(rng(seed))
    const about = `seed ${seed}:\n${text}`
    const before = format.entries(text, section)
    expect(before.map(({ name }) => name).sort(), about).toEqual([...names].sort())
    try {
      const { text: edited, piece } = format.insert(text, section, ENTRY)
      // One piece was put in, and all else is as it was.
      let at = 0
      while (at < text.length && text[at] === edited[at]) at++
      const tail = text.length - at
      expect(edited.length, about).toBe(text.length + piece.length)
      expect(edited.slice(edited.length - tail), about).toBe(text.slice(at))
      expect(piece.match(/comment \d/), about).toBeNull()
      expect(format.remove(edited, section, ['gw'], piece), about).toBe(text)
      // Without the memory of what was put in, the same entries and the same comments are left.
      const removed = format.remove(edited, section, ['gw'])
      expect(format.entries(removed, section), about).toEqual(before)
      expect(commentsOf(removed), about).toEqual(commentsOf(text))
      // The entries that were there are replaced: lines are taken out, and no other is changed.
      const replaced = format.remove(edited, section, names)
      expect(format.entries(replaced, section), about).toEqual([ENTRY])
      expect(isThinned(edited, replaced), `${about}\n->\n${replaced}`).toBe(true)
    } catch (error) {
      if (!(error instanceof NotEditable)) throw error
      refused++
    }
  }
  expect(refused).toBeLessThan(TEXTS * REFUSED)
})

function commentsOf(text: string): string[] {
  return text.match(/comment \d+/g) ?? []
}

/** Whether a text is another one of which characters were taken out, commas and an empty section apart. */
function isThinned(from: string, to: string): boolean {
  let at = 0
  for (const character of to) {
    const next = from.indexOf(character, at)
    if (next < 0) return false
    at = next + 1
  }
  return true
}
