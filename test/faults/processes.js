// @ts-check
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const REPLICA = fileURLToPath(new URL('replica-main.js', import.meta.url))
const BIN = fileURLToPath(new URL('../../bin/mcp-manifold.cjs', import.meta.url))

/** @typedef {import('node:child_process').ChildProcess} ChildProcess */

/** @type {Set<ChildProcess>} */
const running = new Set()
/** @type {Set<string>} */
const directories = new Set()
// However this process ends, short of being killed, it takes them with it.
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL')
  for (const directory of directories) rmSync(directory, { recursive: true, force: true })
})
process.on('SIGINT', () => process.exit(130))
process.on('SIGTERM', () => process.exit(143))

/** @param {number} ms */
export const wait = ms => new Promise(resolve => setTimeout(resolve, ms))

/** Resolves as soon as `done` says so, or after `ms`. @param {() => boolean} done @param {number} ms */
export async function until(done, ms) {
  const end = performance.now() + ms
  while (!done() && performance.now() < end) await wait(20)
  return done()
}

/** @param {number} pid */
export function isRunning(pid) {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

/** A directory that goes with this process. */
export function scratch() {
  const directory = mkdtempSync(join(tmpdir(), 'faults-'))
  directories.add(directory)
  return directory
}

/** @param {string} directory */
export function discard(directory) {
  directories.delete(directory)
  rmSync(directory, { recursive: true, force: true })
}

/** @param {readonly string[]} args @param {import('node:child_process').SpawnOptions} options */
function start(args, options) {
  const child = spawn(process.execPath, args, options)
  running.add(child)
  child.once('exit', () => running.delete(child))
  return child
}

/** Ends a process that this one started. @param {ChildProcess} child @param {NodeJS.Signals} signal */
async function end(child, signal) {
  if (child.exitCode !== null || child.signalCode !== null) return
  const gone = once(child, 'exit')
  child.kill(signal)
  const timer = setTimeout(() => child.kill('SIGKILL'), 8000)
  await gone
  clearTimeout(timer)
}

/**
 * @typedef {object} ReplicaSettings
 * @property {import('./replica.js').Era} era
 * @property {string} name
 * @property {import('./ledger.js').Ledger} ledger
 * @property {number} [latencyMs]
 */

/** Arguments of a replica for `process.execPath`. @param {ReplicaSettings} settings @param {'stdio' | 'http'} transport @returns {string[]} */
export function replicaArgs({ era, name, ledger, latencyMs = 0 }, transport) {
  const more = ['--name', name, '--ledger', ledger.directory, '--latency', String(latencyMs)]
  return [REPLICA, '--era', era, '--transport', transport, ...more]
}

/** An HTTP replica in a process of its own, which can be killed and comes back at the same port. */
export class ReplicaProcess {
  url = ''
  #settings
  /** @type {ChildProcess | undefined} */
  #child
  /** @type {ChildProcess | undefined} */
  #standby

  /** @param {ReplicaSettings} settings */
  constructor(settings) {
    this.#settings = settings
  }

  async start() {
    const child = this.#spawn([])
    this.#child = child
    this.url = await listening(child)
  }

  /** Resolves when the process has ended. */
  async ended() {
    const child = this.#child
    if (child && child.exitCode === null && child.signalCode === null) await once(child, 'exit')
  }

  /** @param {NodeJS.Signals} signal */
  async signal(signal) {
    if (signal === 'SIGKILL' && this.#child) await end(this.#child, signal)
    else this.#child?.kill(signal)
  }

  /** Starts a process that needs but a word to take the port, so that no call waits for a start. */
  async standBy() {
    const child = this.#spawn(['--standby'])
    this.#standby = child
    await once(child, 'message')
  }

  /** Takes the port again. */
  async restart() {
    const child = this.#standby ?? this.#spawn([])
    this.#standby = undefined
    this.#child = child
    const opened = listening(child)
    child.send('listen', () => {})
    await opened
  }

  async close() {
    await Promise.all([this.#child, this.#standby].map(child => child && end(child, 'SIGKILL')))
  }

  /** @param {string[]} more */
  #spawn(more) {
    const port = this.url === '' ? '0' : new URL(this.url).port
    return start([...replicaArgs(this.#settings, 'http'), '--port', port, ...more], {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    })
  }
}

/** @param {ChildProcess} child @returns {Promise<string>} */
function listening(child) {
  return new Promise((resolve, reject) => {
    child.on('message', (/** @type {any} */ message) => message.url !== undefined && resolve(message.url))
    child.once('exit', code => reject(new Error(`a replica ended with code ${code} before it listened`)))
  })
}

/**
 * Starts the built gateway.
 *
 * @param {object} config
 * @param {{ front: 'stdio' | 'http', log?: string, env?: Record<string, string> }} options
 */
export async function startGateway(config, { front, log = 'error', env = {} }) {
  const directory = scratch()
  const file = join(directory, 'servers.json')
  writeFileSync(file, JSON.stringify(config))
  const args = front === 'stdio' ? [] : ['serve']
  const child = start([BIN, ...args, '--config', file, '--log', log], {
    stdio: [front === 'stdio' ? 'pipe' : 'ignore', 'pipe', 'inherit'],
    env: { ...process.env, ...env },
  })
  const close = async () => {
    await end(child, 'SIGTERM')
    discard(directory)
  }
  if (front === 'stdio') return { child, origin: '', close }
  const { stdout } = child
  if (!stdout) throw new Error('no stdout')
  const origin = await new Promise((resolve, reject) => {
    let said = ''
    stdout.on('data', chunk => {
      said += chunk
      const found = /http:\/\/127\.0\.0\.1:\d+/.exec(said)?.[0]
      if (found !== undefined) resolve(found)
    })
    child.once('exit', () => reject(new Error(`the gateway ended: ${said}`)))
  })
  return { child, origin, close }
}

/** @typedef {Awaited<ReturnType<typeof startGateway>>} Gateway */
