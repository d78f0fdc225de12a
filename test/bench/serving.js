// @ts-check
/** What the small servers of the benchmark have in common. */

/**
 * Reads a whole request body. Most requests arrive in one chunk, which is then not copied.
 * @param {import('node:http').IncomingMessage} request
 * @param {(body: string) => void} done
 */
export function readBody(request, done) {
  /** @type {Buffer[]} */
  const chunks = []
  request.on('data', chunk => chunks.push(chunk))
  request.on('end', () =>
    done((chunks.length === 1 && chunks[0] ? chunks[0] : Buffer.concat(chunks)).toString()),
  )
}

/**
 * Listens on a free loopback port and prints where, in the form that `startPinned` waits for.
 * @param {import('node:http').Server} server
 */
export function announce(server) {
  server.listen(0, '127.0.0.1', () => {
    const address = server.address()
    if (address === null || typeof address === 'string') throw new Error('no TCP address')
    console.log(`listening on http://127.0.0.1:${address.port}`)
  })
}
