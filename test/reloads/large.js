// @ts-check
/**
 * Reloads of large configurations. The gateway and its servers are processes of their own. A reload is asked for over
 * the admin socket, and is over when it is in effect. For each kind of change it prints how long the reloads took and
 * the longest turn of the event loop of the gateway.
 */
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

const BIN = fileURLToPath(new URL('../../bin/mcp-manifold.cjs', import.meta.url))
const SERVER = fileURLToPath(new URL('many-tools.js', import.meta.url))
const PROBE = new URL('turn-probe.mjs', import.meta.url).href
const START_TIMEOUT_MS = 120_000
/** Reloads of each kind. */
const RELOADS = 8
/** What goes on in the background after a reload counts as well. */
const SETTLE_MS = 300
const PROTOCOL = '2025-11-25'

/** @typedef {{ servers: number, tools: number, clients: number, maxMs: number, maxTurnMs: number }} Size */
/** @typedef {{ change: string, tookMs: number[], longestTurnMs: number }} Cost */
/** @typedef {Record<string, any>} File */

/** A change of a configuration that a reload takes over. @type {Record<string, (file: File, number: number) => void>} */
const CHANGES = {
  'one server': (file, number) => {
    file.mcpServers.s0.timeout = `${10 + number}s`
  },
  'every server': (file, number) => {
    for (const server of Object.values(file.mcpServers)) server.timeout = `${10 + number}s`
  },
  'a rule of all': (file, number) => {
    file.gateway.policy = { deny: [`s1/tool_${number}`] }
  },
  'a server comes or goes': (file, number) => {
    if (number % 2 === 1) file.mcpServers.added = file.mcpServers.s0
    else delete file.mcpServers.added
  },
}

/** @param {() => boolean | Promise<boolean>} condition @param {string} what @returns {Promise<void>} */
async function until(condition, what) {
  for (const end = performance.now() + START_TIMEOUT_MS; performance.now() < end; await pause(10))
    if (await condition()) return
  throw new Error(`Within ${START_TIMEOUT_MS / 1000} s: ${what}.`)
}

/**
 * @param {import('node:http').RequestOptions & { url?: string, body?: string | undefined, isStream?: boolean }} options
 * @returns {Promise<{ status: number | undefined, session: string | undefined, text: string }>}
 */
function ask({ url, body, isStream = false, ...options }) {
  return new Promise((resolve, reject) => {
    const headers = {
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
      ...options.headers,
    }
    const full = { method: 'POST', agent: false, ...options, headers }
    const onResponse = (/** @type {import('node:http').IncomingMessage} */ response) => {
      const session = /** @type {string | undefined} */ (response.headers['mcp-session-id'])
      const answered = (/** @type {string} */ text) => resolve({ status: response.statusCode, session, text })
      if (isStream) return answered('')
      let text = ''
      response.setEncoding('utf8').on('data', chunk => (text += chunk))
      response.on('end', () => answered(text))
      response.on('error', reject)
    }
    const sent = url === undefined ? request(full, onResponse) : request(url, full, onResponse)
    sent.on('error', reject)
    sent.end(body)
  })
}

const keyOf = (/** @type {number} */ client) =>
  `mfd_${createHash('sha256').update(`client ${client}`).digest('base64url')}`

/** @param {Size} size @param {string} url @returns {File} */
function configuration({ servers, clients }, url) {
  const named = (/** @type {number} */ at) => ({
    keys: [`sha256:${createHash('sha256').update(keyOf(at)).digest('hex')}`],
    deny: [`s${at}/*`, `*/tool_${at}`],
  })
  return {
    mcpServers: Object.fromEntries(Array.from({ length: servers }, (_, at) => [`s${at}`, { url }])),
    ...(clients > 0 && {
      clients: Object.fromEntries(Array.from({ length: clients }, (_, at) => [`c${at}`, named(at)])),
    }),
    gateway: { http: { port: 0 }, state: 'memory', audit: { file: 'off' }, watch: false },
  }
}

/** An answer, as JSON or as the last event of a stream. @param {string} text */
function parsed(text) {
  return JSON.parse(text.startsWith('{') ? text : (text.split('data: ').at(-1) ?? ''))
}

/** A session with an open stream, once it sees all tools. @param {string} url @param {number | undefined} client @param {number} tools */
async function openSession(url, client, tools) {
  const own = { ...(client !== undefined && { authorization: `Bearer ${keyOf(client)}` }) }
  const params = {
    protocolVersion: PROTOCOL,
    capabilities: {},
    clientInfo: { name: 'large', version: '1' },
  }
  const { session = '', text } = await ask({
    url,
    headers: own,
    body: JSON.stringify({ jsonrpc: '2.0', id: 0, method: 'initialize', params }),
  })
  if (session === '') throw new Error(`There is no session: ${text}`)
  const headers = { ...own, 'mcp-session-id': session, 'mcp-protocol-version': PROTOCOL }
  let seen = 0
  await until(async () => {
    seen = 0
    /** @type {string | undefined} */
    let cursor
    do {
      const body = JSON.stringify({
        jsonrpc: '2.0',
        id: 1,
        method: 'tools/list',
        params: cursor === undefined ? {} : { cursor },
      })
      const { result, error } = parsed((await ask({ url, headers, body })).text)
      if (error) throw new Error(error.message)
      seen += result.tools.length
      cursor = result.nextCursor
    } while (cursor !== undefined)
    return seen >= tools
  }, `a client sees ${tools} tools`)
  await ask({ url, method: 'GET', headers, isStream: true })
}

/**
 * What reloads of a configuration of this size cost.
 * @param {Size} size
 * @returns {Promise<{ startedTurnMs: number, costs: Cost[] }>}
 */
