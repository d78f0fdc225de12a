import type { LogLevel } from '../../core/logger.ts'

/** Inputs of a configuration besides its text. All paths are absolute. */
export interface Environment {
  readonly file: string | undefined
  /** Base of relative paths: the folder of the file. */
  readonly folder: string
  /** The same of the file that has the entry of a server, which may be an included one. */
  readonly folderOf: (server: string) => string
  /** Default working directory of child processes. */
  readonly cwd: string
  readonly home: string
  readonly stateFolder: string
  /** Parsed `envFile`s by absolute path. */
  readonly envFiles: ReadonlyMap<string, Readonly<Record<string, string>>>
  readonly overrides: Overrides
  /** Problems of server entries by name; these entries are empty. */
  readonly problems: ReadonlyMap<string, string>
}

/** Values of the command line; they override the file. */
export interface Overrides {
  readonly log?: LogLevel | undefined
  readonly host?: string | undefined
  readonly port?: number | undefined
  /** Whether the gateway listens on HTTP. */
  readonly serves?: boolean | undefined
  /** Whether anonymous access over HTTP is allowed, also from other machines. */
  readonly allowAnonymous?: boolean | undefined
}
