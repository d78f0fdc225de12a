/**
 * Runs tests several times while another job keeps a core busy: `npm run test:repeat -- [--times 10] [files…]`. Without
 * files, the whole suite. The first run that fails is the last one: its failed tests are printed, and the exit code is 1.
 */
import { spawn, spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { times: { type: 'string', default: '10' } },
})
const times = Number(values.times)
if (!Number.isInteger(times) || times < 1 || times > 1000) {
  console.error('--times is a whole number from 1 to 1000.')
  process.exit(2)
}

const folder = mkdtempSync(join(tmpdir(), 'mcp-manifold-repeat-'))
// It ends by itself when this process is gone.
const BUSY = 'const of = process.ppid; for (let n = 1; n % 1e6 !== 0 || process.ppid === of; n++);'
const busy = spawn(process.execPath, ['-e', BUSY], { stdio: 'ignore' })
let failed = []
try {
  for (let run = 1; run <= times && failed.length === 0; run++) {
    const output = join(folder, `${run}.json`)
    const args = ['vitest', 'run', '--config', 'test/vitest.config.ts']
    const reporter = ['--reporter=default', '--reporter=json', `--outputFile=${output}`]
    const { status } = spawnSync('npx', [...args, ...reporter, ...positionals], { stdio: 'inherit' })
    failed = status === 0 ? [] : failuresIn(output)
    console.log(`run ${run} of ${times}: ${status === 0 ? 'all passed' : `${failed.length} failed`}`)
  }
} finally {
  busy.kill('SIGKILL')
  rmSync(folder, { recursive: true, force: true })
}
for (const name of failed) console.log(`× ${name}`)
process.exitCode = failed.length === 0 ? 0 : 1

/** A run that leaves no report, or fails without a failed test, counts as a failure of its own. */
function failuresIn(output) {
  const names = []
  try {
    for (const { name: file, message, assertionResults } of JSON.parse(readFileSync(output, 'utf8'))
      .testResults) {
      const own = assertionResults.filter(({ status }) => status === 'failed')
      names.push(...own.map(({ fullName }) => `${file}: ${fullName}`))
      if (own.length === 0 && message) names.push(`${file}: ${message.split('\n', 1)[0]}`)
    }
  } catch (error) {
    names.push(`no report: ${error.message}`)
  }
  return names.length === 0 ? ['the run failed without a failed test'] : names
}
