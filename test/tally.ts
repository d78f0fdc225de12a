import type { SerializedError } from 'vitest'
import type { Reporter, TestModule, TestRunEndReason } from 'vitest/node'

/**
 * Vitest reporter that prints `N passed, N failed` (and `, N skipped`) as the very last line of a run. Failures that belong to no test, such as a
 * file that does not load, a failed hook of a suite or an unhandled error, count as failed.
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
    for (const module of modules) {
      this.#failed += module.errors().length
      for (const suite of module.children.allSuites()) this.#failed += suite.errors().length
      for (const test of module.children.allTests()) {
        const { state } = test.result()
        if (state === 'passed') this.#passed++
        else if (state === 'failed') this.#failed++
        else this.#skipped++
      }
    }
    if (reason !== 'passed' && this.#failed === 0) this.#failed = 1
  }
}
