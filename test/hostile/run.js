// @ts-check
/**
 * Hostile clients and hostile servers around the built gateway, with a well-behaved client and an honest server beside them.
 *
 *   npm run hostile -- [--inputs 1000000] [--short] [--seed <number>] [--connections 24] [--record <file>] [--max-wait-ms 2000]
 *
 * Inputs are what hostile clients send over HTTP and stdio and what hostile servers answer. Ends with 1 if the gateway ended, the well-behaved client waited for more than
 * `--max-wait-ms` or got a wrong answer, the memory of the gateway passed its bound, or the honest server got something that the rules deny, as Node,
 * Python or Go read it.
 */
import { createHash, randomBytes } from 'node:crypto'
import { fork, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { createRandom } from '../crosstalk/random.js'
import { rssOf } from '../helpers/rss.js'
import { HttpAttacker } from './attack-http.js'
import { StdioAttacker } from './attack-stdio.js'

const { values } = parseArgs({
  options: {
    inputs: { type: 'string', default: '1000000' },
    short: { type: 'boolean', default: false },
    seed: { type: 'string', default: String(Math.floor(Math.random() * 1_000_000)) },
    connections: { type: 'string', default: '24' },
    record: { type: 'string' },
    'max-wait-ms': { type: 'string', default: '2000' },
  },
})
const wanted = values.short ? 40_000 : Number(values.inputs)
const seed = Number(values.seed)
/** The most that the gateway may hold at any moment, and after the attack. */
const MAX_RSS_MB = 700
const MAX_WAIT_MS = Number(values['max-wait-ms'])
/** A run that makes no headway ends as well. */
const MAX_MS = values.short ? 240_000 : 3_600_000

const file = (/** @type {string} */ name) => fileURLToPath(new URL(name, import.meta.url))
const BIN = file('../../bin/mcp-manifold.cjs')
const directory = mkdtempSync(join(tmpdir(), 'hostile-'))
/** @type {Set<import('node:child_process').ChildProcess>} */
const running = new Set()
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL')
  rmSync(directory, { recursive: true, force: true })
})
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(130))

/** @template {import('node:child_process').ChildProcess} T @param {T} child @returns {T} */
function keep(child) {
  running.add(child)
  child.once('exit', () => running.delete(child))
  return child
}

/** The next message of a child that has `key`. @param {import('node:child_process').ChildProcess} child @param {string} key @returns {Promise<any>} */
function told(child, key) {
  return new Promise((resolve, reject) => {
    const lost = (/** @type {number | null} */ code) =>
      reject(new Error(`${child.spawnargs[1]} ended with ${code} before it told ${key}`))
    const hear = (/** @type {any} */ message) => {
      if (!(key in message)) return
      child.off('message', hear)
      child.off('exit', lost)
      resolve(message[key])
    }
    child.on('message', hear)
    child.once('exit', lost)
  })
}

/** @param {import('node:child_process').ChildProcess} child */
function report(child) {
  if (!child.connected)
    throw new Error(`${child.spawnargs[1]} ended with ${child.exitCode ?? child.signalCode} before its end`)
  const answer = told(child, 'report')
  child.send('report')
  return answer
}

const newKey = () => `mfd_${randomBytes(32).toString('base64url')}`
const digest = (/** @type {string} */ key) => `sha256:${createHash('sha256').update(key).digest('hex')}`

const checking = keep(
  fork(file('checking-server.js'), values.record === undefined ? [] : ['--record', values.record]),
)
const hostile = keep(fork(file('hostile-server.js'), ['--seed', String(seed)]))
const [honestOrigin, hostileOrigin] = await Promise.all([told(checking, 'origin'), told(hostile, 'origin')])
const keys = { fuzzer: newKey(), healthy: newKey() }
const rules = [
  {
    effect: 'allow',
    match: ['tool:*/*', 'prompt:*/*', 'resource:d*/*', 'resource:h*/*', 'resource:al/file:///pub/*'],
  },
  { effect: 'deny', match: ['*/delete_all', 'resource:d*/file:///secret/*'] },
  { effect: 'deny', match: ['*/transfer'], when: 'has(args.amount) && args.amount > 1000' },
]
const config = {
  mcpServers: {
    dl: { url: `${honestOrigin}/deny/legacy`, timeout: '5s' },
    dm: { url: `${honestOrigin}/deny/modern`, timeout: '5s' },
    al: { url: `${honestOrigin}/allow/legacy`, timeout: '5s' },
    hl: { url: `${hostileOrigin}/legacy`, timeout: '1s' },
    hm: { url: `${hostileOrigin}/modern`, timeout: '1s' },
    hs: { url: `${hostileOrigin}/sse`, type: 'sse', timeout: '1s' },
    hp: {
      command: process.execPath,
      args: [file('hostile-server.js'), '--stdio', '--seed', String(seed + 1)],
      timeout: '1s',
    },
  },
  clients: {
    fuzzer: { keys: [digest(keys.fuzzer)], rules, default: 'deny' },
    healthy: { keys: [digest(keys.healthy)], allow: ['*/*'] },
  },
  gateway: { http: { port: 0 }, state: 'memory', log: 'error' },
}
const configFile = join(directory, 'servers.json')
writeFileSync(configFile, JSON.stringify(config))
const gateway = keep(
  spawn(process.execPath, [BIN, 'serve', '--config', configFile], {
    stdio: ['ignore', 'pipe', 'pipe'],
    cwd: directory,
  }),
)
let said = ''
const listen = (/** @type {Buffer} */ chunk) => (said = (said + chunk).slice(-20_000))
gateway.stderr.on('data', listen)
gateway.stdout.on('data', listen)
/** @type {string[]} */
const wrong = []
gateway.once('exit', (code, signal) =>
  wrong.push(`the gateway ended: ${code ?? signal}; ${said.slice(-2000)}`),
)
while (!/http:\/\/127\.0\.0\.1:\d+/.test(said)) {
  if (wrong.length > 0) throw new Error(wrong[0])
  await new Promise(resolve => setTimeout(resolve, 50))
}
const origin = /** @type {string} */ (/http:\/\/127\.0\.0\.1:\d+/.exec(said)?.[0])
const port = Number(new URL(origin).port)
const healthy = keep(fork(file('healthy.js'), ['--origin', origin, '--key', keys.healthy]))
await told(healthy, 'ready')

