import { expect, test } from 'vitest'
import { Shares } from '../../../src/core/shares.ts'

interface Place {
  readonly holder: string
  readonly busy: boolean
  readonly lastSeen: number
}

/** `a1` is an idle place of `a` that was last used at 1, `A1` a busy one. */
function pool(...names: string[]): { shares: Shares; places: Place[]; forOneMore(of: string): string } {
  const shares = new Shares()
  const places = names.map(name => ({
    holder: (name[0] as string).toLowerCase(),
    busy: name[0] !== name[0]?.toLowerCase(),
    lastSeen: Number(name.slice(1)),
  }))
  for (const { holder } of places) shares.opened(holder)
  return {
    shares,
    places,
    forOneMore(of) {
      shares.opened(of)
      const found = shares.toGiveWay(of, places)
      shares.closed(of)
      return found === undefined ? 'none' : found.holder + found.lastSeen
    },
  }
}

test('one principal alone gives up its idle place that was used least recently, and no busy one', () => {
  expect(pool('A1', 'a3', 'a2').forOneMore('a')).toBe('a2')
  expect(pool('A1', 'A2').forOneMore('a')).toBe('none')
})

test('a principal that has less gets a place of the one that has most: an idle one, else a busy one', () => {
  expect(pool('A1', 'a4', 'a3', 'b2').forOneMore('c')).toBe('a3')
  expect(pool('A2', 'A1', 'A3', 'b0').forOneMore('c')).toBe('a1')
  expect(pool('A2', 'A1', 'A3', 'b0').forOneMore('b')).toBe('a1')
})

test('a principal that has most gets none of others', () => {
  expect(pool('A1', 'A2', 'A3', 'b0').forOneMore('a')).toBe('none')
  expect(pool('A1', 'a2', 'A3', 'b0').forOneMore('a')).toBe('a2')
  expect(pool('A1', 'A2', 'b0', 'b3').forOneMore('a')).toBe('none')
})

test('a busy place does not go back and forth between principals that have nearly as much', () => {
  expect(pool('A1', 'A2', 'B1').forOneMore('b')).toBe('none')
  expect(pool('A1', 'A2', 'A3', 'B1').forOneMore('b')).toBe('a1')
  expect(pool('A1', 'B1').forOneMore('c')).toBe('none')
  expect(pool('A1', 'b1').forOneMore('c')).toBe('b1')
})

test('what is closed is no longer counted', () => {
  const { shares } = pool('a1', 'a2', 'b1')
  expect(shares.mostHeld()).toBe(2)
  for (const holder of ['a', 'a', 'b', 'b']) shares.closed(holder)
  expect([shares.heldBy('a'), shares.heldBy('b'), shares.mostHeld()]).toEqual([0, 0, 0])
})
