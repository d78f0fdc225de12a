import { expect, it } from 'vitest'
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
