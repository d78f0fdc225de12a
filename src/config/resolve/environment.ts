import type { LogLevel } from '../../core/logger.ts'

/** What a configuration depends on besides its text. All paths absolute. */
export interface Environment {
  readonly file: string | undefined
  /** Relative paths start here: the folder of the file. */
  readonly folder: string
  /** Where children run unless configured. */
  readonly cwd: string
  readonly home: string
  readonly stateFolder: string
  /** Parsed `envFile`s by absolute path. */
  readonly envFiles: ReadonlyMap<string, Readonly<Record<string, string>>>
  readonly overrides: Overrides
  /** What is wrong with the entries of servers, by name; these entries are empty. */
  readonly problems: ReadonlyMap<string, string>
}

/** What the command line says; wins over the file. */
export interface Overrides {
  readonly log?: LogLevel | undefined
  readonly host?: string | undefined
  readonly port?: number | undefined
  /** The gateway listens on HTTP. */
  readonly serves?: boolean | undefined
  /** Everyone may come over HTTP, also from other machines. */
  readonly allowAnonymous?: boolean | undefined
}
