import type { Candidate } from '../../../../src/upstream/balance/choose.ts'
import { type Failure, Health } from '../../../../src/upstream/balance/health.ts'
import type { HealthOptions } from '../../../../src/upstream/balance/health-options.ts'
import { Load } from '../../../../src/upstream/balance/load.ts'

/** The defaults of `health` in the configuration. */
export const OPTIONS: HealthOptions = {
  failures: 3,
  errorRate: 0.5,
  slowBy: 10,
  panic: 0.5,
  baseEjectionTimeMs: 5000,
  slowStartMs: 30_000,
  intervalMs: 10_000,
  timeoutMs: 5000,
}

/** A clock that stands still until it is set. */
export class Clock {
  now = 1_000_000
  readonly read = (): number => this.now
}

export const broken = (message = 'It broke.'): Failure => ({
  code: 'upstream_closed',
  message,
  countsAgainstHealth: true,
})

/** Something to choose, named by what it is. */
export interface Named extends Candidate {
  readonly name: string
}

/** Back-off without chance: each lasts its whole time. */
export const candidate = (
  name: string,
  clock: Clock,
  given: { weight?: number; priority?: number; zone?: string; random?: () => number } = {},
): Named => ({
  name,
  weight: given.weight ?? 1,
  priority: given.priority ?? 0,
  zone: given.zone,
  load: new Load(),
  health: new Health(OPTIONS, clock.read, given.random ?? (() => 1)),
})

/** Ejected by failures in a row. */
export function eject({ health }: Candidate, clock: Clock): void {
  for (let failure = 0; failure < OPTIONS.failures; failure++) health.failed(broken(), clock.now)
}
