// @ts-check
import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { endOf, start } from './children.js'
import { scratchFolder } from './scratch.js'

const PACKAGE = '@modelcontextprotocol/conformance'

/** Downloading is part of it. */
const INSTALL_TIMEOUT_MS = 600_000

/**
 * One version of the official runner on this machine.
 *
 * @typedef {object} Runner
 * @property {string} node the Node it runs on
 * @property {string} main the program
 * @property {(file: string) => Promise<string>} read gives a file of its package
 */

/** @type {Map<string, Promise<Runner>>} */
const runners = new Map()

/**
 * @param {string} version
 * @returns {Promise<Runner>} downloaded when npx does not have it yet
 */
export function installRunner(version) {
  const known = runners.get(version) ?? install(version)
  runners.set(version, known)
  return known
}

/** @param {string} version @returns {Promise<Runner>} */
async function install(version) {
  // The runner needs Node 22; an older machine borrows a newer one for it alone.
  const node = Number(process.versions.node.split('.')[0]) >= 22 ? [] : ['-p', 'node@24']
  const asked = 'JSON.stringify([process.execPath, process.env.PATH])'
  const child = start(
    process.platform === 'win32' ? 'npx.cmd' : 'npx',
    ['-y', ...node, '-p', `${PACKAGE}@${version}`, 'node', '-p', asked],
    { cwd: scratchFolder('npx') },
  )
  let answer = ''
  child.process.stdout?.on('data', chunk => (answer += chunk))
  const code = await endOf(child, `npx for ${PACKAGE}@${version}`, INSTALL_TIMEOUT_MS)
  if (code !== 0) throw new Error(`npx could not provide ${PACKAGE}@${version}:\n${child.output()}`)
  const [program, path] = JSON.parse(answer)
  // What npx provides is in the first of the folders, beside the links to its programs.
  const folders = String(path)
    .split(delimiter)
    .map(bin => join(bin, '..', PACKAGE))
  const folder = folders.find(folder => existsSync(join(folder, 'package.json')))
  if (folder === undefined) throw new Error(`${PACKAGE}@${version} is in none of ${folders.join(', ')}`)
  return {
    node: program,
    main: join(folder, 'dist/index.js'),
    read: file => readFile(join(folder, file), 'utf8'),
  }
}

/**
 * One check as the runner keeps it.
 *
 * @typedef {{ id: string, name?: string, status: string, errorMessage?: string }} Check
 */

/** @param {string} scenario @param {string} why @returns {Check[]} the only check of a scenario that left none */
export const noChecks = (scenario, why) => [{ id: scenario, status: 'FAILURE', errorMessage: why }]

/** @param {string} scenario @param {readonly Check[]} checks @returns {import('./suite.js').ScenarioResult} */
export function resultOf(scenario, checks) {
  const of = (/** @type {string} */ status) => checks.filter(check => check.status === status)
  const failures = of('FAILURE')
  return {
    scenario,
    passed: of('SUCCESS').length,
    failed: failures.length,
    warned: of('WARNING').length,
    unscored: undefined,
    failures: failures.map(({ id, name, errorMessage }) => `${id}: ${errorMessage ?? name ?? 'failed'}`),
  }
}
