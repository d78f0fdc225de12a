import type { ProgramRun } from './config/replica-types.ts'
import { monotonicNow } from './core/clock.ts'
import { outputOf, type Surroundings } from './program-output.ts'

/** What the programs of secrets have printed, in the memory of this thread alone. */

/** Outputs that are kept; the oldest give way. */
const MOST_KEPT = 1000
/** How long the outcome of a run that a refusal led to counts: refusals may come many times a second. */
const PAUSE_MS = 10_000

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

interface Renewal {
  readonly done: Promise<string>
  /** When it has ended. */
  at: number
}

const kept = new Map<string, Output>()
const renewals = new Map<string, Renewal>()
let version = 0

/** Another number after each change of what is kept. */
export function outputsVersion(): number {
  return version
}

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

/** The kept output of a program that is no older than `maxAgeMs`. */
export function keptOutput(run: ProgramRun, maxAgeMs: number): string | undefined {
  const known = kept.get(keyOf(run))
  return known && monotonicNow() - known.at < maxAgeMs ? known.value : undefined
}

/** @throws Error for an output that cannot be used; its message is for the middle of a sentence, without the output */
export type OutputCheck = (output: string) => void

/** Runs a program, and keeps what it prints. @throws Error as `outputOf`, and that of the check */
export async function keptRun(
  run: ProgramRun,
  env: Surroundings['env'],
  check?: OutputCheck,
): Promise<string> {
  const value = await outputOf(run.command, { cwd: run.cwd, env: { ...env, ...run.env } })
  check?.(value)
  keep(keyOf(run), { value, at: monotonicNow() })
  return value
}

/** Runs a program for the first time, once for all that ask meanwhile. A failure counts as with `renewedOutput`. */
export async function firstOutput(run: ProgramRun, check: OutputCheck): Promise<string> {
  const output = await renewedOutput(run, check)
  // What is refused at once is a reason for another run.
  renewals.delete(keyOf(run))
  return output
}

/**
 * Runs a program again, because a server has refused what it printed: once for all that ask meanwhile and within ten
 * seconds after, which have the same outcome.
 * @throws Error as `keptRun`
 */
export function renewedOutput(run: ProgramRun, check: OutputCheck): Promise<string> {
  const key = keyOf(run)
  const last = renewals.get(key)
  if (last && monotonicNow() - last.at < PAUSE_MS) return last.done
  const renewal: Renewal = { done: keptRun(run, process.env, check), at: Infinity }
  const ended = (): void => void (renewal.at = monotonicNow())
  renewal.done.then(ended, ended)
  put(renewals, key, renewal)
  return renewal.done
}

function keep(key: string, output: Output): void {
  if (kept.get(key)?.value !== output.value) version++
  put(kept, key, output)
}

function put<T>(map: Map<string, T>, key: string, value: T): void {
  map.delete(key)
  map.set(key, value)
  for (const oldest of map.keys()) {
    if (map.size <= MOST_KEPT) return
    map.delete(oldest)
  }
}

function keyOf({ command, cwd, env }: ProgramRun): string {
  return JSON.stringify(env === undefined ? [cwd, command] : [cwd, command, env])
}
