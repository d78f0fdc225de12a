import { keptOutput, keptRun } from '../../kept-outputs.ts'
import { readKeyring } from '../../os-keyring.ts'
import { commandLine, type Surroundings } from '../../program-output.ts'

/** Secrets of a configuration that take time to get: what a program prints, and what the keyring holds. */

/** Programs that run at once. */
const AT_ONCE = 4
export type Secret = { readonly value: string } | { readonly cause: string; readonly fix: string }

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

async function printed(text: string, { keepMs, cwd, env }: SecretOptions): Promise<Secret> {
  const command = commandLine(text)
  if (!command)
    return {
      cause: 'it names no program',
      fix: 'Write ${exec:program argument}, or ${exec:["program","argument"]}.',
    }
  const run = { command, cwd }
  const known = keptOutput(run, keepMs)
  if (known !== undefined) return { value: known }
  try {
    return { value: await keptRun(run, env) }
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
