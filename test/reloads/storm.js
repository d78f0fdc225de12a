// @ts-check
import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { startRawServer } from '../fixtures/servers/raw.js'
import { callers } from './callers.js'
import { openStreams } from './open-streams.js'

/** @typedef {{ reloads: number, seconds: number, callsPerSecond: number, isShort: boolean }} Storm */

/** The heap is compared between this part of the reloads and all of them. */
const FIRST_PART = 0.1
const MAX_GROWTH = 1.05
/** A few reloads are too few for a steady state. */
const MAX_GROWTH_SHORT = 1.2
/** The one in effect, that of the call that waits for an answer, and those of calls in flight. */
const MAX_GENERATIONS = 4
/** Later than that, a configuration that was written has not been taken over. */
const APPLY_TIMEOUT_MS = 20_000
/** How much longer than planned all of it may take, before the run ends with what it was doing. */
const OVERTIME = 2
const OVERTIME_MS = 60_000
/** The reloads may take this much longer than they should. */
const MAX_LATENESS = 1.02

const BIN = fileURLToPath(new URL('../../bin/mcp-manifold.cjs', import.meta.url))
const RAW = fileURLToPath(new URL('../fixtures/servers/raw.js', import.meta.url))
const PROBE = new URL('heap-probe.mjs', import.meta.url).href
const GATEWAYS = ['over HTTP', 'of a legacy client on stdio', 'of a modern client on stdio']

/** @param {string} legacyUrl @param {string} modernUrl @param {number} number of the reload; 0 is the start */
function configuration(legacyUrl, modernUrl, number) {
  const odd = number % 2 === 1
  const stdio = (/** @type {string} */ name) => ({
    command: process.execPath,
    args: [RAW, '--transport', 'stdio', '--name', name],
  })
  return {
    mcpServers: {
      legacy: { url: legacyUrl, timeout: odd ? '10m' : '11m' },
      modern: { url: modernUrl },
      pipe: { ...stdio('pipe'), tools: { hang: { hidden: odd } } },
      changing: { ...stdio('changing'), env: { NUMBER: String(number) } },
      ...(odd && { comes: { url: modernUrl } }),
    },
    profiles: { some: { servers: odd ? ['legacy'] : ['legacy', 'modern'] } },
    gateway: {
      http: { port: 0 },
      state: 'memory',
      audit: { file: 'off' },
      policy: { deny: [`pipe/never_${number}`] },
      queue: 200 + (number % 7),
    },
  }
}

/** @param {() => boolean} condition @param {number} withinMs */
async function until(condition, withinMs) {
  for (const end = performance.now() + withinMs; performance.now() < end; await pause(5))
    if (condition()) return true
  return condition()
}

/** What a gateway has logged: its end, and how often it has taken over a configuration. */
class Log {
  applied = 0
  text = ''
  #rest = ''

  /** @param {string} chunk */
  take(chunk) {
    this.text = (this.text + chunk).slice(-200_000)
    const lines = (this.#rest + chunk).split('\n')
    this.#rest = lines.pop() ?? ''
    for (const line of lines)
      if (line.includes('The configuration has changed and is in effect')) this.applied++
  }
}

/**
 * Reloads three gateways under load.
 * @param {Storm} options
 * @returns {Promise<string[]>} what is wrong
 */
export async function storm({ reloads, seconds, callsPerSecond, isShort }) {
  /** @type {string[]} */
  const wrong = []
  let step = 'the start of the servers'
  const allowedMs = seconds * 1000 * OVERTIME + OVERTIME_MS
  setTimeout(() => {
    console.log(`  WRONG: not at an end after ${(allowedMs / 1000).toFixed(0)} s, at this step: ${step}`)
    process.exit(1)
  }, allowedMs).unref()

  const directory = mkdtempSync(join(tmpdir(), 'reloads-'))
  const file = join(directory, 'servers.json')
  const heapFile = join(directory, 'heap')
  writeFileSync(heapFile, '')
  const legacy = await startRawServer({ name: 'legacy', answers: 'sse' })
  const modern = await startRawServer({ name: 'modern', era: 'modern' })
  const write = (/** @type {number} */ number) => {
    writeFileSync(`${file}.new`, JSON.stringify(configuration(legacy.url, modern.url, number), undefined, 2))
    renameSync(`${file}.new`, file)
  }

  step = 'the start of the gateways'
  write(0)
  const logs = GATEWAYS.map(() => new Log())
  const gateway = spawn(
    process.execPath,
    ['--expose-gc', '--import', PROBE, BIN, 'serve', '--config', file],
    {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, HEAP_FILE: heapFile, NODE_NO_WARNINGS: '1' },
    },
  )
  process.on('exit', () => gateway.kill('SIGKILL'))
  let said = ''
  gateway.stdout.setEncoding('utf8').on('data', chunk => (said += chunk))
  gateway.stderr.setEncoding('utf8').on('data', chunk => logs[0]?.take(chunk))
  const origin = () => /http:\/\/127\.0\.0\.1:\d+/.exec(said)?.[0]
  if (!(await until(() => origin() !== undefined, APPLY_TIMEOUT_MS)))
    return [`the gateway does not listen: ${said}${logs[0]?.text}`]

