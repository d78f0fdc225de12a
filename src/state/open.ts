import type { Logger } from '../core/logger.ts'
import { describeError, GatewayError } from '../core/errors.ts'
import type { Store } from './store.ts'

const LMDB = 'lmdb:'

/**
 * Opens the configured store: `memory`, `lmdb:<absolute path>`, or `redis://…`. An unusable folder does not prevent the
 * start: the gateway then keeps its state in memory, and logs the reason and the fix. An unreachable Redis does not
 * prevent the start either; it is used as soon as it is reachable.
 * @throws GatewayError `config` for any other name
 */
export async function openStore(state: string, logger: Logger): Promise<Store> {
  if (state === 'memory') return openMemory()
  if (/^rediss?:/.test(state)) {
    const { openRedisStore } = await import('./redis.ts')
    return await openRedisStore(state, { logger })
  }
  if (!state.startsWith(LMDB)) {
    throw new GatewayError(
      'config',
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
 * The replacement of a store that cannot be opened. It does not count quotas, because it would start from zero and
 * count for this process only. Limited calls are refused or pass uncounted, as `gateway.quotaFailureMode` says.
 */
function withoutAmounts(store: Store): Store {
  const refuse = (): Promise<never> =>
    Promise.reject(new Error('The state store could not be opened when the gateway was started.'))
  store.take = refuse
  store.hold = refuse
  return Object.assign(store, { isReplacement: true })
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
