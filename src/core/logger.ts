/** The log interface of the gateway. Implemented in `observe/`; all other code depends only on this interface. */
export interface Logger {
  error(message: string, fields?: LogFields): void
  warn(message: string, fields?: LogFields): void
  info(message: string, fields?: LogFields): void
  debug(message: string, fields?: LogFields): void
  /** Whether `debug` records are written, for records that are expensive to build; absent: they are not. */
  readonly debugs?: boolean
  /**
   * Sets the minimum severity of this logger and of all loggers made by `child`; absent: the owner of the logger
   * decides.
   */
  setLevel?(level: LogLevel): void
  /** A logger that adds `fields` to every record. */
  child(fields: LogFields): Logger
}

export type LogLevel = 'error' | 'warn' | 'info' | 'debug'
export type LogFields = Readonly<Record<string, string | number | boolean | undefined>>

const nothing = (): void => {}

/** Discards all records; for tests and embedding. */
export const SILENT: Logger = {
  error: nothing,
  warn: nothing,
  info: nothing,
  debug: nothing,
  child: () => SILENT,
}
