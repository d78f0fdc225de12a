import type { Config } from '../types.ts'

/**
 * The source of a configuration: a file with its includes, or anything else that can be read and watched. The contract
 * suite is `test/contract/config-source.ts`.
 */
export interface WatchedSource {
  /** Name in messages: `/etc/mcp/servers.json`. */
  readonly name: string
  /**
   * Reads the complete current configuration without blocking the event loop. Rejects only when the source is closed.
   */
  read(): Promise<ConfigReading>
  /** As `read`, but the contents count as not read yet: a change that it finds is still reported. */
  peek(): Promise<ConfigReading>
  /**
   * Calls `onChange` when a later `read` may return something else, including changes since the last read. Several
   * changes within a short time cause one call. Resolves when changes are detected from now on. Called once.
   */
  watch(onChange: () => void): Promise<void>
  /**
   * Ends the watching and the current read. Idempotent; resolves when nothing is running and `onChange` is no longer
   * called.
   */
  close(): Promise<void>
}

/** The result of reading a source: a configuration, or why there is none. */
export type ConfigReading = SoundReading | UnsoundReading

interface Contents {
  /** Equal for equal contents of all files that were read. */
  readonly digest: string
}

export interface SoundReading extends Contents {
  readonly config: Config
  /** Problems of the entries of single servers, one per line. `undefined` when there are none. */
  readonly problems: string | undefined
  readonly problem?: undefined
}

export interface UnsoundReading extends Contents {
  readonly config?: undefined
  /** All problems with their locations and fixes, safe to show. */
  readonly problem: string
}
