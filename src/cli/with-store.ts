import { GatewayError } from '../core/errors.ts'
import { createLogger } from '../observe/logger.ts'
import { openStore } from '../state/open.ts'
import type { Config } from '../config/types.ts'
import type { Logger } from '../core/logger.ts'
import type { Store } from '../state/store.ts'

/**
 * Opens the state store for a command, and closes it afterwards. `memory`: the error text when the state is in the
 * memory of a gateway.
 * @throws GatewayError `config` when the command could reach no gateway
 */
export async function withStore<T>(
  { gateway }: Config,
  memory: string,
  use: (store: Store, logger: Logger) => Promise<T>,
): Promise<T> {
  const fix = 'Fix: set "gateway.state" to "lmdb:" or to the address of a Redis.'
  if (gateway.state === 'memory') throw new GatewayError('config', `The state is "memory": ${memory} ${fix}`)
  const logger = createLogger({ level: gateway.log, stream: process.stderr })
  const store = await openStore(gateway.state, logger)
  try {
    if (!store.shared) throw new GatewayError('config', 'The state store cannot be opened; nothing was done.')
    return await use(store, logger)
  } finally {
    await store.close()
    await logger.flush()
  }
}
