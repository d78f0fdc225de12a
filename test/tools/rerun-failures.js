/**
 * Runs the files that failed in a run once more, one after the other: `node test/tools/rerun-failures.js <report>`. A
 * shared machine stands still for seconds at times, and a test that measures time may fail for that. What fails again is
 * a failure, and so is a run with many failures. Each file that failed at first is named at the end.
 */
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { relative } from 'node:path'

/** More are no accident. */
const MAX_FILES = 3

const report = String(process.argv[2])
const first = JSON.parse(readFileSync(report, 'utf8'))
const files = first.files.map(file => file && relative(process.cwd(), file))
if (files.length === 0 || files.length > MAX_FILES || files.includes(null)) {
  console.log(
    `${files.length} files failed; at most ${MAX_FILES} run once more, and each failure has a file.`,
  )
  done(first, 1)
} else {
  const args = ['vitest', 'run', '--config', 'test/vitest.config.ts', '--maxWorkers', '1', ...files]
  const { status } = spawnSync('npx', args, { stdio: 'inherit' })
  for (const file of files)
    console.log(`${status === 0 ? 'failed beside others, passed alone' : 'failed, run again'}: ${file}`)
  const passedThen = { ...first, passed: first.passed + first.failedTests, failed: 0 }
  done(status === 0 ? passedThen : first, status ?? 1)
}

function done({ passed, failed, skipped }, code) {
  console.log(`${passed} passed, ${failed} failed, ${skipped} skipped`)
  process.exitCode = code
}
