import type { ServerResponse } from 'node:http'
import { monotonicNow } from '../../core/clock.ts'
import { onOneLine } from '../../protocol/json-text.ts'
import { MAX_STREAM_BYTES, type Backlogs } from '../backlogs.ts'
import type { Reply } from '../call.ts'
import { Latest } from '../latest.ts'
import { Outlet, UNCOUNTED_ANSWER_BYTES } from '../outlet.ts'

const EVENT_STREAM_HEADERS = {
  'content-type': 'text/event-stream',
  'cache-control': 'no-cache, no-transform',
  // Tells proxies not to buffer, which would delay notifications.
  'x-accel-buffering': 'no',
}

/** Records an event so that it can be sent again, and returns its id. `undelivered`: there is no connection. */
export type EventLog = (text: string, undelivered: boolean) => string

export interface HttpReplyOptions {
  readonly response: ServerResponse
  /** Principal of the request. */
  readonly principal: string
  /** Counts the bytes that wait for clients. */
  readonly backlogs: Backlogs
  readonly headers: Readonly<Record<string, string>>
  /** Whether the client accepts an event stream as an answer. */
  readonly streams: boolean
  /** Set for clients that can resume a broken stream. */
  readonly log: EventLog | undefined
  /** Whether the stream opens with an empty event, so that it can be resumed from its start (2025-11-25). */
  readonly primes: boolean
  /** Number of answers to wait for. More than one is a batch, answered as an array unless streamed. */
  readonly answers: number
  /** Default: 200. */
  readonly status?: number
  /** Called when the reply is complete. */
  readonly onDone: (reply: HttpReply) => void
}

/**
 * The answer to one POST: plain JSON as long as nothing precedes it, an event stream from the first notification on. A
 * stream can lose its connection and get another one when the client resumes.
 */
export class HttpReply implements Reply {
  readonly startedAt = monotonicNow()
  readonly #options: HttpReplyOptions
  #response: ServerResponse | undefined
  /** Created for the first output that the client may not take at once. */
  #outlet: Outlet | undefined
  /** Created when the client does not read. */
  #late: Latest | undefined
  #streaming = false
  #left: number
  #status: number
  /** Answers of a batch, while they are small. */
  #held: string[] = []
  #heldChars = 0
  /** Whether the answers of a batch are written as an array, one by one. */
  #array = false
  /** When something was last written, in milliseconds of `monotonicNow()`. */
  lastWrite = this.startedAt

  constructor(options: HttpReplyOptions) {
    this.#options = options
    this.#response = options.response
    this.#left = options.answers
    this.#status = options.status ?? 200
  }

  get done(): boolean {
    return this.#left <= 0
  }

  get streaming(): boolean {
    return this.#streaming
  }

