import type { LogLevel } from '../core/logger.ts'

/** Options of the program, which every command has. */
export interface CommonOptions {
  readonly config?: string
  readonly log?: LogLevel
  readonly profile?: string
}

/** Those of a command whose output programs may read. */
export interface JsonOptions extends CommonOptions {
  readonly json?: boolean
}

/** The option of a command that is for one client. */
export const CLIENT_OPTION = '--client'