  /** Bytes of the gateway's heap after a collection, those of its data, and its generations. */
  const heap = async () => {
    const lines = () => readFileSync(heapFile, 'utf8').split('\n').filter(Boolean)
    const before = lines().length
    gateway.kill('SIGUSR2')
    if (!(await until(() => lines().length > before, APPLY_TIMEOUT_MS)))
      throw new Error('The heap could not be measured.')
    const [bytes = 0, code = 0, generations = 0] = (lines().at(-1) ?? '').split(' ').map(Number)
    return { bytes, data: bytes - code, generations }
  }

  step = 'the first calls'
  const entrance = { origin: String(origin()), file, bin: BIN }
  const load = await callers(entrance, callsPerSecond, index => chunk => logs[index + 1]?.take(chunk))
  const streams = await openStreams(entrance)
  await pause(1000)
  const greeted = () => legacy.received.filter(text => text.includes('"initialize"')).length
  const greetedBefore = greeted()

  console.log(`${reloads} reloads in ${seconds} s, ${callsPerSecond} calls a second`)
  const first = performance.now()
  /** @type {number[]} */
  const tookMs = []
  let early = { bytes: 0, data: 0, generations: 0 }
  for (let number = 1; number <= reloads; number++) {
    step = `reload ${number}`
    const at = performance.now()
    write(number)
    if (!(await until(() => logs.every(({ applied }) => applied >= number), APPLY_TIMEOUT_MS))) {
      const late = GATEWAYS.filter((_, index) => (logs[index]?.applied ?? 0) < number)
      wrong.push(
        `reload ${number} was not applied within ${APPLY_TIMEOUT_MS / 1000} s by the gateway ${late.join(', ')}`,
      )
      break
    }
    tookMs.push(performance.now() - at)
    if (number === Math.ceil(reloads * FIRST_PART)) early = await heap()
    const due = first + (number / reloads) * seconds * 1000
    if (performance.now() < due) await pause(due - performance.now())
  }
  const allMs = performance.now() - first
  if (!isShort && allMs > seconds * 1000 * MAX_LATENESS)
    wrong.push(`${tookMs.length} reloads took ${(allMs / 1000).toFixed(0)} s`)
  step = 'the measurement of the heap'
  await pause(1000)
  const late = await heap()

  step = 'the last calls'
  for (const failure of await load.stop()) wrong.push(failure)
  step = 'the end of what stood open'
  legacy.updated('raw://item/1')
  modern.updated('raw://item/1')
  await pause(1000)
  for (const failure of await streams.end()) wrong.push(failure)
  if (greeted() !== greetedBefore)
    wrong.push(`the unchanged server was greeted ${greeted() - greetedBefore} times more`)
  // The engine compiles more and more of the program for minutes.
  const growth = late.data / early.data
  const maxGrowth = isShort ? MAX_GROWTH_SHORT : MAX_GROWTH
  if (growth > maxGrowth)
    wrong.push(`the heap grew to ${growth.toFixed(3)} of what it was, more than ${maxGrowth}`)
  if (late.generations > MAX_GENERATIONS) wrong.push(`${late.generations} generations are left`)

  const mb = (/** @type {number} */ bytes) => (bytes / 1024 / 1024).toFixed(1)
  const sorted = tookMs.toSorted((a, b) => a - b)
  const part = (/** @type {number} */ share) =>
    (sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0).toFixed(0)
  console.log(`  ${tookMs.length} applied by all three gateways in ${(allMs / 1000).toFixed(0)} s`)
  console.log(`  in effect after ${part(0.5)} ms (p50), ${part(0.99)} ms (p99), ${part(1)} ms (max)`)
  console.log(`  ${load.calls} calls, ${load.failed} failed`)
  console.log(
    `  heap without compiled code: ${mb(early.data)} MB after the first ${Math.ceil(reloads * FIRST_PART)}, ${mb(late.data)} MB after all: ${growth.toFixed(3)}×`,
  )
  console.log(
    `  heap with compiled code: ${mb(early.bytes)} MB, ${mb(late.bytes)} MB: ${(late.bytes / early.bytes).toFixed(3)}×; ${late.generations} generations`,
  )
  if (wrong.length > 0) writeFileSync(join(tmpdir(), 'reloads-log.txt'), logs[0]?.text ?? '')

  step = 'the end of the gateway'
  gateway.kill('SIGTERM')
  await until(() => gateway.exitCode !== null, APPLY_TIMEOUT_MS)
  await Promise.all([legacy.close(), modern.close()])
  rmSync(directory, { recursive: true, force: true })
  return wrong
}
