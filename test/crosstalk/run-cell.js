// @ts-check
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Actor, heardBy } from './actor.js'
import { openSharedState } from './shared-state.js'
import { withKeys } from './keys.js'
import { Ledger } from './ledger.js'
import { createRandom } from './random.js'
import { isReplaced } from './whole-updates.js'

const SERVER = fileURLToPath(new URL('server.js', import.meta.url))
const wait = (/** @type {number} */ ms) => new Promise(resolve => setTimeout(resolve, ms))
/** How long what is under way may take to arrive. */
const SETTLE_MS = 500
/** Records of the gateway's log this long before and after the end of a stream may explain it. */
const NEAR_MS = 3000
const GROW_EVERY_MS = 1500

/**
 * Lets many clients of both eras use one server through one gateway, and holds what arrives against what was sent.
 *
 * @param {import('./run-cell.js').CellOptions} options
 * @returns {Promise<import('./run-cell.js').CellReport>}
 */
export async function runCell({ era, transport, clients, seconds, seed, restarts = false, openGateway }) {
  const random = createRandom(seed)
  const ledger = new Ledger()
  const directory = await mkdtemp(join(tmpdir(), 'crosstalk-'))
  const ran = join(directory, 'ran.txt')
  await writeFile(ran, '')
  const shared = await openSharedState()
  shared.grow()
  const args = [SERVER, '--era', era, '--transport', transport, '--shared', String(shared.port), '--ran', ran]
  const upstream = transport === 'http' ? await startHttp(args) : undefined
  const uris = Array.from({ length: 6 }, (_, k) => `xt:///common/${k}`)
  /** @type {import('./actor.js').World} */
  const world = { origin: '', ledger, era, transport, restarts, touches: [], uris }
  const actors = Array.from({ length: clients }, (_, index) => new Actor(index, world, random.fork()))
  const gateway = await openGateway({
    mcpServers: { crosstalk: upstream ? { url: upstream.url } : { command: process.execPath, args } },
    ...withKeys(actors.filter(({ hasKey }) => hasKey).map(({ index }) => index)),
  })
  world.origin = gateway.origin
  const start = performance.now()
  try {
    // The first client would find a server that was not listed yet.
    await actors[1]?.open()
    await actors[1]?.tools()
    await Promise.all(actors.filter((_, index) => index !== 1).map(actor => actor.open()))
    const acting = Promise.all(actors.map(actor => actor.act()))
    const until = performance.now() + seconds * 1000
    let nextGrowth = performance.now() + GROW_EVERY_MS / 2
    let nextDeath = performance.now() + 1000
    while (performance.now() < until) {
      await wait(50)
      if (performance.now() >= nextGrowth) {
        nextGrowth = performance.now() + GROW_EVERY_MS
        shared.grow()
      }
      if (restarts && performance.now() >= nextDeath && performance.now() < until - 1500) {
        nextDeath = performance.now() + random.between(500, 2500)
        ledger.count('server killed', await killServer(upstream, random, ran))
      }
    }
    for (const actor of actors) actor.stopped = true
    await acting
    await wait(SETTLE_MS)
    if (restarts) await subscriptionsWork(actors, world)
    else {
      await hearLast(actors, world)
      checkUpdates(actors, world, start)
    }
    await listIsKnown(actors, shared, ledger)
    for (const actor of actors) checkCalls(actor, world)
    await checkRan(ran, ledger)
    checkRefusals(shared, actors, ledger)
    checkStreams(actors, ledger, start, gateway.log ?? [])
    for (const text of shared.violations) ledger.misdelivered.push(`server: ${text}`)
  } finally {
    await Promise.all(actors.map(actor => actor.close()))
    await gateway.close()
    await upstream?.stop()
    await shared.close()
    await rm(directory, { recursive: true, force: true })
  }
  return { clean: ledger.clean, report: ledger.report(), counts: Object.fromEntries(ledger.counts) }
}

