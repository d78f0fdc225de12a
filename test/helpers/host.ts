import { once } from 'node:events'
import { createServer } from 'node:http'
import type { RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'

/** An HTTP server of another program, which a gateway is mounted in. */
export interface Host extends AsyncDisposable {
  readonly origin: string
  readonly port: number
}

/** Starts one on a free port of this machine; disposing it ends its connections. */
export async function host(
  listener: RequestListener,
  onUpgrade?: (socket: NodeJS.WritableStream) => void,
): Promise<Host> {
  const server = createServer(listener)
  if (onUpgrade) server.on('upgrade', (_, socket) => onUpgrade(socket))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return {
    origin: `http://127.0.0.1:${port}`,
    port,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}
