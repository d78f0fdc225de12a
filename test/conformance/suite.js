// @ts-check
import { readFile, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { endOf, start } from './children.js'
import { installRunner, noChecks, resultOf } from './runner.js'
import { scratchFolder } from './scratch.js'

/** @import { Check } from './runner.js' */
/** @import { ScenarioResult } from './suite.js' */

const RUN_TIMEOUT_MS = 300_000

/**
 * The server suites of each version of the runner: what to say to it. The first one is the default. A date is the frozen
 * set of what that revision requires; `modern` is everything that applies to 2026-07-28.
 *
 * @type {Record<string, Record<string, readonly string[]>>}
 */
export const SUITES = {
  '0.1.16': {
    active: ['--suite', 'active'],
    all: ['--suite', 'all'],
    pending: ['--suite', 'pending'],
  },
  '0.2.0-alpha.12': {
    '2025-11-25': ['--requirements', '2025-11-25'],
    '2026-07-28': ['--requirements', '2026-07-28'],
    modern: ['--suite', 'all', '--spec-version', '2026-07-28'],
    active: ['--suite', 'active'],
    all: ['--suite', 'all'],
  },
}

/**
 * Runs one suite against a server.
 *
 * @param {string} version of the runner
 * @param {readonly string[]} args suite arguments, or `--scenario` and a name
 * @param {string} url
 * @param {(line: string) => void} [onLine] sees the progress of the runner
 * @returns {Promise<ScenarioResult[]>} in the order of the suite; rejects when the runner did not get that far
 */
export async function runSuite(version, args, url, onLine) {
  const runner = await installRunner(version)
  const folder = scratchFolder('runner')
  const output = join(folder, 'results')
  const child = start(runner.node, [runner.main, 'server', '--url', url, '-o', output, ...args], {
    cwd: folder,
  })
  let text = ''
  child.process.stdout?.on('data', chunk => {
    text += chunk
    for (const line of String(chunk).split('\n')) if (line.trim()) onLine?.(line)
  })
  await endOf(child, `The runner ${version}`, RUN_TIMEOUT_MS)

  const one = args[0] === '--scenario' ? args[1] : undefined
  const scenarios = one
    ? [one]
    : [...text.matchAll(/^=== Running scenario: (\S+) ===$/gm)].map(found => String(found[1]))
  if (scenarios.length === 0 || (!one && !text.includes('=== SUMMARY ==='))) {
    throw new Error(`The runner ${version} did not finish. Its output:\n${child.output()}`)
  }
  const unscored = unscoredOf(text)
  const folders = await readdir(output).catch(() => [])
  return await Promise.all(
    scenarios.map(async scenario => ({
      ...resultOf(scenario, await checksOf(output, folders, scenario)),
      unscored: unscored.get(scenario),
    })),
  )
}

/**
 * @param {string} text what the runner printed
 * @returns {Map<string, string>} scenario to reason, for those that a frozen set runs without counting them
 */
function unscoredOf(text) {
  const start = text.search(/^Not scored for /m)
  const section = start < 0 ? '' : text.slice(start)
  return new Map(
    [...section.matchAll(/^ {2}[✓✗] (\S+) \((.+)\)$/gm)].map(([, name, why]) => [`${name}`, `${why}`]),
  )
}

/**
 * @param {string} output
 * @param {readonly string[]} folders the names in it: `server-<scenario>-<time>`
 * @param {string} scenario
 * @returns {Promise<Check[]>}
 */
async function checksOf(output, folders, scenario) {
  const own = folders.find(name => name.replace(/-\d{4}-\d\d-\d\dT[\d-]+Z$/, '') === `server-${scenario}`)
  try {
    if (own === undefined) throw new Error('no results')
    return JSON.parse(await readFile(join(output, own, 'checks.json'), 'utf8'))
  } catch {
    return noChecks(scenario, 'the scenario ended without results')
  }
}
