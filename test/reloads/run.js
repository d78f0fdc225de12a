// @ts-check
/**
 * Reloads of the configuration under load.
 *
 *   npm run reloads -- [--reloads 500] [--seconds 200] [--short]
 *
 * A gateway that serves HTTP and two on stdio read one file, which is written anew again and again. Clients of both eras
 * call servers that stay the same and one that changes each time. A session waits for the answer to an elicitation, and
 * streams stand open from the first reload to the last. Ends with 1 if a call failed, a stream of an unchanged server
 * was closed, an unchanged server was started or greeted again, or the heap grew.
 */
import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { startRawServer } from '../fixtures/servers/raw.js'
import { callers } from './callers.js'
import { openStanding } from './standing.js'

const { values } = parseArgs({
  options: {
    reloads: { type: 'string', default: '500' },
    seconds: { type: 'string', default: '200' },
    short: { type: 'boolean', default: false },
  },
})
const reloads = values.short ? 40 : Number(values.reloads)
const seconds = values.short ? 16 : Number(values.seconds)
/** The heap is compared between this part of the reloads and all of them. */
const FIRST_PART = 0.1
const MAX_GROWTH = 1.05
/** Later than that, a reload that was written has not been taken over. */
const APPLY_TIMEOUT_MS = 10_000

const BIN = fileURLToPath(new URL('../../bin/mcp-manifold.js', import.meta.url))
const RAW = fileURLToPath(new URL('../fixtures/servers/raw.js', import.meta.url))
const PROBE = new URL('heap-probe.mjs', import.meta.url).href

const directory = mkdtempSync(join(tmpdir(), 'reloads-'))
const file = join(directory, 'servers.json')
const heapFile = join(directory, 'heap')
const legacy = await startRawServer({ name: 'legacy', answers: 'sse' })
const modern = await startRawServer({ name: 'modern', era: 'modern' })

/** @param {number} number of the reload; 0 is the start */
function write(number) {
  const odd = number % 2 === 1
  const stdio = (/** @type {string} */ name) => ({
    command: process.execPath,
    args: [RAW, '--transport', 'stdio', '--name', name],
  })
  const config = {
    mcpServers: {
      legacy: { url: legacy.url, timeout: odd ? '10m' : '11m' },
      modern: { url: modern.url },
      pipe: { ...stdio('pipe'), tools: { hang: { hidden: odd } } },
      changing: { ...stdio('changing'), env: { NUMBER: String(number) } },
      ...(odd && { comes: stdio('comes') }),
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
  const fresh = `${file}.new`
  writeFileSync(fresh, JSON.stringify(config, undefined, 2))
  renameSync(fresh, file)
}

write(0)
const gateway = spawn(process.execPath, ['--expose-gc', '--import', PROBE, BIN, 'serve', '--config', file], {
  stdio: ['ignore', 'pipe', 'pipe'],
  env: { ...process.env, HEAP_FILE: heapFile },
})
process.on('exit', () => gateway.kill('SIGKILL'))
let said = ''
let logged = ''
gateway.stdout.setEncoding('utf8').on('data', chunk => (said += chunk))
gateway.stderr.setEncoding('utf8').on('data', chunk => (logged += chunk))
/** @type {string[]} */
const wrong = []

/** @param {() => boolean} condition @param {number} withinMs */
async function until(condition, withinMs) {
  for (const end = performance.now() + withinMs; performance.now() < end; await pause(10))
    if (condition()) return true
  return false
}

const origin = () => /http:\/\/127\.0\.0\.1:\d+/.exec(said)?.[0]
if (!(await until(() => origin() !== undefined, 20_000)))
  throw new Error(`The gateway does not listen: ${said}${logged}`)

/** How often the gateway has taken over a changed configuration. */
const applied = () => logged.split('The configuration has changed and is in effect').length - 1

/** Bytes of the gateway's heap after a collection. */
async function heap() {
  const count = () => {
    try {
      return readFileSync(heapFile, 'utf8').split('\n').filter(Boolean)
    } catch {
      return []
    }
  }
  const before = count().length
  gateway.kill('SIGUSR2')
  if (!(await until(() => count().length > before, 10_000)))
    throw new Error('The heap could not be measured.')
  return Number(count().at(-1))
}

const entrance = { origin: String(origin()), file, bin: BIN }
const load = await callers(entrance)
const standing = await openStanding(entrance)
await pause(1000)
const greeted = () => legacy.received.filter(text => text.includes('"initialize"')).length
const greetedBefore = greeted()

console.log(`${reloads} reloads in ${seconds} s`)
const begun = performance.now()
let slowestMs = 0
let early = 0
for (let number = 1; number <= reloads; number++) {
  const at = performance.now()
  const before = applied()
  write(number)
  if (!(await until(() => applied() > before, APPLY_TIMEOUT_MS))) {
    wrong.push(`reload ${number} was not applied within ${APPLY_TIMEOUT_MS / 1000} s`)
    break
  }
  slowestMs = Math.max(slowestMs, performance.now() - at)
  if (number === Math.ceil(reloads * FIRST_PART)) early = await heap()
  const due = begun + (number / reloads) * seconds * 1000
  if (performance.now() < due) await pause(due - performance.now())
}
const tookMs = performance.now() - begun
await pause(500)
const late = await heap()

for (const failure of await load.stop()) wrong.push(failure)
legacy.updated('raw://item/1')
modern.updated('raw://item/1')
await pause(1000)
for (const failure of await standing.end()) wrong.push(failure)
if (greeted() !== greetedBefore)
  wrong.push(`the unchanged server was greeted ${greeted() - greetedBefore} times more`)
const growth = late / early
if (growth > MAX_GROWTH)
  wrong.push(`the heap grew to ${growth.toFixed(3)} of what it was, more than ${MAX_GROWTH}`)

const mb = (/** @type {number} */ bytes) => (bytes / 1024 / 1024).toFixed(1)
console.log(
  `  ${applied()} applied in ${(tookMs / 1000).toFixed(0)} s, the slowest ${slowestMs.toFixed(0)} ms after it was written`,
)
console.log(`  ${load.calls} calls, ${load.failed} failed`)
console.log(
  `  heap ${mb(early)} MB after the first ${Math.ceil(reloads * FIRST_PART)}, ${mb(late)} MB after all: ${growth.toFixed(3)}×`,
)
for (const line of wrong.slice(0, 20)) console.log(`  WRONG: ${line}`)
if (wrong.length > 0) writeFileSync(join(tmpdir(), 'reloads-log.txt'), logged.slice(-200_000))

gateway.kill('SIGTERM')
await until(() => gateway.exitCode !== null, 20_000)
await Promise.all([legacy.close(), modern.close()])
rmSync(directory, { recursive: true, force: true })
console.log(wrong.length === 0 ? 'Every reload passed unnoticed.' : 'NOT AS IT MUST BE')
process.exit(wrong.length === 0 ? 0 : 1)
