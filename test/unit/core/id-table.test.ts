import { describe, expect, it } from 'vitest'
import { IdTable } from '../../../src/core/id-table.ts'

describe('IdTable', () => {
  it('keeps what lasts while many others come and go', () => {
    const table = new IdTable<number, string>()
    for (const id of [1, 2, 3]) table.set(id, `lasts ${id}`)
    for (let id = 4; id < 1000; id++) {
      table.set(id, `passes ${id}`)
      expect(table.get(id)).toBe(`passes ${id}`)
      expect(table.size).toBe(4)
      expect(table.take(id)).toBe(`passes ${id}`)
      expect(table.take(id)).toBeUndefined()
    }
    expect([1, 2, 3].map(id => table.take(id))).toEqual(['lasts 1', 'lasts 2', 'lasts 3'])
    expect(table.size).toBe(0)
  })

  it('lists values in the order of their numbers, however many there are', () => {
    const table = new IdTable<number, number>()
    for (let id = 1; id <= 500; id++) table.set(id, id)
    for (let id = 2; id <= 500; id += 2) table.take(id)
    for (let id = 501; id <= 520; id++) table.set(id, id)
    const left = Array.from({ length: 520 }, (_, index) => index + 1).filter(id => id > 500 || id % 2 === 1)
    expect(table.values()).toEqual(left)
  })

  it('does with any ids what a Map does', () => {
    const table = new IdTable<number | string, object>()
    const map = new Map<number | string, object>()
    let seed = 7
    const random = (below: number): number => (seed = (seed * 16_807) % 2_147_483_647) % below
    // Text of numbers, too, as the ids of clients are.
    const anyId = (): number | string =>
      random(3) === 0 ? String(1000 + random(300)) : random(2) === 0 ? '"'.repeat(random(3)) : random(300)
    for (let step = 0; step < 20_000; step++) {
      const id = anyId()
      if (random(2) === 0) {
        const value = { step }
        table.set(id, value)
        map.set(id, value)
      } else {
        expect(table.take(id)).toBe(map.get(id))
        map.delete(id)
      }
      const other = anyId()
      expect(table.get(other)).toBe(map.get(other))
      expect(table.has(other)).toBe(map.has(other))
      expect(table.size).toBe(map.size)
    }
    expect(new Set(table.values())).toEqual(new Set(map.values()))
    table.clear()
    expect([table.size, table.values(), table.get(1)]).toEqual([0, [], undefined])
  })
})