export async function costOf(size) {
  const directory = mkdtempSync(join(tmpdir(), 'large-'))
  const [file, turns] = [join(directory, 'servers.json'), join(directory, 'turns')]
  writeFileSync(turns, '')
  /** @type {import('node:child_process').ChildProcess[]} */
  const children = []
  const onExit = () => children.forEach(child => child.kill('SIGKILL'))
  process.on('exit', onExit)
  try {
    const server = spawn(process.execPath, [SERVER, String(size.tools)], {
      stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
    })
    children.push(server)
    let url = ''
    server.stdout?.setEncoding('utf8').on('data', chunk => (url += chunk))
    await until(() => url.endsWith('\n'), 'the server listens')
    const written = configuration(size, url.trim())
    const write = () => writeFileSync(file, JSON.stringify(written))
    write()

    const extra = (process.env['GATEWAY_NODE_OPTIONS'] ?? '').split(' ').filter(Boolean)
    const gateway = spawn(process.execPath, [...extra, '--import', PROBE, BIN, 'serve', '--config', file], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, TURN_FILE: turns, XDG_STATE_HOME: directory },
    })
    children.push(gateway)
    let said = ''
    let logged = ''
    gateway.stdout.setEncoding('utf8').on('data', chunk => (said += chunk))
    gateway.stderr.setEncoding('utf8').on('data', chunk => (logged = (logged + chunk).slice(-10_000)))
    const origin = () => /http:\/\/127\.0\.0\.1:\d+/.exec(said)?.[0]
    await until(() => origin() !== undefined || gateway.exitCode !== null, 'the gateway listens')
    if (origin() === undefined) throw new Error(`The gateway does not listen: ${logged}`)

    const admin = join(directory, 'mcp-manifold', 'admin')
    const sockets = () => {
      try {
        return readdirSync(admin).filter(name => name.endsWith('.sock'))
      } catch {
        return []
      }
    }
    await until(() => sockets().length > 0, 'the admin socket is open')
    const socketPath = join(admin, sockets()[0] ?? '')
    const longestTurn = async () => {
      const count = () => readFileSync(turns, 'utf8').split('\n').filter(Boolean)
      const before = count().length
      gateway.kill('SIGUSR2')
      await until(() => count().length > before, 'the longest turn is known')
      return Number(count().at(-1))
    }
    const reload = async () => {
      const { status, text } = await ask({
        socketPath,
        path: '/admin/reload',
        headers: { host: 'localhost' },
        body: '{}',
      })
      if (status !== 200 || !JSON.parse(text).applied) throw new Error(`Not reloaded: ${status} ${text}`)
    }

    const endpoint = `${origin()}/mcp`
    const { servers, tools, clients } = size
    if (clients === 0) await openSession(endpoint, undefined, servers * tools)
    for (let at = 0; at < clients; at++)
      await openSession(endpoint, at, (servers - 1) * (tools - (at < tools ? 1 : 0)))
    const startedTurnMs = await longestTurn()

    /** @type {Cost[]} */
    const costs = []
    let number = 0
    // The thread that reads is started by the first one.
    for (const [change, make] of [['', CHANGES['one server']], ...Object.entries(CHANGES)]) {
      if (make === undefined) continue
      await pause(SETTLE_MS)
      await longestTurn()
      const tookMs = []
      for (let times = 0; times < RELOADS; times++) {
        make(written, ++number)
        write()
        const begun = performance.now()
        await reload()
        tookMs.push(performance.now() - begun)
        await pause(SETTLE_MS)
      }
      const longestTurnMs = await longestTurn()
      if (change !== '') costs.push({ change, tookMs, longestTurnMs })
    }
    return { startedTurnMs, costs }
  } finally {
    process.off('exit', onExit)
    for (const child of children) {
      const gone = new Promise(resolve => child.once('exit', resolve))
      if (child.exitCode === null && child.signalCode === null) {
        child.kill('SIGTERM')
        await gone
      }
    }
    rmSync(directory, { recursive: true, force: true })
  }
}

/** @type {Size[]} */
const SIZES = [
  { servers: 100, tools: 100, clients: 0, maxMs: 150, maxTurnMs: 20 },
  { servers: 100, tools: 100, clients: 50, maxMs: 1000, maxTurnMs: 20 },
  { servers: 1000, tools: 10, clients: 0, maxMs: 500, maxTurnMs: 20 },
]

/** @param {boolean} isShort the first size alone, with twice the bound for a turn, for a loaded machine @returns {Promise<string[]>} what is wrong */
export async function measureLarge(isShort) {
  /** @type {string[]} */
  const wrong = []
  for (const size of isShort ? SIZES.slice(0, 1) : SIZES) {
    const what = `${size.servers} servers × ${size.tools} tools, ${size.clients} clients`
    console.log(what)
    for (const { change, tookMs, longestTurnMs } of (await costOf(size)).costs) {
      const sorted = tookMs.toSorted((a, b) => a - b)
      const [least = 0, median = 0, most = 0] = [sorted[0], sorted[sorted.length >> 1], sorted.at(-1)]
      console.log(
        `  ${change.padEnd(24)} ${least.toFixed(0)} to ${most.toFixed(0)} ms, half within ${median.toFixed(0)} ms; longest turn ${longestTurnMs.toFixed(1)} ms`,
      )
      if (least > size.maxMs)
        wrong.push(`${what}, ${change}: ${least.toFixed(0)} ms, more than ${size.maxMs}`)
      const maxTurnMs = size.maxTurnMs * (isShort ? 2 : 1)
      if (longestTurnMs > maxTurnMs)
        wrong.push(`${what}, ${change}: a turn of ${longestTurnMs} ms, more than ${maxTurnMs}`)
    }
  }
  return wrong
}
