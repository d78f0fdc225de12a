import type { LogLevel } from '../core/logger.ts'

/** Options of the gateway on stdio. */
export interface StdioArguments {
  readonly config?: string
  readonly log?: LogLevel
  /** Name of the exposed profile; without it, everything is exposed. */
  readonly profile?: string
  /** Name of the configured client; without it, the local user. */
  readonly client?: string
}

const LEVELS: readonly string[] = ['error', 'warn', 'info', 'debug'] satisfies LogLevel[]

/**
 * Parses the arguments of the most frequent start, for which a client waits: none, or only `--config`, `--log`,
 * `--profile` and `--client`. `undefined` for any other arguments, including errors, which the command line library
 * reports better.
 */
export function parseDirect(args: readonly string[]): StdioArguments | undefined {
  const options: { config?: string; log?: LogLevel; profile?: string; client?: string } = {}
  for (let at = 0; at < args.length; at++) {
    const arg = args[at] ?? ''
    const equals = arg.startsWith('--') ? arg.indexOf('=') : -1
    const name = equals === -1 ? arg : arg.slice(0, equals)
    if (!['--config', '-c', '--log', '--profile', '--client'].includes(name)) return undefined
    const value = equals === -1 ? args[++at] : arg.slice(equals + 1)
    if (value === undefined || value === '' || value.startsWith('-')) return undefined
    if (name === '--profile') options.profile = value
    else if (name === '--client') options.client = value
    else if (name !== '--log') options.config = value
    else if (LEVELS.includes(value)) options.log = value as LogLevel
    else return undefined
  }
  return options
}
