import type { ScenarioResult } from './suite.js'

/**
 * A failure that is known and explained. The optional fields narrow where it is expected; without them it is
 * expected everywhere.
 */
export interface Exception {
  readonly scenario: string
  /** For the reader of the table. */
  readonly reason: string
  /** `<version>/<suite>`, one or several. */
  readonly suite?: string | readonly string[]
  readonly fixture?: string | readonly string[]
  /** `true`: only without the gateway; `false`: only through it. */
  readonly direct?: boolean
}

/** One run of one suite. */
export interface Cell {
  /** `<version>/<suite>` */
  readonly suite: string
  /** The server behind the gateway, or the client in front of it. */
  readonly fixture: string
  readonly direct: boolean
}

/** The last two make a run fail: an unexplained failure, and an exception that is none any more. */
export type Verdict = 'pass' | 'expected' | 'unscored' | 'not run' | 'FAIL' | 'STALE'

/** Gives the content of `exceptions.json`; rejects when an entry lacks a scenario or a reason. */
export function readExceptions(): Promise<Exception[]>

/** Says what a result means in its cell; `reason` is empty where there is nothing to explain. */
export function judge(
  result: ScenarioResult,
  cell: Cell,
  exceptions: readonly Exception[],
): { verdict: Verdict; reason: string }

/** Gives the exceptions that concern nothing of all that was run: misspelled, or no longer there. */
export function unused(
  exceptions: readonly Exception[],
  outcomes: readonly { cell: Cell; judged: readonly { result: ScenarioResult }[] | undefined }[],
): Exception[]
