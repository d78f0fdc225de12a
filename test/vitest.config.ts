import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    root: new URL('..', import.meta.url).pathname,
    include: ['test/**/*.test.ts'],
    setupFiles: [new URL('./warnings.ts', import.meta.url).pathname],
    testTimeout: 30_000,
    hookTimeout: 30_000,
    // A shared machine may stand still for seconds; what fails twice in a row has failed.
    retry: process.env.CI ? 1 : 0,
    // Two cores: more workers only make the real servers slower to start.
    maxWorkers: 2,
    reporters: ['default', new URL('./tally.ts', import.meta.url).pathname],
  },
})
