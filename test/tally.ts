import { writeFileSync } from 'node:fs'
import type { SerializedError } from 'vitest'
import type { Reporter, TestModule, TestRunEndReason } from 'vitest/node'

/**
 * Vitest reporter that prints `N passed, N failed` (and `, N skipped`) as the very last line of a run. Failures that belong to no test, such as a
 * file that does not load, a failed hook of a suite or an unhandled error, count as failed. With `TEST_REPORT` in the
 * environment, the counts and the files with failures are written to that file, as JSON.
 */
export default class Tally implements Reporter {
  #passed = 0
  #failed = 0
  #skipped = 0
  #ended = false

  onInit(): void {
    // At exit, since other reporters and vitest itself still print after the run.
    process.once('exit', code => {
      if ((code !== 0 || !this.#ended) && this.#failed === 0) this.#failed = 1
      const skipped = this.#skipped > 0 ? `, ${this.#skipped} skipped` : ''
      process.stdout.write(`${this.#passed} passed, ${this.#failed} failed${skipped}\n`)
    })
  }

  onTestRunEnd(
    modules: readonly TestModule[],
    unhandled: readonly SerializedError[],
    reason: TestRunEndReason,
  ): void {
    this.#ended = true
    this.#passed = 0
    this.#skipped = 0
    this.#failed = unhandled.length
    let failedTests = 0
    for (const module of modules) {
      this.#failed += module.errors().length
      for (const suite of module.children.allSuites()) this.#failed += suite.errors().length
      for (const test of module.children.allTests()) {
        const { state } = test.result()
        if (state === 'passed') this.#passed++
        else if (state === 'failed') failedTests++
        else this.#skipped++
      }
    }
    this.#failed += failedTests
    if (reason !== 'passed' && this.#failed === 0) this.#failed = 1
    const report = process.env['TEST_REPORT']
    if (report === undefined) return
    const failedFiles = modules.filter(module => !module.ok()).map(module => module.moduleId)
    const unhandledIn = unhandled.map(error => error['VITEST_TEST_PATH'] as string | undefined)
    writeFileSync(
      report,
      JSON.stringify({
        passed: this.#passed,
        failed: this.#failed,
        failedTests,
        skipped: this.#skipped,
        // `null` for an unhandled error that belongs to no file.
        files: [...new Set([...failedFiles, ...unhandledIn.map(file => file ?? null)])],
      }),
    )
  }
}
