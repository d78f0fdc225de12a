import type { Config } from '../types.ts'

/**
 * Where a configuration comes from: a file with what it includes, or anything else that can be read and watched. The contract suite is
 * `test/contract/config-source.ts`.
 */
export interface ConfigSource {
  /** Names it in messages: `/etc/mcp/servers.json`. */
  readonly name: string
  /** Reads the whole configuration as it is now. Does not hold up the event loop. Rejects only when it is closed. */
  read(): Promise<ConfigReading>
  /**
   * Calls `onChange` when a later `read` may give something else, also what changed since the last one. Several changes within a short time are one call.
   * Resolves when changes from now on are noticed. Called once.
   */
  watch(onChange: () => void): Promise<void>
  /** Ends the watching and what is being read. Idempotent; resolves when nothing goes on and `onChange` is called no more. */
  close(): Promise<void>
}

/** What a source says at one moment: a configuration, or why there is none. */
export type ConfigReading = SoundReading | UnsoundReading

interface Contents {
  /** Equal for equal contents of everything that was read. */
  readonly digest: string
}

export interface SoundReading extends Contents {
  readonly config: Config
  /** The problems of single servers, which are left out, a line each; `undefined` when there are none. */
  readonly problems: string | undefined
  readonly problem?: undefined
}

export interface UnsoundReading extends Contents {
  readonly config?: undefined
  /** Every problem with its place and its fix, fit to be shown. */
  readonly problem: string
}
