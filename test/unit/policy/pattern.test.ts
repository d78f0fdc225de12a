import { describe, expect, it } from 'vitest'
import { ITEM_KINDS } from '../../../src/core/route.ts'
import {
  compilePattern,
  compilePatterns,
  confusedNames,
  matches,
  patternProblem,
  wildcard,
} from '../../../src/policy/pattern.ts'
import { cpuMs } from '../../helpers/running-time.ts'

describe('a pattern', () => {
  it.each([
    ['a/b', 'tool', 'a', 'b', true],
    ['a/b', 'prompt', 'a', 'b', true],
    ['a/b', 'resource', 'a', 'b', true],
    ['a/b', 'tool', 'a', 'c', false],
    ['a/b', 'tool', 'A', 'b', false],
    ['tool:a/b', 'tool', 'a', 'b', true],
    ['tool:a/b', 'prompt', 'a', 'b', false],
    ['prompt:*/x*', 'prompt', 'any', 'xyz', true],
    ['*/delete_*', 'tool', 'files', 'delete_all', true],
    ['*/delete_*', 'tool', 'files', 'undelete_all', false],
    ['a/*', 'tool', 'ab', 'x', false],
    ['a?/*', 'tool', 'ab', 'x', true],
    // The server part ends at the first slash; names have as many as they like.
    ['a/file:///x/*', 'resource', 'a', 'file:///x/y/z', true],
    ['resource:a/*', 'resource', 'a', 'file:///x/.hidden', true],
    ['*/*', 'tool', 'a', '.dot', true],
    ['a/', 'tool', 'a', '', true],
    // Nothing but the two wildcards is special.
    ['a/{x,y}', 'tool', 'a', 'x', false],
    ['a/{x,y}', 'tool', 'a', '{x,y}', true],
    ['a/[xy]', 'tool', 'a', 'x', false],
    ['a/!x', 'tool', 'a', 'y', false],
    ['a/+(x)', 'tool', 'a', 'xx', false],
    ['a/x.y', 'tool', 'a', 'x-y', false],
    ['a/x\\*', 'tool', 'a', 'x\\1', true],
    ['a/**', 'tool', 'a', 'b/c', true],
  ] as const)('%s of %s %s/%s: %s', (text, kind, server, name, expected) => {
    expect(patternProblem(text)).toBeUndefined()
    expect(matches(compilePattern(text), kind, server, name)).toBe(expected)
  })

  it.each([
    ['*', 'Write "*/*" for everything.'],
    ['tool:*', 'Write "tool:*/*" for everything.'],
    ['search', 'Write "search/*" for a server, or "*/search" for a name of any server.'],
    ['prompt:x', 'Write "prompt:x/*" for a server, or "prompt:*/x" for a name of any server.'],
    ['', 'Write "*/*" for everything.'],
  ])('%o names no server', (text, fix) => {
    expect(patternProblem(text)).toEqual({ cause: expect.stringContaining('names no server') as string, fix })
  })

  it('of an unknown kind is none', () => {
    expect(patternProblem('tools:a/b')?.cause).toBe('has the unknown kind "tools"')
    // Behind the slash a colon is just a character.
    expect(patternProblem('a/b:c')).toBeUndefined()
    expect(ITEM_KINDS.map(kind => patternProblem(`${kind}:a/b`))).toEqual([undefined, undefined, undefined])
  })
})

describe('wildcards', () => {
  /** What the matcher must be equal to, as the definition says it. */
  const reference = (glob: string, text: string): boolean => {
    if (glob === '') return text === ''
    if (glob[0] === '*')
      return reference(glob.slice(1), text) || (text !== '' && reference(glob, text.slice(1)))
    return text !== '' && (glob[0] === '?' || glob[0] === text[0]) && reference(glob.slice(1), text.slice(1))
  }

  it('match as defined, whatever the glob', () => {
    let seed = 7
    const random = (below: number): number => (seed = (seed * 48271) % 2147483647) % below
    const word = (letters: string, most: number): string =>
      Array.from({ length: random(most) }, () => letters[random(letters.length)]).join('')
    let matched = 0
    for (let round = 0; round < 20_000; round++) {
      const glob = word('ab*?', 8)
      const text = word('ab', 8)
      const expected = reference(glob, text)
      if (expected) matched++
      expect(wildcard(glob)(text), `${glob} on ${text}`).toBe(expected)
    }
    expect(matched).toBeGreaterThan(1000)
  })

  it.each(['*a*a*a*a*b', '*a?*a?*a?*a?*b', '*?*?*?*?b', `${'*a'.repeat(100)}*b`])(
    '%s takes no time on a long text that does not match',
    glob => {
      const test = wildcard(glob)
      const text = 'a'.repeat(200_000)
      const started = cpuMs()
      expect(test(text)).toBe(false)
      expect(cpuMs() - started).toBeLessThan(5000)
    },
  )
})

describe('a pattern of a server with an odd name', () => {
  const servers = ['github', 'io.github.owner/server', 'a/b/c', 'tool:x', 'my:server']
  const about = (text: string, server: string, name: string, kind: 'tool' | 'prompt' = 'tool'): boolean =>
    compilePatterns(text, servers).some(pattern => matches(pattern, kind, server, name))

  it.each([
    ['io.github.owner/server/*', 'io.github.owner/server', 'any'],
    ['io.github.owner/server/delete_*', 'io.github.owner/server', 'delete_all'],
    ['tool:io.github.owner/server/x', 'io.github.owner/server', 'x'],
    ['io.github.*/x', 'io.github.owner/server', 'x'],
    ['a/b/c/d/e', 'a/b/c', 'd/e'],
    ['tool:x/*', 'tool:x', 'any'],
    ['tool:tool:x/y', 'tool:x', 'y'],
    ['my:server/y', 'my:server', 'y'],
    ['*/y', 'a/b/c', 'y'],
  ])('%s is about %s and its %s', (text, server, name) => {
    expect(patternProblem(text, servers)).toBeUndefined()
    expect(about(text, server, name)).toBe(true)
  })

  it('is about no other one', () => {
    expect(about('io.github.owner/server/x', 'io.github.owner/server', 'y')).toBe(false)
    expect(about('tool:io.github.owner/server/x', 'io.github.owner/server', 'x', 'prompt')).toBe(false)
    expect(about('github/*', 'io.github.owner/server', 'x')).toBe(false)
    expect(about('a/*', 'a/b/c', 'x')).toBe(false)
    expect(compilePatterns('files/file:///a/b/c', ['files'])).toHaveLength(1)
  })

  it('could not tell some servers apart', () => {
    const names = ['a', 'a/b', 'a/b/c', 'ab', 'x', 'tool:x', 'q', 'r/s', 'tool:t/u']
    expect([...confusedNames(names)]).toEqual([
      ['a/b', 'a'],
      ['a/b/c', 'a'],
      ['tool:x', 'x'],
    ])
  })
})
