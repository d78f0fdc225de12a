import type { Writable } from 'node:stream'
import type { LogFields, Logger, LogLevel } from '../core/logger.ts'
import { within } from '../core/timeout.ts'
import { appendToFd, LogFile } from './log-file.ts'
import { renderRecord, type LogFormat, type LogRecord } from './record.ts'
import type { RecentRecords } from './recent-records.ts'

export interface LoggerOptions {
  /** Minimum severity that is written. */
  readonly level: LogLevel
  /**
   * Default `process.stderr`. The logger never ends it. An error on it ends the logging, not the process; a full disk
   * behind `process.stderr` loses records.
   */
  readonly stream?: Writable
  /** Default: `text` when the stream is a terminal, else `json`. */
  readonly format?: LogFormat
  /** Gets every record that is written, too. */
  readonly recent?: RecentRecords
}

/** A logger that owns its output. */
export interface RootLogger extends Logger {
  /**
   * Resolves when every record so far has been passed to the stream's destination, or after a second when the
   * destination accepts nothing.
   */
  flush(): Promise<void>
}

const SEVERITY: Readonly<Record<LogLevel, number>> = { error: 0, warn: 1, info: 2, debug: 3 }

/** Bounds the memory of log lines while the reader of the stream has stopped. */
const MAX_WAITING_BYTES = 16 * 1024 * 1024
const FLUSH_TIMEOUT_MS = 1000

/** Streams that already have an error handler. */
const guarded = new WeakSet<Writable>()

/**
 * Creates the logger of a process. winston does the writing. It takes longer to load than a small gateway takes to
 * start, so it is loaded with the first record that passes the level, and records wait for it in order.
 */
export function createLogger(options: LoggerOptions): RootLogger {
  const given = options.stream ?? process.stderr
  const format = options.format ?? ((given as { isTTY?: boolean }).isTTY === true ? 'text' : 'json')
  const append = given === process.stderr ? appendToFd(process.stderr.fd) : undefined
  const stream = append ? new LogFile({ append, lost: count => lostRecord(count, format) }) : given
  if (!guarded.has(stream)) {
    guarded.add(stream)
    stream.on('error', () => {})
  }
  const sink = new Sink(stream, format)
  let max = SEVERITY[options.level]

  const at = (fields: LogFields): Logger => {
    const write = (level: LogLevel, message: string, more: LogFields | undefined): void => {
      if (SEVERITY[level] > max) return
      const record = {
        time: new Date(),
        level,
        message,
        fields: more === undefined ? fields : { ...fields, ...more },
      }
      sink.write(record)
      options.recent?.add(record)
    }
    return {
      error: (message, more) => write('error', message, more),
      warn: (message, more) => write('warn', message, more),
      info: (message, more) => write('info', message, more),
      debug: (message, more) => write('debug', message, more),
      get debugs() {
        return max >= SEVERITY.debug
      },
      setLevel: level => {
        max = SEVERITY[level]
      },
      child: more => at({ ...fields, ...more }),
    }
  }
  return Object.assign(at({}), { flush: () => sink.flush() })
}

function lostRecord(count: number, format: LogFormat): string {
  const message = `${count} log records are lost, because the file of the log could not be written.`
  return renderRecord({ time: new Date(), level: 'warn', message, fields: {} }, format)
}

class Sink {
  readonly #stream: Writable
  readonly #format: LogFormat
  #waiting: LogRecord[] = []
  #loading: Promise<void> | undefined
  #out: ((record: LogRecord) => void) | undefined
  #dropped = 0

  constructor(stream: Writable, format: LogFormat) {
    this.#stream = stream
    this.#format = format
  }

  write(record: LogRecord): void {
    if (this.#out) this.#pass(record)
    else {
      this.#waiting.push(record)
      this.#loading ??= this.#load()
    }
  }

  async flush(): Promise<void> {
    await this.#loading
    const stream = this.#stream
    if (!stream.writable) return
    const written = new Promise<void>(resolve => stream.write('', () => resolve()))
    await within(written, FLUSH_TIMEOUT_MS)
  }

  async #load(): Promise<void> {
    try {
      const { default: winston } = await import('winston')
      const logger = winston.createLogger({
        level: 'debug',
        levels: SEVERITY,
        format: winston.format.printf(info => renderRecord(info['record'] as LogRecord, this.#format)),
        transports: [new winston.transports.Stream({ stream: this.#stream, eol: '\n' })],
      })
      this.#out = record => void logger.log({ level: record.level, message: '', record })
    } catch {
      // Falls back to plain writes: with a broken installation, the log is needed most.
      this.#out = record => void this.#stream.write(`${renderRecord(record, this.#format)}\n`)
    }
    const waiting = this.#waiting
    this.#waiting = []
    for (const record of waiting) this.#pass(record)
  }

  #pass(record: LogRecord): void {
    if (!this.#stream.writable) return
    if (this.#stream.writableLength > MAX_WAITING_BYTES) {
      this.#dropped++
      return
    }
    if (this.#dropped > 0) {
      const message = `${this.#dropped} log records were dropped, because nothing read the log.`
      this.#dropped = 0
      this.#out?.({ time: record.time, level: 'warn', message, fields: {} })
    }
    this.#out?.(record)
  }
}
