import { damageInside } from './lmdb-file.ts'
import { dataFileIn, holdsStore } from './lmdb-folder.ts'
import type { Store } from './store.ts'

const LMDB = 'lmdb:'

/**
 * Opens the configured store to read what is there: nothing is connected to, made or repaired. `undefined`: only the
 * gateway, or another machine, knows.
 * @throws Error when it cannot be read
 */
export async function openToRead(state: string): Promise<Store | undefined> {
  const path = state.slice(LMDB.length)
  if (!state.startsWith(LMDB) || !holdsStore(path) || damageIn(state) !== undefined) return undefined
  const { openLmdbStore } = await import('./lmdb.ts')
  return openLmdbStore(path, { readsOnly: true })
}

/**
 * Damage of the configured store, also such that it would be read as if nothing were there. `undefined`: none, or it is
 * no folder, or it cannot be read, which is said by what opens it.
 */
export function damageIn(state: string): string | undefined {
  if (!state.startsWith(LMDB)) return undefined
  try {
    return damageInside(dataFileIn(state.slice(LMDB.length)))
  } catch {
    return undefined
  }
}
