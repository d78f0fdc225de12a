import type { Readable, Writable } from 'node:stream'
import { processBuffers } from '../core/buffer-limit.ts'
import type { Config } from '../config/types.ts'
import { GatewayError } from '../core/errors.ts'
import type { Logger } from '../core/logger.ts'
import type { Principal } from '../core/principal.ts'
import { isSmall } from '../core/reception.ts'
import { failureObject } from '../protocol/failures.ts'
import { elements, onOneLine } from '../protocol/json-text.ts'
import { errorText, messageKindOf, parseJson, takeApart } from '../protocol/message.ts'
import type { JsonObject } from '../core/exchange.ts'
import { within } from '../core/timeout.ts'
import { rawAt } from '../protocol/json-text.ts'
import { hasMoreValues, MAX_CLIENT_VALUES, TooManyValues } from '../protocol/values.ts'
import { MAX_BYTES } from './backlogs.ts'
import type { Call, Reply } from './call.ts'
import { acceptModern, claimsModern, listen, type HeldListenStream } from './stateless.ts'
import type { Front, ServedClient } from './fronts.ts'
import { noLongerServed } from './no-longer-served.ts'
import { ClientLines } from './client-lines.ts'
import { Latest } from './latest.ts'
import { turnDown, type PartialRequest } from './admission.ts'
import type { Service } from './service.ts'
import { refuseBatches, Session } from './session.ts'
import { cutOffError, goesOn, notTaken } from './shutting-down.ts'
import { StreamPair } from './stream-pair.ts'

export interface StdioFrontOptions {
  readonly service: Service
  readonly input: Readable
  readonly output: Writable
  readonly principal: Principal
  /** Endpoint of the gateway: all servers, a profile or a server. */
  readonly endpoint: string
  readonly view: string
  readonly maxMessageBytes: number
  /** How long answers may take after the client has closed its input. */
  readonly lastAnswersMs: number
  readonly logger: Logger
}

/** How long a client may take to read the last output. */
const FLUSH_MS = 1000

/**
 * Serves one client over newline-delimited JSON, in both eras: a message with a modern envelope is answered as such,
 * `initialize` begins a legacy session. Only JSON-RPC is written to the output.
 */
export class StdioFront implements Front {
  readonly #options: StdioFrontOptions
  #view: string
  readonly #lines: ClientLines
  #lastAnswersMs: number
  readonly #session: Session
  /** Modern requests in flight, by raw id. */
  readonly #calls = new Map<string, Call>()
  readonly #streams = new Set<HeldListenStream>()
  readonly #finished: Promise<void>
  #finish!: () => void
  #draining = false
  #closed = false
  #overdue: NodeJS.Timeout | undefined
  readonly #pair: StreamPair
  #inputEnded = false
  readonly #late = new Latest(text => this.#write(text))
  /** Number of unanswered requests. */
  #waiting = 0

