import { toldProblems } from '../problem.ts'
import { SlicedWork } from '../../core/slices.ts'
import { describing, type ChangeDescription } from './describe-change.ts'
import { keepNotReloadable, type NotReloadable } from './not-reloadable.ts'
import { leftOut, runsOn } from '../unusable-entry.ts'
import { withSharedParts } from './shared-parts.ts'
import type { Config, ServerConfig } from '../types.ts'

/** What a reload changes in a running gateway, decided in one place for the reload, its report and its rehearsal. */
export interface ReloadPlan {
  /** What runs afterwards: the other configuration, with the running values of what cannot change. */
  readonly config: Config
  /** What differs between that and what runs now. */
  readonly change: ChangeDescription
  /** Keys that differ and take effect at the next start. */
  readonly notReloadable: readonly NotReloadable[]
  /** Entries of servers that cannot be used. */
  readonly unusable: readonly UnusableEntry[]
  /** A sentence for each of them whose problem is new: the first twenty, and the number of the others. */
  readonly problems: readonly string[]
}

/** The entry of a server that cannot be used. */
export interface UnusableEntry {
  readonly server: string
  /** Whether the server runs on as it was until the next start; otherwise it is left out. */
  readonly runsOn: boolean
}

/**
 * Plans the reload of a gateway that runs with `running`, in slices. The planned configuration shares the objects of
 * what is equal with the one that runs.
 */
export async function planReload(running: Config, next: Config): Promise<ReloadPlan> {
  const sharing = await withSharedParts(running, next)
  const { config: kept, notReloadable } = keepNotReloadable(running, sharing)
  const { servers, unusable, problems } = usable(running.servers, sharing.servers)
  const config = { ...kept, servers }
  const change = await new SlicedWork().do(() => describing(running, config))
  return { config, change, notReloadable, unusable, problems }
}

/** The servers of another configuration; one that runs, and whose entry there has a problem, stays as it is. */
function usable(
  running: readonly ServerConfig[],
  next: readonly ServerConfig[],
): Pick<ReloadPlan, 'unusable' | 'problems'> & { readonly servers: readonly ServerConfig[] } {
  const before = new Map(running.map(server => [server.name, server]))
  const problems: string[] = []
  const unusable: UnusableEntry[] = []
  const servers = next.map(server => {
    const known = before.get(server.name)
    const { name, problem } = server
    if (problem === undefined) return server
    const isRunning = known !== undefined && known.problem === undefined
    unusable.push({ server: name, runsOn: isRunning })
    if (isRunning) problems.push(runsOn(name, problem))
    else if (problem !== known?.problem) problems.push(leftOut(name, problem))
    return isRunning ? known : server
  })
  return { servers, unusable, problems: toldProblems(problems) }
}
