import { describe, expect, test } from 'vitest'
import {
  NotEditable,
  NotReadable,
  type Format,
  type EntrySection,
} from '../../src/client-files/formats/format.ts'

/** What a text looks like in one format, for the contract. */
export interface FormatSamples {
  readonly format: Format
  readonly section: EntrySection
  /** Texts with the entries `a` and `b`, in every way that is written; by name. */
  readonly texts: Readonly<Record<string, string>>
  /** Texts without any entry. */
  readonly empty: Readonly<Record<string, string>>
  /** Texts that can be read, but not changed. */
  readonly fixed: Readonly<Record<string, string>>
  /** Texts that cannot be read, and what is said of them. */
  readonly broken: Readonly<Record<string, readonly [text: string, said: RegExp]>>
}

const ENTRY = {
  name: 'gw',
  value: {
    command: '/opt/node 20/bin/node',
    args: ['-y', 'mcp-manifold', 'C:\\Users\\a "b"', ''],
    env: { PATH: '/bin:/usr/bin' },
  },
}
const MARK = '\uFEFF'

/** What every format does, whatever it looks like. */
export function describeFormat(name: string, samples: FormatSamples): void {
  const { format, section } = samples
  const names = (text: string): string[] => format.entries(text, section).map(entry => entry.name)
  const variants = (texts: Readonly<Record<string, string>>): [string, string][] =>
    Object.entries(texts).flatMap(([title, text]): [string, string][] => [
      [title, text],
      [`${title}, CRLF`, text.replaceAll('\n', '\r\n')],
      [`${title}, with a byte order mark`, MARK + text],
      [`${title}, without a line break at its end`, text.replace(/\n$/, '')],
    ])

  describe(name, () => {
    test.each(variants(samples.texts))('%s: an entry is added, and removed to the byte', (_, text) => {
      expect(names(text).sort()).toEqual(['a', 'b'])
      const { text: edited, piece } = format.insert(text, section, ENTRY)
      expect(names(edited).sort()).toEqual(['a', 'b', 'gw'])
      expect(format.entries(edited, section).find(entry => entry.name === 'gw')?.value).toEqual(ENTRY.value)
      const at = edited.indexOf(piece)
      expect(edited.slice(0, at) + edited.slice(at + piece.length)).toBe(text)
      expect(format.remove(edited, section, ['gw'], piece)).toBe(text)
      expect(piece.replaceAll('\r\n', '').includes(text.includes('\r\n') ? '\n' : '\r')).toBe(false)
    })

    test.each(variants(samples.texts))('%s: an entry is removed, and the others stay', (_, text) => {
      const others = format.entries(text, section).filter(entry => entry.name !== 'a')
      expect(format.entries(format.remove(text, section, ['a']), section)).toEqual(others)
      expect(format.entries(format.remove(text, section, ['a', 'b']), section)).toEqual([])
      expect(format.remove(text, section, ['c'])).toBe(text)
    })

    test.each(variants(samples.texts))(
      '%s: an entry that was inserted is removed without its piece',
      (_, text) => {
        const { text: edited } = format.insert(text, section, ENTRY)
        const entries = format.entries(format.remove(edited, section, ['gw'], 'something else'), section)
        expect(entries).toEqual(format.entries(text, section))
      },
    )

    test.each(variants(samples.texts))('%s: entries are replaced by one', (_, text) => {
      const { text: edited } = format.insert(text, section, ENTRY)
      const replaced = format.remove(edited, section, ['a', 'b'])
      expect(format.entries(replaced, section)).toEqual([ENTRY])
    })

    test.each(variants(samples.empty))('%s: the first entry is added, and removed to the byte', (_, text) => {
      expect(names(text)).toEqual([])
      const { text: edited, piece } = format.insert(text, section, ENTRY)
      expect(format.entries(edited, section)).toEqual([ENTRY])
      expect(format.remove(edited, section, ['gw'], piece)).toBe(text)
    })

    test.each(Object.entries(samples.fixed))('%s: is not changed, and the error says so', (_, text) => {
      expect(() => format.insert(text, section, ENTRY)).toThrow(NotEditable)
    })

    test.each(Object.entries(samples.broken))(
      '%s: is broken, and the error says where',
      (_, [text, said]) => {
        expect(() => format.entries(text, section)).toThrow(NotReadable)
        expect(() => format.insert(text, section, ENTRY)).toThrow(said)
      },
    )

    test('an entry that is there is not added again', () => {
      const text = format.insert('', section, ENTRY).text
      expect(() => format.insert(text, section, ENTRY)).toThrow('has an entry "gw" already')
    })

    test('what is to be pasted says the same', () => {
      expect(format.entries(`${format.snippet(section, ENTRY)}\n`, section)).toEqual([ENTRY])
    })
  })
}
