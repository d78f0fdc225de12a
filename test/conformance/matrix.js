// @ts-check
import { CLIENT_SUITES, CLIENTS, runClientSuite } from './client-suite.js'
import { runSuite, SUITES } from './suite.js'
import { FIXTURES, startTarget } from './target.js'

/** @import { Cell } from './exceptions.js' */
/** @import { ScenarioResult } from './suite.js' */

/**
 * One run of one suite.
 *
 * @typedef {object} Run
 * @property {Cell} cell
 * @property {(onLine?: (line: string) => void) => Promise<{ results: ScenarioResult[], logs: string }>} start
 *   rejects when there is nothing to judge
 */

/**
 * @typedef {object} Choice
 * @property {readonly string[]} suites `<version>/<suite>`
 * @property {readonly string[]} [fixtures] those that do not fit a suite are passed over; default: all that fit
 * @property {string | undefined} [scenario] instead of whole suites
 * @property {boolean} [direct] against the fixture itself
 */

/** Every server suite in front of every fixture, and the client suites. @type {Choice} */
export const WHOLE = {
  suites: [
    '0.1.16/all',
    '0.2.0-alpha.12/2025-11-25',
    '0.2.0-alpha.12/2026-07-28',
    '0.2.0-alpha.12/modern',
    ...Object.entries(CLIENT_SUITES).flatMap(([version, suites]) =>
      Object.keys(suites).map(name => `${version}/${name}`),
    ),
  ],
}

/** What is worth the time for every change. @type {Choice} */
export const SHORT = { ...WHOLE, fixtures: ['legacy-http', 'modern-http', 'legacy-client'] }

/** @type {readonly string[]} */
export const EVERY_FIXTURE = [...FIXTURES, ...CLIENTS]

/** @returns {string[]} the name of every suite there is */
export const everySuite = () =>
  [SUITES, CLIENT_SUITES].flatMap(kind =>
    Object.entries(kind).flatMap(([version, suites]) =>
      Object.keys(suites).map(name => `${version}/${name}`),
    ),
  )

/**
 * @param {Choice} choice
 * @returns {Run[]} fixture by fixture, in the order of the fixtures
 */
export function runsOf({ suites, fixtures, scenario, direct = false }) {
  const wanted = fixtures ?? EVERY_FIXTURE
  const servers = suites.filter(suite => !isClientSuite(suite))
  const clients = direct ? [] : suites.filter(isClientSuite)
  return [
    ...FIXTURES.filter(fixture => wanted.includes(fixture)).flatMap(fixture =>
      servers
        // Without the gateway nothing translates between the eras.
        .filter(suite => !direct || isModernSuite(suite) === fixture.startsWith('modern'))
        .map(suite => serverRun(suite, fixture, direct, scenario)),
    ),
    ...CLIENTS.filter(client => wanted.includes(client)).flatMap(client =>
      clients.map(suite => clientRun(suite, client, scenario)),
    ),
  ]
}

/** Whether a server suite speaks revision 2026-07-28. @param {string} suite `<version>/<suite>` */
const isModernSuite = suite => suite.endsWith('/2026-07-28') || suite.endsWith('/modern')

/** @param {string} suite `<version>/<suite>` */
export const isClientSuite = suite => suite.includes('/client-')

/**
 * @param {string} suite
 * @param {import('./target.js').Fixture} fixture
 * @param {boolean} direct
 * @param {string | undefined} scenario
 * @returns {Run}
 */
function serverRun(suite, fixture, direct, scenario) {
  const [version = '', name = ''] = suite.split('/')
  const args = SUITES[version]?.[name]
  if (!args) throw new Error(`There is no suite ${suite}`)
  const wire = isModernSuite(suite) ? ['--spec-version', '2026-07-28', '--force'] : []
  const only = scenario === undefined ? args : ['--scenario', scenario, ...wire]
  return {
    cell: { suite, fixture, direct },
    start: async onLine => {
      const target = await startTarget(fixture, direct)
      try {
        return { results: await runSuite(version, only, target.url, onLine), logs: target.logs() }
      } finally {
        await target.close()
      }
    },
  }
}

/**
 * @param {string} suite
 * @param {import('./client-suite.js').ClientKind} client
 * @param {string | undefined} only
 * @returns {Run}
 */
function clientRun(suite, client, only) {
  const [version = '', name = ''] = suite.split('/')
  return {
    cell: { suite, fixture: client, direct: false },
    // What the gateway logs is part of a failure's text.
    start: async onLine => ({
      results: await runClientSuite(version, name, client, { only, onLine }),
      logs: '',
    }),
  }
}
