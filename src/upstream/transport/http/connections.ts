import type { buildConnector, Dispatcher } from 'undici'
import type { UrlEndpoint } from '../../../config/replica-types.ts'
import { Congestion } from './congestion.ts'
import { httpConnectOptions } from './connect-options.ts'
import { processSockets, type Sockets } from './sockets.ts'

/** Connections of one link for messages without an answer: answers to questions, notifications. */
const MESSAGE_CONNECTIONS = 4
/** How long a server may take to accept one. */
const MESSAGE_TIMEOUT_MS = 60_000
/** Idle time of a connection, even if the server allows more: others may wait for its socket. */
const IDLE_MS = 20_000

export interface ConnectionsOptions {
  readonly server: string
  readonly endpoint: UrlEndpoint
  /** Default: the sockets of this process. */
  readonly sockets?: Sockets | undefined
}

interface DispatcherOptions {
  readonly headersTimeout: number
  readonly bodyTimeout: number
  readonly keepAliveMaxTimeout: number
  readonly connect: buildConnector.connector
  readonly connections?: number
}

/**
 * The connections of one link: one for each running call, and a few for messages, so that the answer to a question
 * never waits for the call it belongs to.
 */
export class LinkConnections<D extends Dispatcher> {
  readonly calls: D
  readonly messages: D
  readonly congestion = new Congestion()
  readonly #sockets: Sockets

  constructor(
    connector: typeof buildConnector,
    create: (options: DispatcherOptions) => D,
    { server, endpoint, sockets = processSockets() }: ConnectionsOptions,
  ) {
    this.#sockets = sockets
    const connect = connector(httpConnectOptions(endpoint))
    this.calls = create({
      headersTimeout: 0,
      bodyTimeout: 0,
      keepAliveMaxTimeout: IDLE_MS,
      connect: sockets.calls.bounded(server, this, connect),
    })
    this.messages = create({
      headersTimeout: MESSAGE_TIMEOUT_MS,
      bodyTimeout: MESSAGE_TIMEOUT_MS,
      keepAliveMaxTimeout: IDLE_MS,
      connections: MESSAGE_CONNECTIONS,
      connect: sockets.messages.bounded(server, this, connect),
    })
  }

  async destroy(): Promise<void> {
    const ending = Promise.all([this.calls.destroy(), this.messages.destroy()])
    this.#sockets.calls.forget(this)
    this.#sockets.messages.forget(this)
    await ending
  }
}
