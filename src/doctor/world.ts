import type { SystemFacts } from './system.ts'

/** What the checks know of the machine and of what is asked for. Injected, so that each check can be tried alone. */
export interface World extends SystemFacts {
  readonly env: Readonly<Record<string, string | undefined>>
  readonly platform: NodeJS.Platform
  readonly home: string
  readonly cwd: string
  /** As in `22.12.0`. */
  readonly nodeVersion: string
  readonly version: string
  /** Path that was given; `undefined`: the default places. */
  readonly file: string | undefined
  /** Names of the servers to look at; empty: all. */
  readonly only: readonly string[]
  /** Whether hosts other than those of servers may be asked. */
  readonly online: boolean
  /** Aborted when the person gives up. */
  readonly signal: AbortSignal
  /** The time of the wall, in Unix milliseconds. */
  now(): number
  /** A command of this program as it is typed. */
  typed(rest: string): string
}