const random = createRandom(seed)
const attackers = Array.from(
  { length: Number(values.connections) },
  () => new HttpAttacker(random.fork(), port, keys.fuzzer),
)
const onStdio = new StdioAttacker(random.fork(), [BIN, '--config', configFile, '--client', 'fuzzer'])
const begun = performance.now()
let answered = 0
const sent = () => attackers.reduce((sum, attacker) => sum + attacker.sent, onStdio.sent)
const over = () => wrong.length > 0 || sent() + answered >= wanted || performance.now() - begun > MAX_MS

console.log(`seed ${seed}: ${wanted} inputs over ${values.connections} connections and stdio`)
let highest = 0
let ticks = 0
const watch = setInterval(async () => {
  highest = Math.max(highest, rssOf(gateway.pid), rssOf(onStdio.pid))
  const { answers, messages } = await report(hostile)
  answered = answers + messages
  if (++ticks % 20 === 0)
    console.log(
      `${((performance.now() - begun) / 1000).toFixed(0)} s: ${sent()} requests, ${answered} answers, ${rssOf(gateway.pid).toFixed(0)} MB and ${rssOf(onStdio.pid).toFixed(0)} MB`,
    )
}, 500)
await Promise.all([...attackers.map(attacker => attacker.run(over)), onStdio.run(over)])
clearInterval(watch)
const seconds = (performance.now() - begun) / 1000
if (performance.now() - begun > MAX_MS)
  wrong.push(`only ${sent() + answered} inputs in ${seconds.toFixed(0)} s`)

const saw = await report(checking)
const heard = await report(healthy)
const readyz = await fetch(`${origin}/readyz`).then(
  ({ status }) => status,
  () => 0,
)
if (readyz === 0) wrong.push('the gateway no longer listens')
if (onStdio.failure) wrong.push(onStdio.failure)
if (saw.forbiddenCount > 0)
  wrong.push(`${saw.forbiddenCount} requests that the rules deny reached the server:`, ...saw.forbidden)
if (heard.wrong.length > 0) wrong.push('wrong answers to the well-behaved client:', ...heard.wrong)
if (heard.slowestMs > MAX_WAIT_MS)
  wrong.push(`the well-behaved client waited ${heard.slowestMs.toFixed(0)} ms`)
if (heard.calls < 10) wrong.push(`the well-behaved client made ${heard.calls} calls only`)
if (highest === 0 && process.platform === 'linux') wrong.push('the memory of the gateway could not be read')
if (highest > MAX_RSS_MB) wrong.push(`the gateway held ${highest.toFixed(0)} MB`)
if (/uncaught|unhandled|FATAL/i.test(said)) wrong.push(`the gateway said: ${said.slice(-2000)}`)
console.log(
  `${sent()} requests (${onStdio.sent} on stdio) and ${answered} answers in ${seconds.toFixed(0)} s; the honest server saw ${saw.requests} requests, ${saw.calls} calls and ${saw.reads} reads; ` +
    `the well-behaved client: ${heard.calls} answers, the slowest (${heard.slowest}) after ${heard.slowestMs.toFixed(0)} ms (stdio: ${onStdio.slowestMs.toFixed(0)} ms); at most ${highest.toFixed(0)} MB`,
)
for (const line of wrong) console.log(line)
console.log(wrong.length === 0 ? 'Everything held.' : 'NOT AS IT MUST BE')
gateway.removeAllListeners('exit')
const ended = once(gateway, 'exit')
gateway.kill('SIGTERM')
await Promise.race([ended, new Promise(resolve => setTimeout(resolve, 30_000).unref())])
process.exit(wrong.length === 0 ? 0 : 1)
