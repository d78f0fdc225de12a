import { describeError, GatewayError } from '../core/errors.ts'
import { createLogger } from '../observe/logger.ts'
import { openStore } from '../state/open.ts'
import { damageIn } from '../state/open-to-read.ts'
import type { Config } from '../config/types.ts'
import type { Logger, LogLevel } from '../core/logger.ts'
import type { Store } from '../state/store.ts'

/**
 * Opens the state store for a command, and closes it afterwards. A store that no other process sees, such as `memory`,
 * is of no use to a command: then the result is that of `otherwise`.
 * @param log what is logged, as `--log` says: records would stand between the sentences of the command
 * @throws GatewayError `config` when the configured store cannot be opened or used. What is damaged is left as it is:
 * a command would show it as if nothing had been there
 */
export async function withStore<T, O = T>(
  { gateway }: Config,
  use: (store: Store, logger: Logger) => Promise<T>,
  otherwise: (store: Store) => O,
  log: LogLevel = 'warn',
): Promise<T | O> {
  const logger = createLogger({ level: log, stream: process.stderr })
  const damage = damageIn(gateway.state)
  if (damage !== undefined) throw damaged(gateway.state, damage)
  const store = await openStore(gateway.state, logger)
  try {
    if (store.isReplacement)
      throw new GatewayError('config', 'The state store cannot be opened; nothing was done.')
    return store.shared ? await use(store, logger) : otherwise(store)
  } catch (error) {
    throw /\bMDB_/.test(describeError(error)) && !(error instanceof GatewayError)
      ? damaged(gateway.state, describeError(error))
      : error
  } finally {
    await store.close()
    await logger.flush()
  }
}

function damaged(state: string, why: string): GatewayError {
  return new GatewayError(
    'config',
    `The state in "${state.replace(/^lmdb:/, '')}" is damaged (${why}); nothing was done. Fix: restore the folder from a backup; without one, delete it: lists are fetched again, keys and logins have to be made again.`,
  )
}

/** Refuses a command for a store that no other process sees; `why` is a sentence that says what it cannot reach. */
export function refuseUnshared(why: string): (store: Store) => never {
  return ({ name }) => {
    throw new GatewayError(
      'config',
      `The state is "${name}": ${why} Fix: set "gateway.state" to "lmdb:" or to the address of a Redis.`,
    )
  }
}
