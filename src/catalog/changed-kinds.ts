import { LIST_KINDS, type ListKind } from '../core/route.ts'
import type { View } from './view.ts'

/** Kinds whose signature differs between two views. */
export function changedKinds(before: View, after: View): ListKind[] {
  if (before === after) return []
  return LIST_KINDS.filter(kind => before.signature(kind) !== after.signature(kind))
}