  constructor(options: StdioFrontOptions) {
    this.#options = options
    this.#view = options.view
    this.#lines = new ClientLines(
      options.maxMessageBytes,
      line => this.#line(line),
      () => this.#tooLong(),
    )
    this.#lastAnswersMs = options.lastAnswersMs
    this.#session = new Session(
      options.service,
      options.principal,
      options.view,
      text => this.#write(text),
      'stdio',
    )
    this.#finished = new Promise(resolve => {
      this.#finish = resolve
    })
    this.#pair = new StreamPair(options.input, options.output, {
      bytes: chunk => this.#lines.take(chunk),
      objects: () => this.#dismiss(noBytes()),
      ended: () => this.#ended(),
      left: () => void this.close(),
      drained: () => this.#late.flush(),
    })
  }

  /** Resolves when the client has disconnected. */
  serve(): Promise<void> {
    this.#pair.hear()
    return this.#finished
  }

  /**
   * Takes no new requests, and ends the streams that carry no answer. If the client has closed its input before the
   * gateway is stopped, nothing is waited for: unanswered requests get an error. Idempotent.
   */
  drain(): void {
    if (this.#draining) return
    this.#draining = true
    for (const stream of this.#streams) stream.end()
    if (this.#inputEnded) this.#cutOff()
  }

  get clients(): readonly ServedClient[] {
    return [this.#options]
  }

  reconfigured({ clients, gateway }: Config): void {
    const { service, endpoint, principal } = this.#options
    this.#lines.maxBytes = gateway.http.maxBodyBytes
    this.#lastAnswersMs = gateway.shutdownTimeoutMs
    const { client } = principal
    const isKnown = client === undefined || clients.some(({ name }) => name === client)
    const view = isKnown ? service.viewOf(endpoint, principal) : undefined
    if (view === undefined) return this.#dismiss(noLongerServed(principal, isKnown, endpoint))
    this.#view = view
    this.#session.become(principal, view)
    for (const stream of this.#streams) stream.become(principal, view)
  }

  /** Ends everything with an error. */
  #dismiss(error: GatewayError): void {
    for (const stream of this.#streams) stream.fail(error)
    this.#session.stop(error)
    for (const call of this.#calls.values()) call.stop(error, this.#options.service.serverInfo)
    this.#options.logger.warn(`A client was disconnected. ${error.message}`)
    void this.close()
  }

  /** Cancels everything in flight. Resolves when the output is written, or is not read in time. Idempotent. */
  async close(): Promise<void> {
    const { output } = this.#options
    if (!this.#closed) {
      this.#closed = true
      clearTimeout(this.#overdue)
      this.#session.close()
      for (const call of this.#calls.values()) call.cancellation.cancel('the client left')
      this.#lines.end()
      this.#pair.leave()
      this.#finish()
    }
    if (output.writableLength === 0 || output.destroyed) return
    const written = new Promise<void>(resolve => output.write('', () => resolve()))
    await within(written, FLUSH_MS)
  }

  /** The client has closed its input. Its requests are still answered: it may have closed only its side of the pipe. */
  #ended(): void {
    this.#inputEnded = true
    for (const stream of this.#streams) stream.end()
    this.#session.deafen()
    if (this.#waiting === 0) void this.close()
    // While the gateway drains, it has set the deadline itself.
    else if (!this.#draining) this.#overdue = setTimeout(() => this.#cutOff(), this.#lastAnswersMs)
  }

  /** Ends the wait for answers. */
  #cutOff(): void {
    const error = cutOffError()
    this.#session.stop(error)
    for (const call of this.#calls.values()) call.stop(error, this.#options.service.serverInfo)
    void this.close()
  }

  #tooLong(): void {
    const error = new GatewayError(
      'too_large',
      `A message is larger than ${this.#lines.maxBytes} bytes. Raise "gateway.http.maxBody" if that is expected.`,
    )
    this.#write(errorText('null', failureObject(error)))
  }

  #line(text: string): void {
    let value: unknown
    try {
      if (hasMoreValues(text, MAX_CLIENT_VALUES)) throw new TooManyValues(text)
      value = parseJson(text)
      if (Array.isArray(value)) refuseBatches(this.#session)
    } catch (error) {
      this.#refuseUnread(error)
      return
    }
    if (Array.isArray(value)) {
      const spans = elements(text)
      value.forEach((item, index) => {
        const span = spans[index]
        if (span) this.#message(text.slice(span.start, span.end), item)
      })
    } else this.#message(text, value)
  }

  #message(text: string, value: unknown): void {
    let id: string | undefined
    let read: PartialRequest = {}
    try {
      const kind = messageKindOf(value)
      const message = { text, value: value as JsonObject }
      if (kind === 'response') {
        this.#session.response(message)
        return
      }
      if (kind === 'request') {
        id = rawAt(text, 'id')
        this.#waiting++
        if (this.#draining && !goesOn(message.value.params)) throw notTaken()
      }
      const incoming = takeApart(message)
      read = { ...incoming, modern: claimsModern(message.value.params) }
      if (kind === 'notification') {
        this.#session.notification(incoming)
        if (incoming.method === 'notifications/cancelled' && incoming.params) {
          const target = rawAt(incoming.params.text, 'requestId')
          if (target !== undefined) this.#calls.get(target)?.cancellation.cancel('the client cancelled')
        }
        return
      }
      const reply = new LineReply(
        (line, topic) => this.#write(line, topic),
        () => this.#answered(),
      )
      if (claimsModern(message.value.params)) this.#modern(id as string, incoming, reply)
      else if (incoming.method === 'server/discover')
        throw new GatewayError(
          'invalid_params',
          'server/discover needs the _meta envelope of revision 2026-07-28.',
        )
      else this.#session.request(id as string, incoming, reply)
    } catch (error) {
      this.#refuse(id, read, error)
    }
  }

  /** Counts a request that could not be read, so that its error is written before the end. */
  #refuseUnread(error: unknown): void {
    const id = error instanceof TooManyValues ? error.id : undefined
    if (id !== undefined) this.#waiting++
    this.#refuse(id, {}, error)
  }

  #refuse(id: string | undefined, read: PartialRequest, error: unknown): void {
    turnDown(
      this.#options.service,
      { principal: this.#options.principal, view: this.#view },
      read,
      GatewayError.from(error),
      answer => {
        this.#write(errorText(id ?? 'null', failureObject(answer)))
        if (id !== undefined) this.#answered()
      },
    )
  }

  #modern(id: string, incoming: ReturnType<typeof takeApart>, reply: Reply): void {
    const { service, principal } = this.#options
    const request = { id, incoming, principal, view: this.#view, headers: undefined }
    if (this.#calls.has(id))
      throw new GatewayError('invalid_request', `A request with id ${id} is still in flight.`)
    const call = acceptModern(service, request, reply)
    this.#calls.set(id, call)
    if (incoming.method === 'subscriptions/listen') {
      const forget = (): void => {
        this.#calls.delete(id)
        this.#streams.delete(stream)
      }
      const stream = listen(service, request, call, reply, forget)
      this.#streams.add(stream)
      call.cancellation.onCancel(forget)
    } else void call.run(service).then(() => this.#calls.delete(id))
  }

  #answered(): void {
    this.#waiting--
    if (this.#inputEnded && this.#waiting === 0) void this.close()
  }

  /** A client that does not read gets only the newest message of each `topic`. */
  #write(text: string, topic?: string): void {
    if (this.#closed) return
    const { output, principal, logger } = this.#options
    if (topic !== undefined && output.writableNeedDrain) {
      this.#late.put(topic, text)
      return
    }
    this.#late.flush()
    const unread = output.writableLength
    // Written as bytes, because a stream that takes text may count characters.
    const line = Buffer.from(`${onOneLine(text)}\n`)
    if (isSmall(line.length)) output.write(line)
    else {
      // Pauses the reading of servers while too much waits for the client.
      const buffers = processBuffers()
      buffers.waits(principal.id, line.length)
      output.write(line, () => buffers.waits(principal.id, -line.length))
    }
    // A single large answer may exceed the bound.
    if (unread <= MAX_BYTES) return
    logger.warn('The client does not read its answers and was disconnected.', {
      reason: `more than ${MAX_BYTES / 1024 / 1024} MiB wait for it`,
    })
    void this.close()
  }
}

function noBytes(): GatewayError {
  return new GatewayError('invalid_request', 'Its input gives objects. Pass a stream of bytes or texts.')
}

class LineReply implements Reply {
  readonly #write: (text: string, topic?: string) => void
  readonly #done: () => void

  constructor(write: (text: string, topic?: string) => void, done: () => void) {
    this.#write = write
    this.#done = done
  }

  notify(text: string, topic?: string): boolean {
    this.#write(text, topic)
    return true
  }

  status(): void {}

  answer(head: string, body: string | Buffer, tail: string): void {
    this.#write(head + body.toString() + tail)
    this.#done()
  }

  drop(): void {
    this.#done()
  }
}
