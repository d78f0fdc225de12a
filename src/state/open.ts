import type { Logger } from '../core/logger.ts'
import { describeError } from '../core/errors.ts'
import type { Store } from './store.ts'

const LMDB = 'lmdb:'

/**
 * Opens the store that a configuration names: `memory`, `lmdb:<absolute path>`, or `redis://…`. A folder that cannot be used is no reason not to start:
 * the gateway then remembers in memory, and the log says why and what to do. Nor is a Redis that cannot be reached, which is used as soon as it can.
 * @throws Error for any other name.
 */
export async function openStore(state: string, logger: Logger): Promise<Store> {
  if (state === 'memory') return openMemory()
  if (/^rediss?:/.test(state)) {
    const { openRedisStore } = await import('./redis.ts')
    return await openRedisStore(state, { logger })
  }
  if (!state.startsWith(LMDB)) {
    throw new Error(
      'Unknown state store. Fix: set "state" to "memory", "lmdb:<folder>" or "redis://<host>:<port>".',
    )
  }
  const path = state.slice(LMDB.length)
  try {
    const { openLmdbStore } = await import('./lmdb.ts')
    return openLmdbStore(path, { onRepaired: what => logger.warn(what) })
  } catch (error) {
    logger.warn(
      `State cannot be kept in "${path}": ${describeError(error)}. The gateway goes on and forgets its state at exit. Fix: ${fixFor(error)}`,
    )
    return withoutAmounts(await openMemory())
  }
}

/**
 * A store in place of one that cannot be opened. It counts nothing that is limited: it would begin from zero, and for this process alone. So limited calls
 * are refused or pass uncounted, as `gateway.quotaFailureMode` says.
 */
function withoutAmounts(store: Store): Store {
  const refuse = (): Promise<never> =>
    Promise.reject(new Error('The state store could not be opened when the gateway was started.'))
  store.take = refuse
  store.hold = refuse
  return store
}

async function openMemory(): Promise<Store> {
  const { createMemoryStore } = await import('./memory.ts')
  return createMemoryStore()
}

function fixFor(error: unknown): string {
  const text = describeError(error)
  if (/No native build|Cannot find module|ERR_MODULE_NOT_FOUND|\.node\b/i.test(text)) {
    return 'install again without --omit=optional. Where LMDB has no binary for the platform, set "state" to a Redis or to "memory".'
  }
  if (/is damaged|MDB_INVALID|MDB_CORRUPTED|MDB_VERSION_MISMATCH|MDB_PAGE_NOTFOUND|MDB_PANIC/.test(text)) {
    return 'the file is damaged; delete the folder, its content is built up again.'
  }
  return 'make the folder writable for this user, or set "state" to another folder or to "memory".'
}
