import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    root: new URL('..', import.meta.url).pathname,
    include: ['test/**/*.test.ts'],
    setupFiles: [new URL('./warnings.ts', import.meta.url).pathname],
    // Limits for what hangs. A shared machine may stand still for seconds.
    testTimeout: 120_000,
    hookTimeout: 120_000,
    expect: { poll: { timeout: 30_000 } },
    // More than two cores have: half of the time of a test is spent waiting, for processes and for pauses.
    maxWorkers: 4,
    maxConcurrency: 10,
    reporters: ['default', new URL('./tally.ts', import.meta.url).pathname],
  },
})
