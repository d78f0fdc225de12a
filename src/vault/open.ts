import { readKeyring, writeKeyring } from '../os-keyring.ts'
import { DataKeys, type DataKeysOptions, type Keyring } from './data-key/data-keys.ts'
import { SealedVault } from './sealed-vault.ts'

const ENTRY = { service: 'mcp-manifold', account: 'vault' }
const KEYRING: Keyring = {
  read: () => readKeyring(ENTRY),
  write: key => writeKeyring(ENTRY, key),
}

/** The vault over a store. Its key is looked for when it is first used. */
export function openVault(options: Omit<DataKeysOptions, 'keyring'>): SealedVault {
  const { store, logger } = options
  return new SealedVault({ store, logger, keys: new DataKeys({ ...options, keyring: KEYRING }) })
}
