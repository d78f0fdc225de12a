// @ts-check
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { availableParallelism } from 'node:os'

/** Whether processes can be bound to a core: `taskset` is there, and there are two cores at least. */
export const PINNING = availableParallelism() > 1 && spawnSync('taskset', ['--version']).status === 0

const READY = /http:\/\/127\.0\.0\.1:\d+/
const READY_TIMEOUT_MS = 20_000

/** @typedef {import('node:child_process').ChildProcess} ChildProcess */

/** @type {Set<ChildProcess>} */
const running = new Set()
// However this process ends, short of being killed, it takes them with it.
process.on('exit', () => running.forEach(child => child.kill('SIGKILL')))
process.on('SIGINT', () => process.exit(130))
process.on('SIGTERM', () => process.exit(143))

/**
 * Starts a Node program, bound to one core where that is possible.
 * @param {number} core
 * @param {readonly string[]} args program and arguments
 * @param {import('node:child_process').StdioOptions} stdio
 * @returns {ChildProcess}
 */
export function spawnPinned(core, args, stdio) {
  const child = PINNING
    ? spawn('taskset', ['-c', String(core), process.execPath, ...args], { stdio })
    : spawn(process.execPath, args, { stdio })
  running.add(child)
  child.once('exit', () => running.delete(child))
  return child
}

/**
 * Starts a server and waits until it says where it listens, on either output.
 * @param {number} core
 * @param {readonly string[]} args
 * @returns {Promise<{ child: ChildProcess, pid: number, origin: string }>}
 */
export async function startServer(core, args) {
  const child = spawnPinned(core, args, ['ignore', 'pipe', 'pipe'])
  let said = ''
  const origin = await new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      child.kill('SIGKILL')
      reject(
        new Error(`${args[0]} did not say where it listens within ${READY_TIMEOUT_MS} ms; it said: ${said}`),
      )
    }, READY_TIMEOUT_MS)
    /** @param {Buffer} chunk */
    const hear = chunk => {
      if (said.length < 65_536) said += chunk.toString()
      const match = READY.exec(said)
      if (!match) return
      clearTimeout(timer)
      resolve(match[0])
    }
    child.stdout?.on('data', hear)
    child.stderr?.on('data', hear)
    child.once('exit', code => {
      clearTimeout(timer)
      reject(new Error(`${args[0]} ended with code ${code} before it listened; it said: ${said}`))
    })
    child.once('error', error => {
      clearTimeout(timer)
      reject(error)
    })
  })
  if (child.pid === undefined) throw new Error(`${args[0]} has no process id`)
  return { child, pid: child.pid, origin }
}

/**
 * Ends a process and waits until it is gone.
 * @param {ChildProcess} child
 */
export async function stop(child) {
  if (child.exitCode !== null || child.signalCode !== null) return
  const gone = once(child, 'exit')
  child.kill('SIGTERM')
  const timer = setTimeout(() => child.kill('SIGKILL'), 5000)
  await gone
  clearTimeout(timer)
}
