import { LINK_SETTINGS, presentsLogin } from '../../config/link-settings.ts'
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

  /** Replaces all settings at once. */
  update(server: ServerConfig): Differences {
    const before = { ...this.settings }
    Object.assign(this.settings, server)
    return {
      // A reload keeps the object of what is equal.
      replicas: before.replicas !== server.replicas,
      links: differsForLinks(before, server),
      starts: differsForStarts(before, server),
      isolation: before.isolation !== server.isolation,
    }
  }
}

/** What differs between the former settings of a server and its current ones. */
export interface Differences {
  readonly replicas: boolean
  /** Links would be opened in another way, also to the same endpoint. */
  readonly links: boolean
  /** A program that did not start before may start now. */
  readonly starts: boolean
  readonly isolation: boolean
}

/** Whether a server that does not start with one of these may start with the other. */
function differsForStarts(a: ServerConfig, b: ServerConfig): boolean {
  return a.startTimeoutMs !== b.startTimeoutMs || a.restartLimit !== b.restartLimit
}

/** Whether a server that cannot be listed with one of these may be listed with the other. */
export function differsForLists(a: ServerConfig, b: ServerConfig): boolean {
  return differsForStarts(a, b) || a.listTimeoutMs !== b.listTimeoutMs
}

/** Whether links opened with one of these differ from links opened with the other in more than the endpoint. */
function differsForLinks(a: ServerConfig, b: ServerConfig): boolean {
  return (
    presentsLogin(a) !== presentsLogin(b) ||
    LINK_SETTINGS.some(key => a[key] !== b[key] && JSON.stringify(a[key]) !== JSON.stringify(b[key]))
  )
}
