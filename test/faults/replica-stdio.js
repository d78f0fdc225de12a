// @ts-check
import { closeSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { answerTo, keyOf } from './replica.js'

const DRIP_MS = 100

/**
 * Speaks on stdin and stdout.
 *
 * @param {{ era: import('./replica.js').Era, name: string, ledger: import('./ledger.js').Ledger, latencyMs: number }} options
 */
export function serveStdio({ era, name, ledger, latencyMs }) {
  /** What is being written; a pipe has one writer at a time. */
  let writing = Promise.resolve()
  const write = (/** @type {string} */ text) => {
    writing = writing.then(() => new Promise(resolve => process.stdout.write(text, () => resolve())))
    return writing
  }
  const lines = createInterface({ input: process.stdin, crlfDelay: Infinity })
  lines.on('close', () => process.exit(0))
  lines.on('line', async line => {
    /** @type {import('./replica.js').Message} */
    const message = JSON.parse(line)
    if (message.id === undefined || message.method === undefined) return
    const { text } = answerTo(era, message)
    const key = keyOf(message)
    if (key === undefined) return void write(`${text}\n`)
    const fault = ledger.claim(key)
    ledger.ran(key, name)
    switch (fault) {
      case undefined:
        if (latencyMs > 0) await new Promise(resolve => setTimeout(resolve, latencyMs))
        return void write(`${text}\n`)
      case 'mid-answer':
        await write(text.slice(0, text.length / 2))
        return void process.kill(process.pid, 'SIGKILL')
      case 'slow-body':
        for (const character of `${text}\n`) {
          void write(character)
          writing = writing.then(() => new Promise(resolve => setTimeout(resolve, DRIP_MS)))
        }
        return
      case 'truncated':
        return void write(`${text.slice(0, text.length / 2)}\n`)
      case 'kill-running':
        return void process.kill(process.pid, 'SIGKILL')
      case 'stopped':
        return void process.kill(process.pid, 'SIGSTOP')
      case 'stdout-closed':
        return closeSync(1)
      default:
        throw new Error(`no fault ${fault} on stdio`)
    }
  })
}
