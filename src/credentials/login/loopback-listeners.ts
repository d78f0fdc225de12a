import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { GatewayError } from '../../core/errors.ts'
import type { PageAnswer } from '../../core/page.ts'
import { messagePage } from './pages.ts'

/** Where the browser of a person comes back to on this machine. */
export interface LoopbackPlace {
  /** As the authorization server knows it: `http://127.0.0.1:49152/callback`. */
  readonly uri: string
  readonly port: number
  /** The listener ends with its last login. */
  release(): void
}

export interface LoopbackWish {
  readonly server: string
  /** `127.0.0.1`, or `localhost` where a whole address is configured. */
  readonly host: string
  /** 0: any free one. */
  readonly port: number
  readonly path: string
  /** Whether no other port will do, because it is configured. */
  readonly fixed: boolean
}

const MAX_URL_CHARS = 8192

/**
 * Listeners for the callbacks of logins, only on the loopback addresses of this machine, and only while a login waits.
 * Logins of one port and path share a listener.
 */
export class LoopbackListeners {
  readonly #callback: (query: URLSearchParams) => Promise<PageAnswer>
  readonly #open = new Map<number, Listener>()
  #closed = false

  constructor(callback: (query: URLSearchParams) => Promise<PageAnswer>) {
    this.#callback = callback
  }

  /** Number of ports that are listened on. */
  get size(): number {
    return this.#open.size
  }

  /** @throws GatewayError `needs_login` when a configured port is taken */
  async open(wish: LoopbackWish): Promise<LoopbackPlace> {
    const { host, path, fixed } = wish
    const shared = this.#open.get(wish.port)
    // The first login of a port may still be about to listen.
    if (shared) await shared.ready.catch(() => undefined)
    let listener = this.#open.get(wish.port)
    if (!listener) {
      try {
        listener = await this.#listen(host, wish.port)
      } catch (error) {
        if (fixed) throw taken(wish, error)
        listener = await this.#listen(host, 0)
      }
    }
    const held = listener
    held.paths.set(path, (held.paths.get(path) ?? 0) + 1)
    let isHeld = true
    const release = (): void => {
      if (!isHeld) return
      isHeld = false
      this.#release(held, path)
    }
    if (this.#closed) {
      release()
      throw new GatewayError('shutting_down', 'The gateway is shutting down.', { server: wish.server })
    }
    return { uri: `http://${host}:${held.port}${path}`, port: held.port, release }
  }

  close(): void {
    this.#closed = true
    for (const listener of this.#open.values()) listener.close()
    this.#open.clear()
  }

  async #listen(host: string, port: number): Promise<Listener> {
    const listener = new Listener(host, port, this.#callback)
    if (port > 0) this.#open.set(port, listener)
    try {
      await listener.ready
    } catch (error) {
      if (this.#open.get(port) === listener) this.#open.delete(port)
      throw error
    }
    this.#open.set(listener.port, listener)
    return listener
  }

  #release(listener: Listener, path: string): void {
    const count = (listener.paths.get(path) ?? 1) - 1
    if (count > 0) listener.paths.set(path, count)
    else listener.paths.delete(path)
    if (listener.paths.size > 0) return
    if (this.#open.get(listener.port) === listener) this.#open.delete(listener.port)
    listener.close()
  }
}

/** One port. `localhost` is listened on in both address families, since browsers try either first. */
class Listener {
  readonly ready: Promise<void>
  /** Path → number of logins that wait for it. */
  readonly paths = new Map<string, number>()
  readonly #callback: (query: URLSearchParams) => Promise<PageAnswer>
  readonly #servers: Server[] = []
  port = 0

  constructor(host: string, port: number, callback: (query: URLSearchParams) => Promise<PageAnswer>) {
    this.#callback = callback
    this.ready = this.#listen(host, port)
  }

  async #listen(host: string, port: number): Promise<void> {
    this.port = await this.#bind('127.0.0.1', port)
    // A machine without IPv6 has the first one only.
    if (host === 'localhost') await this.#bind('::1', this.port).catch(() => undefined)
  }

  async #bind(address: string, port: number): Promise<number> {
    const server = createServer({ requestTimeout: 10_000, headersTimeout: 5000 }, (request, response) =>
      this.#answer(request, response).catch(() => response.destroy()),
    )
    server.maxConnections = 32
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen({ host: address, port, exclusive: true }, resolve)
    })
    server.on('error', () => undefined)
    this.#servers.push(server)
    return (server.address() as AddressInfo).port
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { status, headers, body } = await this.#page(request)
    response
      .writeHead(status, { ...headers, connection: 'close', 'content-length': Buffer.byteLength(body) })
      .end(body)
  }

  async #page({ method, url = '', headers }: IncomingMessage): Promise<PageAnswer> {
    // A page of another site that reaches a loopback address by a name of its own sends that name.
    const host = (headers.host ?? '').toLowerCase().replace(/:\d+$/, '')
    const at = url.indexOf('?')
    const path = at < 0 ? url : url.slice(0, at)
    const isHere = host === '127.0.0.1' || host === 'localhost' || host === '[::1]'
    if (!isHere || !this.paths.has(path) || url.length > MAX_URL_CHARS)
      return messagePage(404, 'Nothing here', 'There is no page at this address.')
    if (method !== 'GET') return messagePage(405, 'Nothing here', 'This page is only read.')
    return await this.#callback(new URLSearchParams(at < 0 ? '' : url.slice(at + 1)))
  }

  close(): void {
    for (const server of this.#servers) {
      // The page of the login that ends is still on its way.
      server.close()
      server.closeIdleConnections()
    }
  }
}

function taken({ server, host, port }: LoopbackWish, cause: unknown): GatewayError {
  return new GatewayError(
    'needs_login',
    `Server "${server}" needs a login, but its redirect address http://${host}:${port} is used by another program on this machine. End that program, or a login that waits in another process; or set another "oauth.redirect".`,
    { server, cause },
  )
}
