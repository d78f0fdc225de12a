import { expect, it } from 'vitest'
import { ListBudget } from '../../../src/catalog/list-budget.ts'
import type { ServerSnapshot } from '../../../src/catalog/snapshot.ts'
import { MAX_VARIANTS, Variants } from '../../../src/catalog/variants.ts'
import { snapshotOf } from '../../helpers/snapshot.ts'

const listed = (tool: string): ServerSnapshot =>
  snapshotOf('a', { lists: { tools: [{ key: tool, text: `"${tool}"` }] } })

const KINDS = ['l', 'le', 'lr', 'ls', 'lu', 'ler', 'les', 'leu', 'lrs', 'lru', 'lsu']

it('a server that shows every kind of client something else has eight lists, that of the least capable among them', () => {
  const variants = new Variants('a')
  for (const kind of KINDS) variants.set(kind, '{}', listed(kind), kind)
  const kept = [...variants.all].map(([kind]) => kind)
  expect(kept).toHaveLength(MAX_VARIANTS)
  expect(kept).toHaveLength(8)
  expect(variants.base?.lists.tools[0]?.key).toBe('l')
  // Those that were listed longest ago went, so that their next client lists the server anew.
  expect(kept.toSorted()).toEqual(['l', ...KINDS.slice(4)].toSorted())
  expect(variants.isKnown('le')).toBe(false)
  expect(variants.seenBy('le')).toBe(variants.base)
  expect(variants.isKnown('lsu')).toBe(true)
  expect(variants.index).toHaveLength(MAX_VARIANTS)
})

it('a server that shows every kind of client the same has one list for all of them', () => {
  const variants = new Variants('a')
  for (const kind of KINDS) variants.set(kind, '{}', listed('t'), kind)
  expect(new Set([...variants.all].map(([, snapshot]) => snapshot)).size).toBe(1)
})

it('the ninth list takes the room of the one that it replaces', () => {
  const variants = new Variants('a', new ListBudget({ entries: 2 * MAX_VARIANTS, chars: 1000 }))
  for (const kind of KINDS) variants.set(kind, '{}', listed(kind), kind)
  expect(variants.isKnown('lsu')).toBe(true)
  const restored = new Variants('b', new ListBudget({ entries: MAX_VARIANTS, chars: 1000 }))
  for (const kind of KINDS) restored.restore(kind, '{}', listed(kind))
  expect(restored.listed('lsu')?.lists.tools[0]?.key).toBe('lsu')
})

it('a ninth list that does not fit replaces nothing', () => {
  const variants = new Variants('a', new ListBudget({ entries: 1000, chars: 200 }))
  for (const kind of KINDS.slice(0, MAX_VARIANTS)) variants.set(kind, '{}', listed(kind), kind)
  const kept = [...variants.all]
  expect(() => variants.set('lru', '{}', listed('t'.repeat(200)), 'lru')).toThrow('characters')
  expect([...variants.all]).toEqual(kept)
})

it('a list that differs is kept after eight that are the same', () => {
  const variants = new Variants('a')
  for (const kind of KINDS.slice(0, MAX_VARIANTS)) variants.set(kind, '{}', listed('t'), kind)
  variants.set('lru', '{}', listed('other'), 'lru')
  expect(variants.seenBy('lru')?.lists.tools[0]?.key).toBe('other')
  expect([...variants.all]).toHaveLength(MAX_VARIANTS)
  expect(variants.isKnown('l')).toBe(true)
  expect(variants.isKnown('le')).toBe(false)
})

it('of a list that is deleted or replaced, nothing is left', () => {
  const variants = new Variants('a')
  variants.set('l', '{}', listed('l'), 'l')
  variants.set('le', '{"elicitation":{}}', listed('le'), 'leu')
  variants.outdate('le')
  variants.delete('le')
  expect(variants.told('le')).toBe('{}')
  expect(variants.hasShown('leu')).toBe(false)
  variants.restore('le', '{}', listed('le'))
  expect(variants.isKnown('le')).toBe(true)
  expect(variants.hasShown('leu')).toBe(false)
  variants.set('lr', '{"roots":{}}', listed('lr'), 'lrsu')
  for (const kind of KINDS.filter(kind => kind !== 'lr')) variants.set(kind, '{}', listed(kind), kind)
  expect(variants.listed('lr')).toBeUndefined()
  variants.set('lr', '{}', listed('lr'), undefined)
  expect(variants.hasShown('lrsu')).toBe(false)
})
