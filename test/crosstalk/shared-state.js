// @ts-check
import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import { createInterface } from 'node:readline'

/**
 * What all processes of the server under test have in common, as a database behind a real server would be: a touched resource is touched for
 * every process, and the list of tools is the same in each.
 */

/**
 * @typedef {{ type: 'touch', uri: string, nonce: string } | { type: 'extras', number: number } | { type: 'violation', text: string } |
 *   { type: 'refusal', nonce: string, text: string }} Word
 */

/** The shared itself, in the process of the run. */
export async function openSharedState() {
  /** @type {Set<import('node:net').Socket>} */
  const sockets = new Set()
  /** @type {string[]} */
  const violations = []
  /** @type {{ nonce: string, text: string }[]} */
  const refusals = []
  let extras = 0
  /** @param {Word} word */
  const tell = word => {
    for (const socket of sockets) socket.write(`${JSON.stringify(word)}\n`)
  }
  const server = createServer(socket => {
    sockets.add(socket)
    socket.on('error', () => {})
    socket.on('close', () => sockets.delete(socket))
    socket.write(`${JSON.stringify({ type: 'extras', number: extras })}\n`)
    const lines = createInterface({ input: socket })
    // A server that was killed.
    lines.on('error', () => {})
    lines.on('line', line => {
      const word = /** @type {Word} */ (JSON.parse(line))
      if (word.type === 'violation') violations.push(word.text)
      else if (word.type === 'refusal') refusals.push(word)
      else tell(word)
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    port: /** @type {import('node:net').AddressInfo} */ (server.address()).port,
    /** What servers were told that does not belong to what they asked. */
    violations,
    /** Questions that got an error for an answer, by the nonce of their call. */
    refusals,
    /** Changes the list of tools; returns the number in the name of the newest one. */
    grow: () => {
      tell({ type: 'extras', number: ++extras })
      return extras
    },
    async close() {
      for (const socket of sockets) socket.destroy()
      server.close()
      await once(server, 'close')
    },
  }
}

/** @typedef {Awaited<ReturnType<typeof openSharedState>>} SharedState */

/**
 * A server's connection to the shared state.
 *
 * @param {number} port
 * @param {(word: Word) => void} hear
 * @returns {Promise<(word: Word) => void>} tells the shared, once it has said what there is
 */
export function joinSharedState(port, hear) {
  const socket = connect(port, '127.0.0.1')
  socket.on('error', () => process.exit(0))
  socket.on('close', () => process.exit(0))
  return new Promise(resolve => {
    const lines = createInterface({ input: socket })
    lines.on('error', () => process.exit(0))
    lines.on('line', line => {
      hear(JSON.parse(line))
      resolve(word => void socket.write(`${JSON.stringify(word)}\n`))
    })
  })
}