/** What a call sent against what arrived. @param {Actor} actor @param {import('./actor.js').World} world */
function checkCalls(actor, world) {
  const { ledger, era, transport } = world
  const rank = (/** @type {string} */ level) => ['debug', 'info', 'warning', 'error'].indexOf(level)
  // Which of several calls a record on one pipe belongs to cannot be known, unless the pipe serves only one session.
  const logsAreSure = transport === 'http' || (era === 'legacy' && actor.asks && !actor.modern)
  for (const { nonce, token, progress, logs, cancelled, result } of actor.calls.values()) {
    if (!result || cancelled) continue
    // While a modern client thinks there is no stream that progress could go to, and it may think about what another of its calls needs.
    const loose = actor.hasKey ? result.progress : era === 'legacy' && actor.modern ? result.loose : 0
    if (token !== 'none' && (progress > result.progress || progress < result.progress - loose))
      ledger[progress > result.progress ? 'doubled' : 'lost'].push(
        `client ${actor.index}: ${nonce}: ${progress} of ${result.progress} progress notifications, ${loose} of them loose`,
      )
    ledger.count('progress: dropped by rule', Math.max(0, result.progress - progress))
    const wanted = result.logs.filter((/** @type {string} */ level) =>
      actor.level === undefined ? !actor.modern : rank(level) >= rank(actor.level),
    )
    if (logs.length > wanted.length)
      ledger.doubled.push(`client ${actor.index}: ${nonce}: log records ${logs} of ${wanted}`)
    else if (logs.length < wanted.length) {
      if (logsAreSure) ledger.lost.push(`client ${actor.index}: ${nonce}: log records ${logs} of ${wanted}`)
      else ledger.count('logs: dropped by rule', wanted.length - logs.length)
    }
  }
}

/** A question is refused only when its call was cancelled, or failed. @param {import('./shared-state.js').SharedState} shared @param {Actor[]} actors @param {Ledger} ledger */
function checkRefusals(shared, actors, ledger) {
  for (const { nonce, text } of shared.refusals) {
    ledger.count('questions: refused, their calls cancelled')
    const call = actors.map(actor => actor.calls.get(nonce)).find(known => known !== undefined)
    if (!call || call.result) ledger.unexplained.push(`a question of ${nonce} was refused: ${text}`)
  }
}

/** Every listening that stands hears of a last touch, and so has heard of all before. @param {Actor[]} actors @param {import('./actor.js').World} world */
async function hearLast(actors, world) {
  const last = async (/** @type {string} */ uri) => {
    const standing = actors
      .flatMap(actor => actor.listenings)
      .filter(({ uris, from, until }) => uris.has(uri) && from < Infinity && until === Infinity)
    const touch = await actors[0]?.touch(uri)
    if (touch) await heardBy(standing, touch)
  }
  await Promise.all(world.uris.map(last))
}

/**
 * Which actors had to hear of which touch. A touch is due when it began after the subscription was confirmed, and was
 * answered before the last touch of the listener began.
 *
 * @param {Actor[]} actors
 * @param {import('./actor.js').World} world
 * @param {number} start
 */
function checkUpdates(actors, { touches, ledger }, start) {
  const at = (/** @type {number} */ moment) => `${((moment - start) / 1000).toFixed(1)} s`
  for (const actor of actors) {
    for (const { uris, from, until, last, heard, whole, isOver, stream } of actor.listenings) {
      const due = touches.filter(
        ({ nonce, uri, begun, ended }) =>
          uris.has(uri) &&
          ended < Infinity &&
          begun >= from &&
          (ended <= until || (nonce === last && !isOver)),
      )
      const unheard = due.filter(({ nonce }) => !heard.has(nonce))
      const lost = unheard.filter(touch => !isReplaced(touch, whole))
      ledger.count('updates: replaced by whole ones', unheard.length - lost.length)
      ledger.count('updates: due', due.length)
      ledger.count('updates: twice', [...heard.values()].filter(times => times > 1).length)
      const [first] = lost
      const final = lost.at(-1)
      if (!first || !final) continue
      ledger.count('updates: lost', lost.length)
      const told = (/** @type {import('./actor.js').Touch} */ { uri, nonce, ended }) =>
        `${uri} by ${nonce}, answered at ${at(ended)}`
      ledger.lost.push(
        `client ${actor.index} (${actor.modern ? 'modern' : 'legacy'}): ${lost.length} of ${due.length} updates, from ${told(first)}, to ${told(final)}; listens from ${at(from)} to ${at(until)}; ${stream.describe(start)}`,
      )
    }
  }
}

/**
 * The streams that ended although their clients wanted them, with what the gateway logged at that time.
 *
 * @param {Actor[]} actors
 * @param {Ledger} ledger
 * @param {number} start
 * @param {readonly { readonly at: number, readonly text: string }[]} log
 */
