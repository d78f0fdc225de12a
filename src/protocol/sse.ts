import { StringDecoder } from 'node:string_decoder'
import { detached } from '../core/detached.ts'

/** Server-sent events (WHATWG HTML, 9.2), both directions, with unchanged data. */

/** The text before the data of an event. */
export function eventStart(id?: string): string {
  return id === undefined ? 'event: message\ndata: ' : `event: message\nid: ${id}\ndata: `
}

/** The text after the data of an event. */
export const EVENT_END = '\n\n'

/** One event as text. `data` must be on one line. */
export function eventText(data: string, id?: string): string {
  return eventStart(id) + data + EVENT_END
}

export interface ServerSentEvent {
  /** `message` when the stream names none. */
  readonly event: string
  readonly data: string
  readonly id: string | undefined
}

export interface SseHandler {
  onEvent(event: ServerSentEvent): void
  onRetry(ms: number): void
  /** The stream sends an event above the maximum, which is discarded. Later events are parsed as before. */
  onOverflow(): void
  /** An event has an id longer than `MAX_ID_CHARS`, which is ignored. */
  onLongId?(chars: number): void
  /**
   * An event that was too long, or that `skip` discarded, has ended. `head` and `tail` are the two ends of its data, at
   * most 512 characters each.
   */
  onSkipped?(head: string, tail: string): void
}

/** Maximum length of an event id, in UTF-16 code units. It is kept after its event, and is sent back as a header. */
export const MAX_ID_CHARS = 4096
/**
 * Characters that no header can contain. The standard ignores only ids with NUL; an id with another control character
 * could not be sent back.
 */
// eslint-disable-next-line no-control-regex -- they are what is meant
const NOT_IN_HEADERS = /[\u0000-\u0008\u000a-\u001f\u007f]/
/** Longer event names are truncated to this length; they match no known name. */
const MAX_EVENT_CHARS = 256
/** Above this number of lines, each line of data counts with its overhead. */
const FREE_LINES = 1000
const LINE_CHARS = 32
/** Shorter lines that outlive their chunk are copied, because a slice keeps the whole chunk in memory. */
const SLICE_CHARS = 32 * 1024
/** Length of each of the two kept ends of an event that is too long. */
const END_CHARS = 512

/** Incremental parser. Long data lines that arrive in many chunks are collected, not scanned again. */
export class EventParser {
  readonly #decoder = new StringDecoder('utf8')
  readonly #sink: SseHandler
  readonly #maxChars: number
  /** The unfinished line, in the pieces as received. */
  #parts: string[] = []
  #partChars = 0
  #afterReturn = false
  #first = true
  /** The two ends of an unfinished event that is too long. */
  #skipped: { readonly head: string; tail: string } | undefined
  #event = ''
  /** Lines of the unfinished event. */
  #data: string[] = []
  #dataChars = 0
  /** Number of its lines that have outlived their chunk. */
  #settled = 0
  #id: string | undefined

  /** `maxChars`: maximum length of an event in UTF-16 code units, including the field name of an unfinished line. */
  constructor(sink: SseHandler, maxChars: number) {
    this.#sink = sink
    this.#maxChars = maxChars
  }

  /** Memory held, in UTF-16 code units: the unfinished event, and the last id. */
  get held(): number {
    return this.#eventChars + (this.#id?.length ?? 0)
  }

