/**
 * Runs tests several times while another job keeps a core busy, and says which of them failed and how often:
 * `npm run test:repeat -- [--times 10] [files…]`. Without files, the whole suite. Ends with 1 when something has failed.
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
/** How often each test failed, by its file and name. */
const failed = new Map()
try {
  for (let run = 1; run <= times; run++) {
    const output = join(folder, `${run}.json`)
    const args = ['vitest', 'run', '--config', 'test/vitest.config.ts', '--retry=0']
    const reporter = ['--reporter=json', `--outputFile=${output}`]
    const { status } = spawnSync('npx', [...args, ...reporter, ...positionals], { stdio: 'inherit' })
    const names = status === 0 ? [] : failuresIn(output)
    for (const name of names) failed.set(name, (failed.get(name) ?? 0) + 1)
    console.log(`run ${run} of ${times}: ${status === 0 ? 'all passed' : `${names.length} failed`}`)
  }
} finally {
  busy.kill('SIGKILL')
  rmSync(folder, { recursive: true, force: true })
}
for (const [name, count] of [...failed].sort(([, a], [, b]) => b - a)) console.log(`${count} × ${name}`)
process.exitCode = failed.size === 0 ? 0 : 1

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
