import type { Config } from '../config/types.ts'
import type { Logger, LogLevel } from '../core/logger.ts'
import type { Store } from '../state/store.ts'
import { openVault } from '../vault/open.ts'
import type { SealedVault } from '../vault/sealed-vault.ts'
import { refuseUnshared, withStore } from './with-store.ts'

export interface OpenedVault {
  readonly vault: SealedVault
  readonly store: Store
  readonly logger: Logger
}

/**
 * Opens the vault for a command, and closes it afterwards.
 * @throws GatewayError `config` for a store that no other process sees
 */
export async function withVault<T>(
  config: Config,
  use: (opened: OpenedVault) => Promise<T>,
  log?: LogLevel,
): Promise<T> {
  return await withStore(
    config,
    async (store, logger) => {
      const vault = openVault({ ...config.gateway.vault, store, logger })
      try {
        return await use({ vault, store, logger })
      } finally {
        await vault.close()
      }
    },
    refuseUnshared('the logins of a running gateway are in its memory alone.'),
    log,
  )
}
