import { expect, test, vi } from 'vitest'
import { Positions } from '../../../../src/config/load/positions.ts'
import { validate } from '../../../../src/config/validate/validate.ts'

test('a text of many lines is read once, however many positions are asked for', () => {
  const text = 'ab\n'.repeat(20_000)
  const search = vi.spyOn(String.prototype, 'indexOf')
  try {
    const positions = new Positions(text)
    const searches = search.mock.calls.length
    for (let line = 1; line <= 20_000; line++) expect(positions.at(3 * line - 2)).toEqual({ line, column: 2 })
    // A line is looked for once; what the assertions search is not of this text.
    expect(search.mock.contexts.filter(context => String(context) === text)).toHaveLength(searches)
    expect(searches).toBe(20_001)
  } finally {
    search.mockRestore()
  }
})

test('of many unknown keys the first thousand are compared with the keys there are', async () => {
  const keys = Array.from({ length: 1200 }, (_, at) => [`por${at}`, 1])
  const problems = await validate({
    gateway: { http: { ...Object.fromEntries([['prot', 1]]), ...Object.fromEntries(keys) } },
  })
  expect(problems).toHaveLength(1201)
  expect(problems[0]?.fix).toBe('Did you mean "port"?')
  expect(problems.at(-1)?.fix).toContain('Remove it')
})
