import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { GatewayError } from '../../core/errors.ts'
import { failureObject } from '../../protocol/failures.ts'
import { errorText } from '../../protocol/message.ts'
import { jsonText } from '../responses.ts'

/** Requests of one connection that are processed at once. Further ones wait until the client has taken an answer. */
export const MAX_AT_WORK = 8
/** Maximum number of waiting requests on one connection. */
export const MAX_WAITING = 32
/** Requests that are dropped after a refused one. The client has sent them before it could receive the refusal. */
const MAX_DROPPED = 256

const TOO_MANY = `More than ${MAX_AT_WORK + MAX_WAITING} requests wait on one connection. This one was not run; send it on another connection, or after an answer.`

type Handler = (request: IncomingMessage, response: ServerResponse) => void

/** Requests on one connection that arrived before its client had taken the earlier answers. */
class Queue {
  readonly #socket: Socket
  /** Responses that wait for earlier ones. */
  readonly #behind = new Set<ServerResponse>()
  readonly #waiting: {
    readonly request: IncomingMessage
    readonly response: ServerResponse
    readonly handle: Handler
  }[] = []
  #atWork = 0
  #dropped = 0
  #refuses = false

  constructor(socket: Socket) {
    this.#socket = socket
    socket.once('close', () => {
      this.#waiting.length = 0
      for (const response of this.#behind) {
        response.destroyed = true
        response.emit('close')
      }
    })
  }

  add(request: IncomingMessage, response: ServerResponse, handle: Handler): void {
    // A response that does not wait has its connection already.
    if (!response.socket) this.#waitsBehind(response)
    if (this.#refuses) this.#drop()
    else if (this.#atWork < MAX_AT_WORK) this.#begin(request, response, handle)
    else if (this.#waiting.length < MAX_WAITING) this.#waiting.push({ request, response, handle })
    else this.#refuse(response)
  }

  #begin(request: IncomingMessage, response: ServerResponse, handle: Handler): void {
    this.#atWork++
    response.on('close', this.#over)
    handle(request, response)
  }

  readonly #over = (): void => {
    this.#atWork--
    if (this.#socket.destroyed) return
    const next = this.#waiting.shift()
    if (next) this.#begin(next.request, next.response, next.handle)
  }

  /** Node.js reports a lost connection only to the response that is being sent. */
  #waitsBehind(response: ServerResponse): void {
    this.#behind.add(response)
    const leave = (): void => void this.#behind.delete(response)
    // From then on, Node.js reports it.
    response.once('socket', leave)
    response.once('close', leave)
  }

  #refuse(response: ServerResponse): void {
    this.#refuses = true
    this.#socket.pause()
    const error = failureObject(new GatewayError('overloaded', TOO_MANY))
    jsonText(response, 503, errorText('null', error), { 'retry-after': '1', connection: 'close' })
  }

  #drop(): void {
    if (++this.#dropped > MAX_DROPPED) this.#socket.destroy()
  }
}

/** Property of a socket for its queue. It is looked up for each request, so it is stored on the socket itself. */
const QUEUE = Symbol('queue')

interface QueuedSocket extends Socket {
  [QUEUE]?: Queue
}

/**
 * Bounds the requests that wait on one connection, and makes a response that waits for earlier ones emit `close` when
 * the connection is lost. A request beyond the bound is answered 503 in its turn, and the connection is closed.
 */
export function pipelined(handle: Handler): Handler {
  return (request, response) => {
    const socket: QueuedSocket = request.socket
    socket[QUEUE] ??= new Queue(socket)
    // Several gateways may answer on one connection.
    socket[QUEUE].add(request, response, handle)
  }
}