function checkStreams(actors, ledger, start, log) {
  for (const actor of actors) {
    ledger.count('streams', actor.streams.length)
    for (const stream of actor.streams) {
      ledger.count('streams: resumed', stream.resumed)
      const [end] = stream.ends
      if (!end) continue
      const near = log.filter(({ at }) => Math.abs(at - end.at) < NEAR_MS).map(({ text }) => text)
      const said = near.length === 0 ? 'the gateway logged nothing then' : `the gateway logged ${near[0]}`
      ledger.ended.push(
        `client ${actor.index} (${actor.modern ? 'modern' : 'legacy'}): ${stream.describe(start)}; ${said}`,
      )
    }
  }
}

/** After the last restart every subscription works again. @param {Actor[]} actors @param {import('./actor.js').World} world */
async function subscriptionsWork(actors, world) {
  const deadline = performance.now() + 20_000
  for (const uri of world.uris) {
    const listenings = actors
      .flatMap(actor => actor.listenings)
      .filter(({ uris, from, until }) => uris.has(uri) && from < Infinity && until === Infinity)
    /** @type {Set<string>} */
    const nonces = new Set()
    const deaf = () => listenings.filter(({ heard }) => ![...nonces].some(nonce => heard.has(nonce)))
    do {
      for (const actor of actors.slice(0, 4)) nonces.add((await actor.touch(uri)).nonce)
      await wait(100)
    } while (deaf().length > 0 && performance.now() < deadline)
    world.ledger.count('subscriptions: restored', listenings.length - deaf().length)
    for (const _ of deaf()) world.ledger.lost.push(`a subscription of ${uri} does not work again`)
  }
}

/** Every actor hears of a changed list and sees it. @param {Actor[]} actors @param {import('./shared-state.js').SharedState} shared @param {Ledger} ledger */
async function listIsKnown(actors, shared, ledger) {
  const before = actors.map(actor => actor.listChanges)
  const newest = `crosstalk__extra-${shared.grow()}`
  const deadline = performance.now() + 10_000
  for (const [at, actor] of actors.entries()) {
    while (actor.listChanges === before[at] && performance.now() < deadline) await wait(20)
    if (actor.listChanges === before[at])
      ledger.lost.push(`client ${actor.index}: never heard of the changed list`)
    else if (!(await actor.tools()).includes(newest))
      ledger.lost.push(`client ${actor.index}: does not see the changed list`)
    ledger.count('changed lists heard of', actor.listChanges)
  }
}

/** Nothing ran twice. @param {string} ran @param {Ledger} ledger */
async function checkRan(ran, ledger) {
  const lines = (await readFile(ran, 'utf8')).split('\n').filter(line => line !== '')
  ledger.count('executions', lines.length)
  const seen = new Set()
  for (const line of lines) {
    if (seen.has(line)) ledger.doubled.push(`ran twice: ${line}`)
    seen.add(line)
  }
}

/** A server in a process of its own, which can be killed and comes back at the same port. @param {string[]} args */
async function startHttp(args) {
  /** @type {import('node:child_process').ChildProcess} */
  let child
  const start = async (/** @type {string} */ port) => {
    child = spawn(process.execPath, [...args, '--port', port], { stdio: ['ignore', 'pipe', 'inherit'] })
    let said = ''
    for await (const chunk of /** @type {import('node:stream').Readable} */ (child.stdout)) {
      said += chunk
      const url = /listening (\S+)/.exec(said)?.[1]
      if (url !== undefined) return url
    }
    throw new Error(`the server did not start: ${said}`)
  }
  const url = await start('0')
  const stop = async () => {
    const ended = once(child, 'close')
    child.kill('SIGKILL')
    await ended
  }
  return {
    url,
    stop,
    async restart() {
      await stop()
      await start(new URL(url).port)
    },
  }
}

/**
 * Kills the server, or one of its processes, in the middle of whatever it does.
 *
 * @param {Awaited<ReturnType<typeof startHttp>> | undefined} upstream
 * @param {import('./random.js').Random} random
 * @param {string} ran marks the processes of this run
 * @returns {Promise<number>} how many processes
 */
async function killServer(upstream, random, ran) {
  if (upstream) {
    await upstream.restart()
    return 1
  }
  const { processesWith } = await import('./processes.js')
  const pids = processesWith(ran)
  const all = random.chance(0.2)
  const last = pids.at(-1)
  const chosen = pids.filter(pid => all || pid === last || random.chance(0.3))
  for (const pid of chosen) {
    try {
      process.kill(pid, 'SIGKILL')
    } catch {
      // It was faster.
    }
  }
  return chosen.length
}
