import { isJsonObject } from '../../core/json-object.ts'

/** Applies a JSON merge patch to a value (RFC 7396); `undefined` when the patch removes it. */
export function mergePatch(target: unknown, patch: unknown): unknown {
  if (patch === null) return undefined
  if (!isJsonObject(patch)) return patch
  const merged: Map<string, unknown> = new Map(isJsonObject(target) ? Object.entries(target) : [])
  for (const [key, value] of Object.entries(patch)) {
    const child = mergePatch(merged.get(key), value)
    if (child === undefined) merged.delete(key)
    else merged.set(key, child)
  }
  return Object.fromEntries(merged)
}
