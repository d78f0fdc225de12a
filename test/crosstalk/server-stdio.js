// @ts-check
import { createInterface } from 'node:readline'

/** @param {import('./server.js').Serving} serving */
export function serveStdio(serving) {
  const send = (/** @type {object} */ message) => void process.stdout.write(`${JSON.stringify(message)}\n`)
  const peer = serving.join(send)
  const lines = createInterface({ input: process.stdin, crlfDelay: Infinity })
  lines.on('line', line => void serving.take(peer, JSON.parse(line), send))
  lines.on('close', () => process.exit(0))
}
