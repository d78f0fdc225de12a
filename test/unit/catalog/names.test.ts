import { describe, expect, it } from 'vitest'
import { alias, exposedName } from '../../../src/catalog/names.ts'

describe('exposedName', () => {
  it('is prefix and name where that is short and plain', () => {
    expect(exposedName('files', 'files', 'read_file', 48)).toBe('files__read_file')
    expect(exposedName('files', 'f', 'read-file', 48)).toBe('f__read-file')
  })

  it('is cut above the limit, exactly to it, and ends in six digits of a hash', () => {
    const fits = 'n'.repeat(48 - 'files__'.length)
    expect(exposedName('files', 'files', fits, 48)).toBe(`files__${fits}`)
    const name = exposedName('files', 'files', `${fits}n`, 48)
    expect(name).toHaveLength(48)
    expect(name).toMatch(/^files__n+_[0-9a-f]{6}$/)
  })

  it('depends on nothing but server and name', () => {
    const long = 'a'.repeat(60)
    expect(exposedName('s', 's', long, 48)).toBe(exposedName('s', 's', long, 48))
    expect(exposedName('s', 's', long, 48)).not.toBe(exposedName('s', 's', `${long}b`, 48))
    expect(exposedName('s1', 's', long, 48)).not.toBe(exposedName('s2', 's', long, 48))
  })

  it.each(['a b', 'a.b', 'a/b', 'é', '工具', 'a:b', '', 'a\nb', '🙂'])(
    'has only safe characters: %j',
    name => {
      expect(exposedName('s', 's', name, 48)).toMatch(/^s__[A-Za-z0-9_-]*$/)
    },
  )

  it('tells names apart that differ only in unsafe characters', () => {
    const names = ['a b', 'a.b', 'a/b', 'a_b'].map(name => exposedName('s', 's', name, 48))
    expect(new Set(names).size).toBe(4)
    expect(names[3]).toBe('s__a_b')
  })

  it('is the own name, whatever it looks like, without a prefix', () => {
    expect(exposedName('s', false, 'über lang '.repeat(20), 48)).toBe('über lang '.repeat(20))
  })

  it.each([16, 48, 64, 128])('keeps the limit of %i', limit => {
    for (const length of [limit - 5, limit, limit + 100])
      expect(exposedName('server', 'server', 'x'.repeat(length), limit).length).toBeLessThanOrEqual(limit)
    expect(alias('server', `server__${'y'.repeat(200)}`, 'y', limit)).toHaveLength(limit)
  })
})
