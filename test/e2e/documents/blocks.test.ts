import { expect, test } from 'vitest'
import { blocksOf, markOf, PAGES, textOfPage } from '../../helpers/documents.ts'
import { says } from '../../helpers/page-run.ts'
import { describeTypedPages } from './typed-pages.ts'

describeTypedPages('others')

test('the language of each block is known, so that no block of commands is left out', () => {
  const languages = ['', 'sh', 'json', 'jsonc', 'js', 'ts', 'text', 'toml', 'yaml', 'nginx', 'ini', 'http']
  for (const page of PAGES)
    for (const { language, line, text } of blocksOf(textOfPage(page))) {
      expect(languages, `${page}:${line}`).toContain(language)
      if (language === '' || language === 'text')
        expect(text, `${page}:${line} is a block of commands`).not.toMatch(
          /^\$ |^(?:npx )?mcp-manifold [a-z]+$/m,
        )
    }
})

test('what is not run says what it needs or changes', () => {
  const reasons = PAGES.flatMap(page =>
    blocksOf(textOfPage(page)).flatMap(block => {
      const reason = markOf(block, 'not run')
      return reason === undefined ? [] : [`${page}:${block.line}: ${reason}`]
    }),
  )
  expect(reasons.filter(reason => !/: (?:needs|changes|installs) [\w ,.]{3,}$/.test(reason))).toEqual([])
  expect(reasons.length).toBeLessThan(40)
})

test('marks are spelled as the runner reads them', () => {
  const known = /^(?:not run: |needs: |file: |ends with: \d+$|at a terminal$|at a terminal: )/
  for (const page of PAGES)
    for (const block of blocksOf(textOfPage(page)))
      for (const mark of block.marks)
        if (block.language === 'sh') expect(mark, `${page}:${block.line}`).toMatch(known)
})

test('an output is the same apart from durations, moments and what the page leaves out', () => {
  expect(says('a  1.2 s\n', 'a 14 s\n')).toBe(true)
  expect(says('a 2026-11-28 10:00\n', 'a  2027-01-02 03:04\n')).toBe(true)
  expect(says('…\nlast\n', 'first\nsecond\nlast\n')).toBe(true)
  expect(says('{"age":…,"n":1}\n', '{"age":17,"n":1}\n')).toBe(true)
  expect(says('two\n', 'Calling …\ntwo\n')).toBe(true)
  expect(says('two\n', 'one\ntwo\n')).toBe(false)
  expect(says('2 tools\n', '3 tools\n')).toBe(false)
  expect(says('a.b\n', 'axb\n')).toBe(false)
})
