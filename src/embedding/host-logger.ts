import type { LogFields, Logger, LogLevel } from '../core/logger.ts'
import { cleanRecord } from '../observe/record.ts'

/** The logger interface required of the host program. `console` satisfies it. */
export interface HostLogger {
  error(message: string, fields?: LogFields): void
  warn(message: string, fields?: LogFields): void
  info(message: string, fields?: LogFields): void
  debug(message: string, fields?: LogFields): void
}

const SEVERITY: Readonly<Record<LogLevel, number>> = { error: 0, warn: 1, info: 2, debug: 3 }

/**
 * Forwards records that pass `level`, which `setLevel` changes, to the host's logger, without secrets. Exceptions of
 * that logger are dropped, so that no call fails because of it.
 */
export function toLogger(host: HostLogger, level: LogLevel): Logger {
  let max = SEVERITY[level]
  const withFields = (fields: LogFields): Logger => {
    const write = (at: LogLevel, text: string, more: LogFields | undefined): void => {
      if (SEVERITY[at] > max) return
      const record = cleanRecord(text, more === undefined ? fields : { ...fields, ...more })
      try {
        host[at](record.message, record.fields)
      } catch {
        // There is nowhere else to report the exception.
      }
    }
    return {
      error: (text, more) => write('error', text, more),
      warn: (text, more) => write('warn', text, more),
      info: (text, more) => write('info', text, more),
      debug: (text, more) => write('debug', text, more),
      get debugs() {
        return max >= SEVERITY.debug
      },
      setLevel: to => {
        max = SEVERITY[to]
      },
      child: more => withFields({ ...fields, ...more }),
    }
  }
  return withFields({})
}
