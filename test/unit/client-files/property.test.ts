import { expect, test } from 'vitest'
import { NotEditable, type Format } from '../../../src/client-files/formats/format.ts'
import { JSONC } from '../../../src/client-files/formats/jsonc.ts'
import { TOML } from '../../../src/client-files/formats/toml.ts'
import { YAML } from '../../../src/client-files/formats/yaml.ts'
import { rng } from '../../helpers/rng.ts'
import { randomJsonc, randomToml, randomYaml, type Piece, type RandomText } from './random-texts.ts'

/** Outside of the entry that is added or removed, not one byte of any text differs. */

const TEXTS = 800
/** Of all texts, so many may be refused. */
const REFUSED = 0.01

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
    const made = make(rng(seed))
    const { text, section, names, pieces } = made
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
      // Entries are taken out with the comments that belong to them, and nothing else is.
      for (const gone of [names, names.slice(0, 1), names.slice(1)]) {
        const replaced = format.remove(edited, section, gone)
        const said = `${about}\n- ${gone.join(', ')} ->\n${replaced}`
        const own = pieces.filter(({ name }) => gone.includes(name))
        expect(squeezed(replaced).replace(squeezed(piece), ''), said).toBe(squeezed(without(text, own)))
        if (own.length === 0) continue
        const head = text.slice(0, Math.min(at, ...own.map(({ from }) => from))).trimEnd()
        const rest = text.slice(Math.max(at, ...own.map(({ to }) => to))).trimStart()
        expect(replaced.slice(0, head.length), said).toBe(head)
        expect(replaced.slice(replaced.length - rest.length), said).toBe(rest)
      }
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

function without(text: string, pieces: readonly Piece[]): string {
  return pieces.toReversed().reduce((rest, { from, to }) => rest.slice(0, from) + rest.slice(to), text)
}

/** Without blanks, line ends and commas: they may go with an entry. */
function squeezed(text: string): string {
  return text.replace(/[\s,]/g, '')
}
