// @ts-check
import { readFile, readdir } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { endOf, start } from './children.js'
import { installRunner, noChecks, resultOf } from './runner.js'
import { scratchFolder } from './scratch.js'

/** @import { ScenarioResult } from './suite.js' */
/** @import { Runner } from './runner.js' */

const DRIVER = fileURLToPath(new URL('client.js', import.meta.url))

const RUN_TIMEOUT_MS = 60_000

/** The eras of the plain client in front of the gateway. */
export const CLIENTS = /** @type {const} */ (['legacy-client', 'modern-client'])

/** @typedef {(typeof CLIENTS)[number]} ClientKind */

const METADATA = ['default', 'var1', 'var2', 'var3'].map(name => `auth/metadata-${name}`)
const CORE = [
  'initialize',
  'tools_call',
  'elicitation-sep1034-client-defaults',
  'sse-retry',
  ...METADATA,
  'auth/basic-cimd',
  'auth/scope-from-www-authenticate',
  'auth/scope-from-scopes-supported',
  'auth/scope-omitted-when-undefined',
  'auth/scope-step-up',
  'auth/scope-retry-limit',
  'auth/token-endpoint-auth-basic',
  'auth/token-endpoint-auth-post',
  'auth/token-endpoint-auth-none',
  'auth/pre-registration',
]
const EXTENSIONS = [
  'client-credentials-jwt',
  'client-credentials-basic',
  'cross-app-access-complete-flow',
].map(name => `auth/${name}`)
const DRAFT = ['resource-mismatch', 'offline-access-scope', 'offline-access-not-supported'].map(
  name => `auth/${name}`,
)
const BACKCOMPAT = ['auth/2025-03-26-oauth-metadata-backcompat', 'auth/2025-03-26-oauth-endpoint-fallback']

/**
 * What a client suite consists of: its scenarios in their order, those that the runner does not count with the reason, and what
 * else to say to the runner.
 *
 * @typedef {{ scenarios: readonly string[], unscored?: ReadonlyMap<string, string>, args?: readonly string[] }} ClientSuite
 */

/**
 * The client suites of each version of the runner. A date is the frozen set of what that revision requires.
 *
 * @type {Record<string, Record<string, (runner: Runner) => Promise<ClientSuite>>>}
 */
export const CLIENT_SUITES = {
  '0.1.16': {
    'client-core': async () => ({ scenarios: CORE }),
    'client-metadata': async () => ({ scenarios: METADATA }),
    'client-backcompat': async () => ({ scenarios: BACKCOMPAT }),
    'client-extensions': async () => ({ scenarios: EXTENSIONS }),
    'client-draft': async () => ({ scenarios: DRAFT }),
  },
  '0.2.0-alpha.12': {
    'client-2025-11-25': runner => requirements(runner, '2025-11-25'),
    'client-2026-07-28': runner => requirements(runner, '2026-07-28'),
  },
}

/** @param {Runner} runner @param {string} revision @returns {Promise<ClientSuite>} what it demands of clients */
async function requirements(runner, revision) {
  const text = await runner.read(`requirements/${revision}.yaml`)
  const [, required = ''] = /^client:\n((?: {2}- \S+\n)+)/m.exec(text) ?? []
  const counted = [...required.matchAll(/- (\S+)/g)].map(([, name]) => `${name}`)
  const others = text.matchAll(/^ {2}- scenario: (\S+)\n {4}leg: client\n {4}reason: (\S+)$/gm)
  const unscored = new Map([...others].map(([, name, reason]) => [`${name}`, `${reason}`]))
  if (counted.length === 0) throw new Error(`requirements/${revision}.yaml names no scenario for clients`)
  return {
    scenarios: [...counted, ...unscored.keys()],
    unscored,
    args: ['--spec-version', revision, '--force'],
  }
}

/**
 * Runs one client suite: the gateway towards the servers of the suite. One scenario after the other, because some of them measure time.
 *
 * @param {string} version of the runner
 * @param {string} name of the suite
 * @param {ClientKind} client in front of the gateway
 * @param {{ only?: string | undefined, onLine?: ((line: string) => void) | undefined }} [options] `only` this scenario; `onLine` sees the progress
 * @returns {Promise<ScenarioResult[]>} in the order of the suite
 */
export async function runClientSuite(version, name, client, { only, onLine } = {}) {
  const runner = await installRunner(version)
  const suite = await CLIENT_SUITES[version]?.[name]?.(runner)
  if (!suite) throw new Error(`There is no suite ${version}/${name}`)
  const scenarios = only === undefined ? suite.scenarios : [only]
  const results = []
  for (const scenario of scenarios) {
    onLine?.(scenario)
    const result = await runScenario(runner, scenario, client, suite.args ?? [])
    results.push({ ...result, unscored: suite.unscored?.get(scenario) })
  }
  return results
}

/**
 * @param {Runner} runner
 * @param {string} scenario
 * @param {ClientKind} client
 * @param {readonly string[]} args
 * @returns {Promise<ScenarioResult>}
 */
async function runScenario(runner, scenario, client, args) {
  const folder = scratchFolder('runner')
  const output = join(folder, 'results')
  // The runner splits the command at spaces and hands the parts to a shell, which takes the quotes away again.
  const command = `"${process.execPath}" "${DRIVER}" --era ${client.replace('-client', '')}`
  const child = start(
    runner.node,
    [runner.main, 'client', '--command', command, '--scenario', scenario, '-o', output, ...args],
    { cwd: folder },
  )
  let code
  try {
    code = await endOf(child, `The runner of ${scenario}`, RUN_TIMEOUT_MS)
  } finally {
    await child.stop()
  }
  // A scenario whose name has a slash has its results one folder deeper.
  const files = await readdir(output, { recursive: true }).catch(() => [])
  const own = files.find(name => basename(name) === 'checks.json')
  if (own === undefined) {
    return resultOf(scenario, noChecks(scenario, `it ended without results: ${child.output()}`))
  }
  const checks = JSON.parse(await readFile(join(output, own), 'utf8'))
  const result = resultOf(scenario, checks)
  if (code === 0 || result.failed > 0 || result.warned > 0) return result
  const said = await readFile(join(output, dirname(own), 'stderr.txt'), 'utf8')
  return resultOf(scenario, [...checks, ...noChecks(scenario, `the client failed: ${said.slice(-2000)}`)])
}
