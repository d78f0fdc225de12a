import { readKeyring, writeKeyring } from '../os-keyring.ts'
import { DataKeys, type DataKeysOptions, type Keyring } from './data-key/data-keys.ts'
import { SealedVault } from './sealed-vault.ts'

/** Where the key is in the keyring of the system. */
export const KEYRING_ENTRY = { service: 'mcp-manifold', account: 'vault' }
const KEYRING: Keyring = {
  read: () => readKeyring(KEYRING_ENTRY),
  write: key => writeKeyring(KEYRING_ENTRY, key),
}

/** The vault over a store. Its key is looked for when it is first used. */
export function openVault(options: Omit<DataKeysOptions, 'keyring'>): SealedVault {
  const { store, logger } = options
  return new SealedVault({ store, logger, keys: new DataKeys({ ...options, keyring: KEYRING }) })
}
