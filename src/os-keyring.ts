import { spawn } from 'node:child_process'
import { createRequire } from 'node:module'

/**
 * The keyring of the operating system: Keychain, Credential Manager, Secret Service. It is used in a process of its
 * own, because it may ask a person, wait for a locked store without an end, or crash.
 */

/** Long enough for a person to answer a question of the system. */
const TIMEOUT_MS = 15_000
const MAX_ANSWER_BYTES = 64 * 1024

export interface KeyringEntry {
  readonly service: string
  readonly account: string
}

export interface KeyringOptions {
  readonly timeoutMs?: number
  /** Path of the module that is the keyring; default: that of the package. */
  readonly module?: string
}

/**
 * In the kernel keyring of Linux, which the package uses where there is no Secret Service, nothing outlives a restart
 * of the machine.
 */
const PROGRAM = `
let text = ''
process.stdin.setEncoding('utf8')
process.stdin.on('data', chunk => (text += chunk))
process.stdin.on('end', () => {
  const answer = found => require('node:fs').writeSync(1, JSON.stringify(found))
  try {
    const { module, service, account, secret } = JSON.parse(text)
    const { Entry } = require(module)
    const entry = new Entry(service, account, { linux: { store: 'secret-service' } })
    if (secret === null) entry.deletePassword()
    else if (secret !== undefined) entry.setPassword(secret)
    answer({ secret: entry.getPassword() })
  } catch (error) {
    answer({ error: String((error && error.message) || error).slice(0, 500) })
  }
})
`

/** `undefined` when there is no such entry. @throws Error (as a rejection) that says why it cannot be read */
export async function readKeyring(
  entry: KeyringEntry,
  options: KeyringOptions = {},
): Promise<string | undefined> {
  return await ask(entry, undefined, options)
}

/** Replaces the entry. @throws Error (as a rejection) that says why it cannot be written */
export async function writeKeyring(
  entry: KeyringEntry,
  secret: string,
  options: KeyringOptions = {},
): Promise<void> {
  if ((await ask(entry, secret, options)) !== secret) throw new Error('it does not keep what is written')
}

/** Removes the entry, if there is one. @throws Error (as a rejection) that says why it cannot be removed */
export async function deleteKeyring(entry: KeyringEntry, options: KeyringOptions = {}): Promise<void> {
  if ((await ask(entry, null, options)) !== undefined) throw new Error('it keeps what is removed')
}

/** @param secret what is written; `null` removes the entry, `undefined` only reads it */
function ask(
  { service, account }: KeyringEntry,
  secret: string | null | undefined,
  { timeoutMs = TIMEOUT_MS, module }: KeyringOptions,
): Promise<string | undefined> {
  const path = module ?? installed()
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, ['-e', PROGRAM], {
      stdio: ['pipe', 'pipe', 'ignore'],
      // Where the program that embeds the gateway is not Node itself.
      env: { ...process.env, ELECTRON_RUN_AS_NODE: '1', NODE_OPTIONS: '' },
      windowsHide: true,
    })
    let answer = ''
    const end = (why: string): void => {
      clearTimeout(timer)
      child.kill('SIGKILL')
      reject(new Error(why))
    }
    const timer = setTimeout(
      () => end(`it did not answer within ${timeoutMs / 1000} s; it may be locked`),
      timeoutMs,
    )
    child.on('error', ({ message }) => end(`the process that reads it cannot be started: ${message}`))
    child.stdin.on('error', () => undefined)
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      answer += chunk
      if (answer.length > MAX_ANSWER_BYTES) end('its entry is too long')
    })
    child.on('close', code => {
      clearTimeout(timer)
      try {
        resolve(secretOf(answer, code))
      } catch (error) {
        reject(error as Error)
      }
    })
    child.stdin.end(JSON.stringify({ module: path, service, account, secret }))
  })
}

function secretOf(answer: string, code: number | null): string | undefined {
  if (answer === '') throw new Error(`the process that reads it ended with ${code ?? 'a signal'}`)
  const { secret, error } = JSON.parse(answer) as { secret?: string | null; error?: string }
  if (error !== undefined) throw new Error(error)
  return secret ?? undefined
}

/** @throws Error where the optional package is not installed */
function installed(): string {
  try {
    return createRequire(import.meta.url).resolve('@napi-rs/keyring')
  } catch {
    throw new Error('the optional package @napi-rs/keyring is not installed')
  }
}
