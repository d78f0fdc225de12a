import { chmodSync } from 'node:fs'
import { join } from 'node:path'
import { describeError } from '../core/errors.ts'
import { SILENT } from '../core/logger.ts'
import { shellWord } from '../core/shell-word.ts'
import { readKeyring } from '../os-keyring.ts'
import { KEY_FILE, KEY_SOURCE } from '../vault/data-key/data-keys.ts'
import { readKeyFile } from '../vault/data-key/key-file.ts'
import { KEYRING_ENTRY, openVault } from '../vault/open.ts'
import type { Config } from '../config/types.ts'
import type { Store } from '../state/store.ts'
import type { Examination } from './examination.ts'
import { finding, type Finding } from './finding.ts'

const KEYRING_MS = 5000

/** Whether the logins in the vault can be opened. Makes no key where there is none yet. */
export async function checkVault({ config, store, world }: Examination): Promise<Finding[]> {
  if (!config || !store?.shared) return []
  const { vault } = config.gateway
  if (vault.keys.length > 0) return await unopened(config, store)
  const file = join(vault.folder, KEY_FILE)
  const isInKeyring = vault.keySource === 'keyring' || (await store.get(KEY_SOURCE)) === 'keyring'
  if (!isInKeyring)
    try {
      return (await readKeyFile(file)) ? await unopened(config, store) : []
    } catch (error) {
      return [ofFile(file, describeError(error))]
    }
  try {
    const timeoutMs = KEYRING_MS
    await readKeyring(KEYRING_ENTRY, { timeoutMs })
  } catch (error) {
    return [
      finding('keyring_unusable', {
        cause: `The key of the vault is in the keyring of the system, which cannot be used: ${describeError(error)}.`,
        fix: 'Unlock the keyring; or set "gateway.vault.keySource" to "file" and log in to the servers anew.',
        command: world.typed('login <server>'),
        set: { key: 'gateway.vault.keySource', value: 'file' },
      }),
    ]
  }
  return await unopened(config, store)
}

function ofFile(file: string, why: string): Finding {
  if (/may be used by other users/.test(why))
    return finding('vault_key_exposed', {
      cause: why.replace(/ Fix: .*$/s, ''),
      fix: 'Restrict it to its owner; if others may have read it, delete it and log in to the servers anew.',
      command: `chmod 600 ${shellWord(file)}`,
      mend: () => {
        chmodSync(file, 0o600)
        return `Set the mode of ${file} to 600.`
      },
    })
  return finding('vault_key_damaged', {
    cause: why.replace(/ Fix: .*$/s, ''),
    fix: 'Restore it from a backup; or delete it, and log in to the servers anew.',
    command: `rm ${shellWord(file)}`,
  })
}

/** Logins that the present key does not open. */
async function unopened({ gateway }: Config, store: Store): Promise<Finding[]> {
  const vault = openVault({ ...gateway.vault, store, logger: SILENT })
  try {
    const closed = (await vault.list()).filter(({ opens }) => !opens)
    if (closed.length === 0) return []
    const servers = [...new Set(closed.map(({ server }) => server))]
    return [
      finding('vault_key_other', {
        cause: `The key of the vault does not open ${closed.length} of its records, of ${servers.slice(0, 5).join(', ')}.`,
        fix: 'Add the former key to "gateway.vault.keys", behind the present one; or log in to these servers anew.',
        set: { key: 'gateway.vault.keys' },
      }),
    ]
  } finally {
    await vault.close()
  }
}
