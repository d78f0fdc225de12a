import { monotonicNow } from '../../core/clock.ts'
import { readKeyring } from '../../os-keyring.ts'
import { commandLine, outputOf, type Surroundings } from './program-output.ts'

/** Secrets of a configuration that take time to get: what a program prints, and what the keyring holds. */

/** Programs that run at once. */
const AT_ONCE = 4
/** Outputs that are kept; the oldest give way. */
const MOST_KEPT = 1000

export type Secret = { readonly value: string } | { readonly cause: string; readonly fix: string }

/** What a program printed, for another thread. */
export interface KeptOutput {
  readonly key: string
  readonly value: string
  readonly ageMs: number
}

interface Output {
  readonly value: string
  readonly at: number
}

/** Outputs of programs, so that a reload does not run them again. */
const kept = new Map<string, Output>()

/** What this thread keeps. Clocks of threads differ, so ages are told. */
export function keptOutputs(): readonly KeptOutput[] {
  const now = monotonicNow()
  return [...kept].map(([key, { value, at }]) => ({ key, value, ageMs: now - at }))
}

export function keepOutputs(outputs: readonly KeptOutput[]): void {
  const now = monotonicNow()
  for (const { key, value, ageMs } of outputs) {
    const known = kept.get(key)
    if (!known || known.at < now - ageMs) keep(key, { value, at: now - ageMs })
  }
}

function keep(key: string, output: Output): void {
  kept.delete(key)
  kept.set(key, output)
  for (const oldest of kept.keys()) {
    if (kept.size <= MOST_KEPT) return
    kept.delete(oldest)
  }
}

export interface SecretOptions extends Surroundings {
  /** How long the output of a program is used. */
  readonly keepMs: number
}

/** Gets secrets by their variables: `exec:…` and `keyring:…`. Never rejects. */
export async function secretsOf(
  variables: Iterable<string>,
  options: SecretOptions,
): Promise<ReadonlyMap<string, Secret>> {
  const found = new Map<string, Secret>()
  const waiting = [...variables]
  const work = async (): Promise<void> => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift())
      found.set(next, await secretOf(next, options))
  }
  await Promise.all(Array.from({ length: AT_ONCE }, work))
  return found
}

async function secretOf(variable: string, options: SecretOptions): Promise<Secret> {
  const [, source = '', text = ''] = /^(exec|keyring):(.*)$/s.exec(variable) ?? []
  return source === 'exec' ? await printed(text, options) : await ofKeyring(text)
}

async function printed(text: string, { keepMs, ...surroundings }: SecretOptions): Promise<Secret> {
  const command = commandLine(text)
  if (!command)
    return {
      cause: 'it names no program',
      fix: 'Write ${exec:program argument}, or ${exec:["program","argument"]}.',
    }
  const key = JSON.stringify([surroundings.cwd, command])
  const known = kept.get(key)
  if (known && monotonicNow() - known.at < keepMs) return { value: known.value }
  try {
    const value = await outputOf(command, surroundings)
    keep(key, { value, at: monotonicNow() })
    return { value }
  } catch (error) {
    return {
      cause: (error as Error).message,
      fix: `Run ${command[0]} by hand: it has to print the secret and exit with 0.`,
    }
  }
}

async function ofKeyring(text: string): Promise<Secret> {
  const at = text.indexOf('/')
  const [service, account] = [text.slice(0, at), text.slice(at + 1)]
  if (at < 1 || account === '')
    return { cause: 'it names no service and account', fix: 'Write ${keyring:service/account}.' }
  try {
    const value = await readKeyring({ service, account })
    if (value !== undefined) return { value }
    return {
      cause: 'the keyring has no such entry',
      fix: `Store a secret for the service ${service} and the account ${account}.`,
    }
  } catch (error) {
    return {
      cause: `the keyring cannot be used: ${(error as Error).message.replace(/\.$/, '')}`,
      fix: 'Unlock it, or use ${NAME}, ${file:path} or ${exec:program} instead.',
    }
  }
}
