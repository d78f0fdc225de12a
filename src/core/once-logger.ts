import { createHash } from 'node:crypto'
import type { LogFields, Logger } from './logger.ts'
import { sameness } from './sameness.ts'

/** Different records of one message about one server that are written. Further ones are only counted. */
const MOST_ALIKE = 20
/** Records that are remembered, of one message about one server and in total. Written records are always remembered. */
const MAX_KNOWN = 1000
const MAX_KNOWN_IN_ALL = 20_000
/** Messages about a server that are remembered; the least recently seen ones are dropped first. */
const MAX_GROUPS = 10_000
const COMPARED_CHARS = 1000

interface Alike {
  readonly known: Set<string>
  omitted: number
  /** Whether there were more records than are remembered; the excess is not counted. */
  isCut: boolean
  /** The count is written when it exceeds this number. */
  next: number
}

/**
 * A logger for findings that repeat each time the same work is done: each record is written once. Of one message about
 * one server 20 different records are written; the number of the others is written each time it doubles. Records at
 * `debug` pass unchanged.
 */
export function onceLogger(logger: Logger): Logger {
  return at(logger, new Written(), {})
}

type Level = 'error' | 'warn' | 'info'

function at(logger: Logger, written: Written, own: LogFields): Logger {
  const write = (level: Level, message: string, fields: LogFields = {}): void =>
    written.write(logger, level, message, fields, own)
  return {
    error: (message, fields) => write('error', message, fields),
    warn: (message, fields) => write('warn', message, fields),
    info: (message, fields) => write('info', message, fields),
    debug: (message, fields) => logger.debug(message, fields),
    get debugs() {
      return logger.debugs === true
    },
    child: fields => at(logger.child(fields), written, { ...own, ...fields }),
  }
}

class Written {
  readonly #groups = new Map<string, Alike>()
  #known = 0

  write(logger: Logger, level: Level, message: string, fields: LogFields, own: LogFields): void {
    const { server } = { ...own, ...fields }
    const group = this.#group(`${message}\n${String(server)}`)
    if (group.isCut) return
    const text = sameness(JSON.stringify({ ...own, ...fields }), COMPARED_CHARS)
    const key = createHash('sha256').update(text).digest('base64').slice(0, 16)
    if (group.known.has(key)) return
    const most = this.#known < MAX_KNOWN_IN_ALL ? MAX_KNOWN : MOST_ALIKE
    if (group.known.size >= most) {
      group.isCut = true
      if (group.omitted === 0) group.omitted = 1
      return queueMicrotask(() => tell(logger, level, message, group, server))
    }
    group.known.add(key)
    this.#known++
    if (group.known.size <= MOST_ALIKE) return logger[level](message, fields)
    // Findings of the same turn are counted before their number is written.
    if (group.omitted++ === group.next) queueMicrotask(() => tell(logger, level, message, group, server))
  }

  #group(name: string): Alike {
    let group = this.#groups.get(name)
    if (group) this.#groups.delete(name)
    else group = { known: new Set(), omitted: 0, isCut: false, next: 0 }
    this.#groups.set(name, group)
    for (const [oldest, { known }] of this.#groups) {
      if (this.#groups.size <= MAX_GROUPS) break
      this.#groups.delete(oldest)
      this.#known -= known.size
    }
    return group
  }
}

function tell(logger: Logger, level: Level, about: string, group: Alike, server: LogFields[string]): void {
  const { omitted, isCut } = group
  group.next = 2 * omitted
  const more = isCut ? 'at least ' : ''
  logger[level](`Of these records ${more}${omitted} more are not written.`, { about, alike: omitted, server })
}
