// @ts-check
import { spawn } from 'node:child_process'
import { legacyBody, modernRequest } from './requests.js'

/** @typedef {import('../crosstalk/random.js').Random} Random */

/** Lines between two questions that must be answered. */
const BURST = 40
const PATIENCE_MS = 10_000

/** A hostile client at the stdio front, which asks `ping` after each burst and measures how long the answer takes. */
export class StdioAttacker {
  sent = 0
  slowestMs = 0
  /** Why it ended before its time. @type {string | undefined} */
  failure
  #random
  #child
  #heard = ''
  #pings = 0
  #wake = () => {}

  /** @param {Random} random @param {readonly string[]} args of the gateway */
  constructor(random, args) {
    this.#random = random
    this.#child = spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'ignore'] })
    this.#child.stdin.on('error', () => {})
    this.#child.stdout.setEncoding('utf8').on('data', chunk => {
      this.#heard = (this.#heard + chunk).slice(-200_000)
      this.#wake()
    })
    this.#child.once('exit', (code, signal) => {
      this.failure ??= `the gateway on stdio ended: ${code ?? signal}`
      this.#wake()
    })
  }

  get pid() {
    return this.#child.pid
  }

  /** Attacks until `over` says so. @param {() => boolean} over */
  async run(over) {
    this.#say(
      '{"jsonrpc":"2.0","id":"i","method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{"elicitation":{},"roots":{}},"clientInfo":{"name":"f","version":"1"}}}',
    )
    this.#say('{"jsonrpc":"2.0","method":"notifications/initialized"}')
    await this.#ping()
    while (!over() && this.failure === undefined) {
      for (let left = BURST; left > 0; left--) {
        this.sent++
        this.#say(this.#line())
      }
      await this.#ping()
    }
    this.failure ??= ''
    const ended = new Promise(resolve => this.#child.once('exit', resolve))
    if (this.#child.exitCode === null) {
      this.#child.stdin.end()
      const timer = setTimeout(() => this.#child.kill('SIGKILL'), 10_000)
      await ended
      clearTimeout(timer)
    }
  }

  #line() {
    const random = this.#random
    const id = String(this.sent)
    const kind = random.between(0, 19)
    if (kind === 0) return '\u0000\u0001'.repeat(random.between(1, 50))
    if (kind === 1) return `${'x'.repeat(random.between(1, 20_000))}`
    if (kind < 5) return modernRequest(random, id).body.replaceAll('\n', ' ')
    return legacyBody(random, id).replaceAll('\n', ' ')
  }

  /** @param {string} line */
  #say(line) {
    this.#child.stdin.write(`${line}\n`)
  }

  async #ping() {
    const id = `ping-${++this.#pings}`
    const begun = performance.now()
    this.#say(`{"jsonrpc":"2.0","id":"${id}","method":"ping"}`)
    await new Promise(resolve => {
      const timer = setTimeout(() => {
        this.failure ??= `no answer to ${id} within ${PATIENCE_MS} ms`
        resolve(undefined)
      }, PATIENCE_MS)
      this.#wake = () => {
        if (this.failure === undefined && !this.#heard.includes(`"${id}"`)) return
        clearTimeout(timer)
        resolve(undefined)
      }
      this.#wake()
    })
    this.slowestMs = Math.max(this.slowestMs, performance.now() - begun)
  }
}
