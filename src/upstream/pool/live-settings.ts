import type { ServerConfig } from '../../config/types.ts'

/**
 * The current settings of a server, shared by its pool and all its parts. `settings` is one object as long as the
 * server keeps its name. Its users read the current value, and keep no copy of a member that may change.
 */
export class LiveSettings {
  readonly settings: ServerConfig

  constructor(server: ServerConfig) {
    this.settings = { ...server }
  }

  /** Replaces all settings at once. @returns the former ones */
  update(server: ServerConfig): ServerConfig {
    const before = { ...this.settings }
    Object.assign(this.settings, server)
    return before
  }
}

/** Whether links opened with one of these differ from links opened with the other in more than the endpoint. */
export function differsForLinks(a: ServerConfig, b: ServerConfig): boolean {
  return (
    a.maxMessageBytes !== b.maxMessageBytes ||
    a.memoryLimitBytes !== b.memoryLimitBytes ||
    (a.roots !== b.roots && JSON.stringify(a.roots) !== JSON.stringify(b.roots))
  )
}
