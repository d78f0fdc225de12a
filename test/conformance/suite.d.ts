/** What one scenario came to. */
export interface ScenarioResult {
  readonly scenario: string
  /** Checks with SUCCESS. */
  readonly passed: number
  /** Checks with FAILURE; a scenario that could not be run has one. */
  readonly failed: number
  /** Checks with WARNING: what the specification only recommends. */
  readonly warned: number
  /** Why the runner does not count it, or `undefined` when it does. */
  readonly unscored: string | undefined
  /** Why it was not run at all; then there are no checks. */
  readonly notRun?: string
  /** One line for each failed check. */
  readonly failures: readonly string[]
}

/**
 * The server suites of each version of the runner: what to say to it. The first one is the default. A date is the frozen
 * set of what that revision requires; `modern` is everything that applies to 2026-07-28.
 */
export const SUITES: Readonly<Record<string, Readonly<Record<string, readonly string[]>>>>

/**
 * Runs one suite against a server and gives its scenarios in their order; rejects when the runner did not get
 * that far. `args` are those of the suite, or `--scenario` and a name; `onLine` sees the progress of the runner.
 */
export function runSuite(
  version: string,
  args: readonly string[],
  url: string,
  onLine?: (line: string) => void,
): Promise<ScenarioResult[]>