  notify(text: string, topic?: string): boolean {
    if (this.done || !this.#options.streams) return false
    this.openStream()
    const outlet = this.#out()
    if (outlet?.behind) {
      if (topic !== undefined) {
        const late = (this.#late ??= new Latest(newest => this.#event(newest)))
        late.put(topic, text)
        outlet.onCaughtUp = () => late.flush()
        return true
      }
      if (outlet.bytes > MAX_STREAM_BYTES) {
        const limit = `${MAX_STREAM_BYTES / 1024 / 1024} MiB`
        this.#options.backlogs.drop(outlet, `more than ${limit} of notifications wait on one stream`)
        return false
      }
    }
    this.#event(text)
    return true
  }

  status(code: number): void {
    this.#status = code
  }

  answer(head: string, body: string | Buffer, tail: string): void {
    if (this.done) return
    this.#left--
    if (this.#streaming || this.#options.answers > 1) {
      if (!this.#streaming) this.#hold(head, body, tail)
      else this.#event(head + body.toString() + tail)
      if (this.done) this.#finish()
      return
    }
    const response = this.#response
    if (response && !response.headersSent) {
      // Without a socket, the response waits for the answers to earlier requests.
      if (body.length > UNCOUNTED_ANSWER_BYTES || response.socket === null)
        this.#answerAsRead(response, head, body, tail)
      else if (typeof body === 'string') {
        const text = head + body + tail
        response.writeHead(this.#status, {
          ...this.#options.headers,
          'content-type': 'application/json',
          'content-length': Buffer.byteLength(text),
        })
        response.end(text)
      } else {
        response.writeHead(this.#status, {
          ...this.#options.headers,
          'content-type': 'application/json',
          'content-length': Buffer.byteLength(head) + body.length + Buffer.byteLength(tail),
        })
        response.cork()
        response.write(head)
        response.write(body)
        response.end(tail)
      }
    }
    this.#options.onDone(this)
  }

  /** Sends the answer as fast as the client reads. */
  #answerAsRead(response: ServerResponse, head: string, body: string | Buffer, tail: string): void {
    response.writeHead(this.#status, {
      ...this.#options.headers,
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(head) + Buffer.byteLength(body) + Buffer.byteLength(tail),
    })
    const outlet = this.#out()
    outlet?.write(head, body, tail)
    outlet?.end()
  }

  /** Keeps one of several answers until the others are there. If they are large together, each is sent as it comes. */
  #hold(head: string, body: string | Buffer, tail: string): void {
    // A client that disconnected before the stream was opened cannot resume it.
    if (!this.#response) return
    if (this.#array) {
      this.#out()?.write(`,${head}`, body, tail)
      return
    }
    this.#heldChars += head.length + body.length + tail.length
    if (this.#heldChars <= UNCOUNTED_ANSWER_BYTES) {
      this.#held.push(head + body.toString() + tail)
      return
    }
    // The last answer may be the large one.
    this.#stream()
    if (this.#streaming) this.#event(head + body.toString() + tail)
    else {
      this.#array = true
      this.#response.writeHead(200, { ...this.#options.headers, 'content-type': 'application/json' })
      const before = this.#held.map(text => `${text},`).join('')
      this.#held = []
      this.#out()?.write(`[${before}${head}`, body, tail)
    }
  }

  drop(): void {
    if (this.done) return
    this.#left--
    if (this.done) this.#finish()
  }

  /** Turns the reply into a stream, so that notifications and keep-alive comments can be sent. */
  openStream(): void {
    if (!this.done) this.#stream()
  }

  #stream(): void {
    if (this.#streaming || !this.#options.streams) return
    this.#streaming = true
    this.#head()
    if (this.#options.log && this.#options.primes)
      this.#write(`id: ${this.#options.log('', false)}\ndata: \n\n`)
    for (const text of this.#held) this.#event(text)
    this.#held = []
  }

  /** Sends a comment, so that neither side takes the silence for a broken connection. */
  keepAlive(): void {
    if (!this.#outlet?.behind) this.#write(': keepalive\n\n')
  }

  /** Handles the loss of a connection. Later events are kept for a client that resumes. */
  detach(response: ServerResponse): void {
    // The end of a replaced connection may be reported long after.
    if (this.#response !== response) return
    this.#response = undefined
    this.#outlet = undefined
    this.#held = []
  }

  /** Continues on another connection, whose stream is open already. */
  attach(response: ServerResponse, outlet?: Outlet): void {
    if (this.#outlet) this.#outlet.end()
    else this.#response?.end()
    this.#response = response
    this.#outlet = outlet
    if (this.done) this.#out()?.end()
  }

  /** The outlet for output that the client may not take at once. */
  #out(): Outlet | undefined {
    if (!this.#response) return undefined
    return (this.#outlet ??= new Outlet(this.#response, this.#options.principal, this.#options.backlogs))
  }

  #event(text: string): void {
    this.#late?.flush()
    const line = onOneLine(text)
    const id = this.#options.log?.(line, this.#response === undefined)
    this.lastWrite = monotonicNow()
    this.#out()?.event(line, id)
  }

  #head(): void {
    const response = this.#response
    if (!response || response.headersSent) return
    response.writeHead(200, { ...this.#options.headers, ...EVENT_STREAM_HEADERS })
    response.flushHeaders()
  }

  #write(text: string): void {
    this.lastWrite = monotonicNow()
    this.#out()?.write(text)
  }

  #finish(): void {
    const response = this.#response
    if (response && !response.writableEnded) {
      if (this.#array) this.#out()?.write(']')
      if (this.#streaming || this.#array) this.#out()?.end()
      else if (this.#held.length > 0) {
        const text = `[${this.#held.join(',')}]`
        response.writeHead(200, {
          ...this.#options.headers,
          'content-type': 'application/json',
          'content-length': Buffer.byteLength(text),
        })
        response.end(text)
      } else {
        // Every request was cancelled, so there is no answer.
        response.writeHead(202, { ...this.#options.headers })
        response.end()
      }
    }
    this.#options.onDone(this)
  }
}

/** Whether `everyMs` have passed since `last`; 0 means never. */
export function isDue(last: number, now: number, everyMs: number): boolean {
  return everyMs > 0 && now - last >= everyMs
}

/** Opens an event stream that is no reply to a request. */
export function openEventStream(response: ServerResponse, headers: Readonly<Record<string, string>>): void {
  response.writeHead(200, { ...headers, ...EVENT_STREAM_HEADERS })
  response.flushHeaders()
}

/** A reply that carries one error and belongs to no session. */
export function errorReply(
  response: ServerResponse,
  status: number,
  backlogs: Backlogs,
  headers: Readonly<Record<string, string>>,
): HttpReply {
  return new HttpReply({
    response,
    principal: '',
    backlogs,
    headers,
    streams: false,
    log: undefined,
    primes: false,
    answers: 1,
    status,
    onDone: () => undefined,
  })
}
