/** What the gateway says about itself. Implemented in `observe/`; everything else only knows this. */
export interface Logger {
  error(message: string, fields?: LogFields): void
  warn(message: string, fields?: LogFields): void
  info(message: string, fields?: LogFields): void
  debug(message: string, fields?: LogFields): void
  /** Whether `debug` is written, for what is worth its cost only then; absent: it is not. */
  readonly debugs?: boolean
  /** Writes what is at least as severe as this from now on, here and in all loggers made by `child`; absent: its owner decides. */
  setLevel?(level: LogLevel): void
  /** A logger that adds `fields` to every record. */
  child(fields: LogFields): Logger
}

export type LogLevel = 'error' | 'warn' | 'info' | 'debug'
export type LogFields = Readonly<Record<string, string | number | boolean | undefined>>

const nothing = (): void => {}

/** Says nothing; for tests and embedding. */
export const SILENT: Logger = {
  error: nothing,
  warn: nothing,
  info: nothing,
  debug: nothing,
  child: () => SILENT,
}
