/** What came of a reload. A configuration that cannot be used is not reported, it is thrown. */
export interface ReloadReport {
  /** Whether the gateway runs with the new configuration. */
  readonly applied: boolean
  /** A later reload took the place of this one before it was applied. `applied` is `false` then. */
  readonly superseded: boolean
  /** Keys that differ and take effect at the next start, as `gateway.http.port`. The running values stay. */
  readonly notReloadable: readonly string[]
  /** Names of the servers that differ. A changed one may keep its links: timeouts and limits need no new ones. */
  readonly servers: {
    readonly added: readonly string[]
    readonly removed: readonly string[]
    readonly changed: readonly string[]
  }
}
