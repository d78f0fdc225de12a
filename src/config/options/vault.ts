import { choice, listOf } from './kinds.ts'
import { section, type Check } from './option.ts'

/** Options of the vault of credentials. */

const expected = 'expected 32 random bytes in Base64, such as what `openssl rand -base64 32` prints'
const KEY: Check<string> = { kind: 'text', expected, pattern: /^[\w+/-]{43}=?$/ }
const AT_START = 'the vault is opened with its keys at the start'

export const VAULT = section('gateway.vault', {
  keys: listOf(
    KEY,
    'Keys that seal what the gateway keeps of logins to servers, as 32 random bytes in Base64: the first seals, all open. A variable such as "${VAULT_KEY}" keeps them out of the file.',
    {
      expected: 'expected a list of keys',
      shown: 'a key that the gateway makes and keeps, see `keySource`',
      restart: AT_START,
    },
  ),
  keySource: choice(
    'Where the gateway keeps a key that it makes: in the keyring of the system, in a file beside the state that only its user can read, or (`auto`) in the keyring where there is one.',
    ['auto', 'keyring', 'file'],
    { default: 'auto', restart: AT_START },
  ),
})
