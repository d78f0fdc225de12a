import type { LogFields, Logger, LogLevel } from '../core/logger.ts'
import { cleanRecord } from '../observe/record.ts'

/** What of a program's own logger the gateway needs. `console` is one. */
export interface HostLogger {
  error(message: string, fields?: LogFields): void
  warn(message: string, fields?: LogFields): void
  info(message: string, fields?: LogFields): void
  debug(message: string, fields?: LogFields): void
}

const SEVERITY: Readonly<Record<LogLevel, number>> = { error: 0, warn: 1, info: 2, debug: 3 }

/** Hands what passes `level` to the program's logger, without secrets. What the program's logger throws is dropped: no call fails because of it. */
export function toLogger(host: HostLogger, level: LogLevel): Logger {
  const max = SEVERITY[level]
  const withFields = (fields: LogFields): Logger => {
    const write = (at: LogLevel, text: string, more: LogFields | undefined): void => {
      if (SEVERITY[at] > max) return
      const record = cleanRecord(text, more === undefined ? fields : { ...fields, ...more })
      try {
        host[at](record.message, record.fields)
      } catch {
        // There is no other place to tell it.
      }
    }
    return {
      error: (text, more) => write('error', text, more),
      warn: (text, more) => write('warn', text, more),
      info: (text, more) => write('info', text, more),
      debug: (text, more) => write('debug', text, more),
      debugs: max >= SEVERITY.debug,
      child: more => withFields({ ...fields, ...more }),
    }
  }
  return withFields({})
}