  get #eventChars(): number {
    if (this.#skipped) return this.#event.length
    const lines = Math.max(0, this.#data.length - FREE_LINES)
    return this.#partChars + this.#dataChars + lines * LINE_CHARS + this.#event.length
  }

  push(chunk: Buffer): void {
    let text = this.#decoder.write(chunk)
    if (text === '') return
    if (this.#first) {
      this.#first = false
      if (text.charCodeAt(0) === 0xfeff) text = text.slice(1)
    }
    if (this.#afterReturn || text.includes('\r')) text = this.#normalized(text)
    let from = 0
    for (;;) {
      const end = text.indexOf('\n', from)
      if (end < 0) break
      const last = text.slice(from, end)
      from = end + 1
      if (this.#skipped) this.#skipLine(this.#skipped, last)
      else if (this.#parts.length === 0) this.#line(last)
      else {
        this.#parts.push(last)
        const line = this.#parts.join('')
        this.#parts = []
        this.#partChars = 0
        this.#line(line)
      }
    }
    if (from < text.length) {
      const part = from === 0 ? text : detached(text.slice(from))
      this.#partChars += part.length
      if (this.#skipped) keepTail(this.#skipped, part)
      else {
        this.#parts.push(part)
        this.#checkLength()
      }
    }
    this.#settle()
  }

  #settle(): void {
    const data = this.#data
    for (; this.#settled < data.length; this.#settled++) {
      const line = data[this.#settled] as string
      if (line.length < SLICE_CHARS) data[this.#settled] = detached(line)
    }
  }

  #checkLength(): void {
    if (this.#eventChars <= this.#maxChars) return
    this.skip()
    this.#sink.onOverflow()
  }

  /**
   * Discards the unfinished event and its remaining data.
   * @returns the beginning of its data
   */
  skip(): string {
    if (this.#skipped) return this.#skipped.head
    const unfinished = this.#parts.join('')
    const data = [...this.#data, unfinished.replace(/^data: ?/, '')].join('\n')
    this.#skipped = { head: detached(data.slice(0, END_CHARS)), tail: detached(data.slice(-END_CHARS)) }
    this.#parts = []
    this.#data = []
    this.#dataChars = 0
    this.#settled = 0
    return this.#skipped.head
  }

  /** Processes a line, or the last part of a line, of an event that is too long; an empty line ends the event. */
  #skipLine(skipped: { readonly head: string; tail: string }, last: string): void {
    const ends = this.#partChars === 0 && last === ''
    this.#partChars = 0
    if (!ends) return keepTail(skipped, last)
    this.#skipped = undefined
    this.#event = ''
    this.#sink.onSkipped?.(skipped.head, skipped.tail)
  }

  /** CR LF and lone CR become LF; a CR at the end of a chunk may be the first half of a CR LF. */
  #normalized(text: string): string {
    if (this.#afterReturn && text.charCodeAt(0) === 10) text = text.slice(1)
    this.#afterReturn = text.endsWith('\r')
    return text.replace(/\r\n?/g, '\n')
  }

  #line(line: string): void {
    if (line === '') {
      if (this.#data.length > 0) {
        const data = this.#data.length === 1 ? (this.#data[0] as string) : this.#data.join('\n')
        this.#sink.onEvent({ event: this.#event || 'message', data, id: this.#id })
      }
      this.#event = ''
      this.#data = []
      this.#dataChars = 0
      this.#settled = 0
      return
    }
    const colon = line.indexOf(':')
    if (colon === 0) return
    const field = colon < 0 ? line : line.slice(0, colon)
    const value = colon < 0 ? '' : line.slice(line.charCodeAt(colon + 1) === 32 ? colon + 2 : colon + 1)
    if (field === 'data') {
      this.#dataChars += value.length + (this.#data.length > 0 ? 1 : 0)
      this.#data.push(value)
      this.#checkLength()
    } else if (field === 'event') this.#event = detached(value.slice(0, MAX_EVENT_CHARS))
    else if (field === 'id') {
      if (value.length > MAX_ID_CHARS) this.#sink.onLongId?.(value.length)
      else if (!NOT_IN_HEADERS.test(value)) this.#id = detached(value)
    } else if (field === 'retry' && /^\d+$/.test(value)) this.#sink.onRetry(Number(value))
  }
}

function keepTail(skipped: { tail: string }, text: string): void {
  skipped.tail = detached((skipped.tail + text.slice(-END_CHARS)).slice(-END_CHARS))
}
