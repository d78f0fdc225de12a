import type { Reloaded } from '../config/source/reloadable.ts'

/**
 * The result of a reload. A configuration that cannot be used is not reported, it is thrown. A superseded reload
 * reports no differences.
 */
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

/** The part that programs see. */
export function reportOf({ outcome, plan }: Reloaded): ReloadReport {
  const named = (change: string): string[] =>
    (plan?.change.changes ?? []).flatMap(entry =>
      entry.kind === 'server' && entry.change === change ? [entry.name ?? ''] : [],
    )
  return {
    applied: outcome === 'applied' || outcome === 'unchanged',
    superseded: outcome === 'superseded',
    notReloadable: plan?.notReloadable.map(({ key }) => key) ?? [],
    servers: { added: named('added'), removed: named('removed'), changed: named('changed') },
  }
}
