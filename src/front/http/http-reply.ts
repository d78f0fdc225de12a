import type { ServerResponse } from 'node:http'
import { monotonicNow } from '../../core/clock.ts'
import { onOneLine } from '../../protocol/json-text.ts'
import { MAX_STREAM_BYTES, type Backlogs } from '../backlogs.ts'
import type { Reply } from '../call.ts'
import { Latest } from '../latest.ts'
import { Outlet, SMALL_BYTES } from '../outlet.ts'

const EVENT_STREAM_HEADERS = {
  'content-type': 'text/event-stream',
  'cache-control': 'no-cache, no-transform',
  // Proxies that buffer would hold notifications back.
  'x-accel-buffering': 'no',
}

/** Records an event so that it can be sent again, `undelivered` where there is no connection; returns its id. */
export type EventLog = (text: string, undelivered: boolean) => string

export interface HttpReplyOptions {
  readonly response: ServerResponse
  /** Whose request it is. */
  readonly principal: string
  /** What waits for clients that do not read. */
  readonly backlogs: Backlogs
  readonly headers: Readonly<Record<string, string>>
  /** Whether the client takes an event stream as an answer. */
  readonly streams: boolean
  /** Set for clients that can resume a broken stream. */
  readonly log: EventLog | undefined
  /** Whether the stream opens with an empty event, so that it can be resumed from its very beginning (2025-11-25). */
  readonly primes: boolean
  /** Number of answers to wait for; more than one is a batch, answered as an array unless streamed. */
  readonly answers: number
  /** 200 unless given. */
  readonly status?: number
  /** The reply is complete. */
  readonly onDone: (reply: HttpReply) => void
}

/**
 * The answer to one POST: plain JSON as long as nothing comes before it, an event stream from the first notification on. A stream can lose its
 * connection and get another one when the client resumes.
 */
export class HttpReply implements Reply {
  readonly startedAt = monotonicNow()
  readonly #options: HttpReplyOptions
  #response: ServerResponse | undefined
  /** Made when something is written that the client may not take at once. */
  #outlet: Outlet | undefined
  /** Made when the client does not read. */
  #late: Latest | undefined
  #streaming = false
  #left: number
  #status: number
  /** Answers of a batch, while they are small. */
  #held: string[] = []
  #heldChars = 0
  /** The answers of a batch are written as an array, as they come. */
  #array = false
  /** When something was last written, in Unix milliseconds. */
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
      // Without a socket, it waits for the answers to earlier requests.
      if (body.length > SMALL_BYTES || response.socket === null)
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

  /** As fast as the client reads. */
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

  /** One of several answers waits for the others, unless they are large together: then each goes out when it comes. */
  #hold(head: string, body: string | Buffer, tail: string): void {
    // A client that has left before the stream was opened cannot come back for it.
    if (!this.#response) return
    if (this.#array) {
      this.#out()?.write(`,${head}`, body, tail)
      return
    }
    this.#heldChars += head.length + body.length + tail.length
    if (this.#heldChars <= SMALL_BYTES) {
      this.#held.push(head + body.toString() + tail)
      return
    }
    // The last answer, too, may be the large one.
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

  /** Turns the reply into a stream, so that notifications and signs of life can be sent. */
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

  /** A comment, so that neither side takes silence for death. */
  keepAlive(): void {
    if (!this.#outlet?.behind) this.#write(': keepalive\n\n')
  }

  /** A connection is gone; what is still to come is kept for a client that resumes. */
  detach(response: ServerResponse): void {
    // One that has been taken over may end long after.
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

  /** What the client may not take at once goes through it. */
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
        // Everything was cancelled: there is nothing to say.
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
