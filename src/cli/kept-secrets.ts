import { deleteKeyring, readKeyring, writeKeyring, type KeyringOptions } from '../os-keyring.ts'

/** Service of the keyring entries that `add` makes. */
const SERVICE = 'mcp-manifold'

/** Secrets in the keyring of the system, as long as the command may still fail. */
export interface KeptSecrets {
  /** Accounts whose secrets the keyring has. The others could not be kept. */
  readonly accounts: ReadonlySet<string>
  /** Gives the keyring back what it had. */
  undo(): Promise<void>
}

/** What stands for a secret of the keyring in a configuration. */
export function keyringText(account: string): string {
  return `\${keyring:${SERVICE}/${account}}`
}

/** Writes secrets, by account, to the keyring of the system. Never rejects. */
export async function keepSecrets(
  secrets: ReadonlyMap<string, string>,
  options: KeyringOptions = {},
): Promise<KeptSecrets> {
  const before = new Map<string, string | undefined>()
  for (const [account, secret] of secrets) {
    const entry = { service: SERVICE, account }
    try {
      const earlier = await readKeyring(entry, options)
      await writeKeyring(entry, secret, options)
      before.set(account, earlier)
    } catch {
      // The caller says where the secret has to be given instead. The next one would fail for the same reason.
      break
    }
  }
  return {
    accounts: new Set(before.keys()),
    undo: async () => {
      for (const [account, earlier] of before) {
        const entry = { service: SERVICE, account }
        const undone =
          earlier === undefined ? deleteKeyring(entry, options) : writeKeyring(entry, earlier, options)
        await undone.catch(() => undefined)
      }
    },
  }
}
