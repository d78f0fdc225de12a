// @ts-check
import { makeCertificates } from './certificates.js'
import { openClient } from './client.js'
import { gatewayConfig } from './config.js'
import { NameServer } from './dns.js'
import { expected, FAULTS } from './faults.js'
import { Ledger } from './ledger.js'
import { discard, scratch, startGateway, wait } from './processes.js'
import { LATEST_MS, Scene } from './scene.js'

/** Every fault, for every kind of call, with one replica and with two, in front of servers of one era over one transport. */

/** Cells at once. */
const LANES = 8
/** Calls before the fault, so that it is known how long one takes. */
const WARM_CALLS = 40
const LIST_MS = 25_000

/** @typedef {import('./client.js').Kind} Kind */
/** @typedef {import('./replica.js').Era} Era */
/** @type {readonly Kind[]} */
export const KINDS = ['read', 'marked', 'unmarked']

/**
 * @typedef {object} Group
 * @property {Era} era of the servers
 * @property {Era} client
 * @property {'stdio' | 'http'} transport of both
 *
 * @typedef {object} Cell
 * @property {string} fault
 * @property {Kind} kind
 * @property {1 | 2} replicas
 *
 * @typedef {object} CellOutcome
 * @property {Group} group
 * @property {Cell} cell
 * @property {string} outcome what the client saw
 * @property {number} runs
 * @property {number} ms
 * @property {string[]} wrong what differs from what must be
 */

/**
 * @param {Group} group
 * @param {(cell: Cell) => boolean} wanted
 * @param {string} log level of the gateway
 * @returns {Promise<CellOutcome[]>}
 */
export async function runGroup(group, wanted, log) {
  const { era, transport } = group
  const directory = scratch()
  const ledger = new Ledger(directory)
  const names = new NameServer()
  await names.listen()
  const cells = FAULTS.filter(fault => fault[transport] === true).flatMap(fault =>
    KINDS.flatMap(kind =>
      /** @type {const} */ ([2, 1])
        .filter(replicas => wanted({ fault: fault.name, kind, replicas }))
        .map(replicas => ({ fault, kind, replicas })),
    ),
  )
  const secure = cells.some(({ fault }) => fault.at === 'certificate')
  const certificates = secure ? makeCertificates(directory) : undefined
  const world = { era, transport, ledger, names, certificates }
  const scenes = cells.map(
    ({ fault, kind, replicas }, at) => new Scene(`c${at}`, fault, kind, replicas, world),
  )
  await inLanes(scenes, scene => scene.open())
  const nameServer = cells.some(({ fault }) => ['addresses', 'services'].includes(fault.at))
    ? names.address
    : undefined
  const env = certificates ? { NODE_EXTRA_CA_CERTS: certificates.authority } : {}
  const config = gatewayConfig(
    scenes.map(scene => scene.settings),
    nameServer,
  )
  try {
    const gateway = await startGateway(config, { front: transport, log, env })
    try {
      const client = await openClient(group.client, gateway)
      await listed(client, scenes)
      // What takes longest begins first.
      const order = scenes.toSorted((a, b) => Number(b.fault.at === 'start') - Number(a.fault.at === 'start'))
      /** @type {CellOutcome[]} */
      const outcomes = []
      await inLanes(order, async scene => {
        outcomes.push(await play(group, scene, client, ledger))
      })
      await client.close()
      return outcomes
    } finally {
      await gateway.close()
    }
  } finally {
    await Promise.all(scenes.map(scene => scene.close()))
    names.close()
    discard(directory)
  }
}

/**
 * @param {Group} group
 * @param {Scene} scene
 * @param {import('./client.js').Client} client
 * @param {Ledger} ledger
 * @returns {Promise<CellOutcome>}
 */
async function play(group, scene, client, ledger) {
  const { fault, kind, count, id } = scene
  const cell = { fault: fault.name, kind, replicas: count }
  /** @type {string[]} */
  const wrong = []
  const warm = scene.settings.hedge && count === 2 ? WARM_CALLS : 2
  for (let times = 0; times < warm; times++) {
    const { outcome, text } = await client.call(id, 'marked', scene.key())
    if (outcome === 'result') continue
    // Without a server that works there is nothing to strike.
    return {
      group,
      cell,
      outcome: 'did not begin',
      runs: 0,
      ms: 0,
      wrong: [`before the fault: ${outcome}: ${text}`],
    }
  }
  const { first } = scene
  const atFirst = [...ledger.runs()].some(([key, [at]]) => key.startsWith(`${id}-`) && at === first)
  if (first !== undefined && !atFirst) wrong.push('the first replica got no call before the fault')
  const { key, outcome, text, ms, struck } = await scene.strike(client)
  if (!struck) wrong.push(`the fault did not strike as it should: ${text}`)
  if (!(await scene.recovers(client))) {
    if (!(fault.lasting && count === 1)) wrong.push('the server could not be used again')
  }
  // What was cancelled may still be on its way.
  await wait(100)
  const runs = ledger.runs().get(key)?.length ?? 0
  const must = expected(fault, kind, count)
  const saved = outcome === 'result'
  if (saved && must.outcome === 'error') wrong.push('a result, where there can be none')
  if (!saved && must.outcome === 'result') wrong.push(`not saved: ${outcome}: ${text}`)
  if (!saved && !must.codes.includes(outcome))
    wrong.push(`the error is not one of ${must.codes.join(', ')}: ${text}`)
  else if (!saved && !text.includes(`"${id}"`)) wrong.push(`the error does not name the server: ${text}`)
  if (runs < must.minRuns || runs > must.maxRuns) {
    const range = must.minRuns === must.maxRuns ? must.minRuns : `${must.minRuns} to ${must.maxRuns}`
    wrong.push(`ran ${runs} times and not ${range}`)
  }
  if (ms > LATEST_MS) wrong.push(`ended after ${Math.round(ms)} ms, beyond the deadline`)
  return { group, cell, outcome, runs, ms, wrong }
}

/** Waits until the tools of all servers are listed, or as long as it makes sense. @param {import('./client.js').Client} client @param {readonly Scene[]} scenes */
async function listed(client, scenes) {
  const end = performance.now() + LIST_MS
  while (performance.now() < end) {
    const tools = new Set(await client.tools())
    if (scenes.every(({ id }) => tools.has(`${id}__marked`))) return
    await wait(200)
  }
}

/** @template T @param {readonly T[]} list @param {(item: T) => Promise<void>} run */
async function inLanes(list, run) {
  let next = 0
  const lane = async () => {
    for (let item = list[next++]; item !== undefined; item = list[next++]) await run(item)
  }
  await Promise.all(Array.from({ length: LANES }, lane))
}
