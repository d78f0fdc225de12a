import { execFileSync } from 'node:child_process'
import { describe, expect, test } from 'vitest'
import { shellWord } from '../../../src/core/shell-word.ts'

const ODD = [
  'Ada Lovelace',
  "it's",
  '$(touch never)',
  '`id`',
  'a;b',
  'a&b',
  'a|b',
  '"',
  '',
  '*',
  '~',
  '=ls',
  'a\nb',
  '\\',
  '#',
]

describe('a word of a command', () => {
  test.runIf(process.platform !== 'win32')('reaches the program as it is', () => {
    const script = `for word in ${ODD.map(word => shellWord(word, 'linux')).join(' ')}; do printf '%s\\0' "$word"; done`
    expect(execFileSync('sh', ['-c', script], { encoding: 'utf8' }).split('\0')).toEqual([...ODD, ''])
  })

  test('stays readable where no shell changes it', () => {
    expect(shellWord('/home/ada/servers.json', 'linux')).toBe('/home/ada/servers.json')
    expect(shellWord(String.raw`C:\ada\servers.json`, 'win32')).toBe(String.raw`C:\ada\servers.json`)
  })

  test('is in double quotes on Windows, where nothing in it is a command', () => {
    expect(shellWord('Ada Lovelace & dir', 'win32')).toBe('"Ada Lovelace & dir"')
    expect(shellWord('$(dir)" & dir', 'win32')).toBe('"`$(dir)"" & dir"')
  })
})
