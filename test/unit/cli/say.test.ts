import { afterEach, expect, test, vi } from 'vitest'
import { say } from '../../../src/cli/say.ts'

afterEach(() => {
  vi.restoreAllMocks()
})

test('what is said cannot control the terminal', () => {
  const write = vi.spyOn(process.stderr, 'write').mockReturnValue(true)
  say('Server "a" says: \u001b]52;c;c2VjcmV0\u0007\u001b[2Jred\u202e', 'next\tline')
  expect(write.mock.calls).toEqual([['Server "a" says: ]52;c;c2VjcmV0[2Jred\nnext\tline\n']])
})
