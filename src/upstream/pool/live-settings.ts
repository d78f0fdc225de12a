import type { ServerConfig } from '../../config/types.ts'

/**
 * The settings of a server as its pool and everything in it read them. `settings` is one object for as long as the server has its name: what holds it reads the value
 * of the moment, and keeps no copy of a member that may change.
 */
export class LiveSettings {
  readonly settings: ServerConfig

  constructor(server: ServerConfig) {
    this.settings = { ...server }
  }

  /** Replaces all of them at once. @returns those of before */
  update(server: ServerConfig): ServerConfig {
    const before = { ...this.settings }
    Object.assign(this.settings, server)
    return before
  }
}

/** Whether links made with one of these differ from links made with the other in more than the endpoint. */
export function differsForLinks(a: ServerConfig, b: ServerConfig): boolean {
  return (
    a.maxMessageBytes !== b.maxMessageBytes ||
    a.memoryLimitBytes !== b.memoryLimitBytes ||
    JSON.stringify(a.roots) !== JSON.stringify(b.roots)
  )
}
