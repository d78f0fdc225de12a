// @ts-check
import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'

/** @import { ChildProcess } from 'node:child_process' */

/** Every child that has not ended yet. @type {Set<ChildProcess>} */
const children = new Set()

/** Where a process can lead a group, a child's own children end with it. */
const grouped = process.platform !== 'win32'

/** @param {ChildProcess} child @param {NodeJS.Signals} signal */
function signalGroup(child, signal) {
  if (child.pid === undefined) return
  try {
    process.kill(grouped ? -child.pid : child.pid, signal)
  } catch {
    // It ended by itself in the meantime.
  }
}

process.on('exit', () => {
  for (const child of children) signalGroup(child, 'SIGKILL')
})
for (const signal of /** @type {const} */ (['SIGINT', 'SIGTERM', 'SIGHUP'])) {
  process.once(signal, () => process.exit(130))
}

/**
 * A child process that is never left behind: it and its descendants are killed when this process ends, however
 * it ends short of SIGKILL.
 *
 * @typedef {object} Child
 * @property {ChildProcess} process
 * @property {Promise<number>} ended the exit code, or 1 when a signal ended it
 * @property {() => string} output what it wrote so far, both streams, the last 64 KiB
 * @property {() => Promise<void>} stop asks it to end and kills it after two seconds
 */

/**
 * @param {string} command
 * @param {readonly string[]} args
 * @param {{ cwd?: string, env?: NodeJS.ProcessEnv, ipc?: boolean }} [options]
 *   `ipc` gives the child a channel whose end tells it that this process is gone
 * @returns {Child}
 */
export function start(command, args, { cwd, env, ipc = false } = {}) {
  const child = spawn(command, args, {
    cwd,
    env: env ?? process.env,
    detached: grouped,
    stdio: ['ignore', 'pipe', 'pipe', ...(ipc ? [/** @type {const} */ ('ipc')] : [])],
  })
  children.add(child)
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8').on('data', text => (output = (output + text).slice(-65_536)))
  }
  /** @type {Promise<number>} */
  const ended = new Promise(resolve => {
    child.once('error', error => {
      output += `${error.message}\n`
      resolve(1)
    })
    child.once('close', code => resolve(code ?? 1))
  })
  void ended.then(() => children.delete(child))
  return {
    process: child,
    ended,
    output: () => output,
    stop: async () => {
      signalGroup(child, 'SIGTERM')
      const timer = setTimeout(() => signalGroup(child, 'SIGKILL'), 2000)
      await ended
      clearTimeout(timer)
      // What the child itself started and forgot.
      signalGroup(child, 'SIGKILL')
    },
  }
}

/**
 * Waits for a line on the child's stdout.
 *
 * @param {Child} child
 * @param {RegExp} pattern with one group
 * @param {string} what names the child in errors
 * @param {number} timeoutMs
 * @returns {Promise<string>} the text of the group; rejects when the child ends or the time is over
 */
export function lineOf(child, pattern, what, timeoutMs) {
  return new Promise((resolve, reject) => {
    const { stdout } = child.process
    if (!stdout) throw new Error(`${what} has no stdout`)
    const lines = createInterface({ input: stdout })
    /** @param {string} why */
    const fail = why => reject(new Error(`${what} ${why}. Its output:\n${child.output()}`))
    const timer = setTimeout(() => fail(`did not say where it listens within ${timeoutMs} ms`), timeoutMs)
    void child.ended.then(code => fail(`ended with code ${code}`))
    lines.on('line', line => {
      const found = pattern.exec(line)?.[1]
      if (found !== undefined) resolve(found)
    })
    void child.ended.then(() => {
      clearTimeout(timer)
      lines.close()
    })
  })
}

/**
 * Waits for the end of a child, and stops it when that takes too long.
 *
 * @param {Child} child
 * @param {string} what names the child in errors
 * @param {number} timeoutMs
 * @returns {Promise<number>} the exit code
 */
export async function endOf(child, what, timeoutMs) {
  /** @type {NodeJS.Timeout | undefined} */
  let timer
  const late = new Promise(resolve => {
    timer = setTimeout(resolve, timeoutMs, 'late')
  })
  const first = await Promise.race([child.ended, late])
  clearTimeout(timer)
  if (typeof first === 'number') return first
  await child.stop()
  throw new Error(`${what} did not end within ${timeoutMs} ms. Its output:\n${child.output()}`)
}
