import { toldProblems } from '../problem.ts'
import { SlicedWork } from '../../core/slices.ts'
import { describing, type ChangeDescription } from './describe-change.ts'
import { keepNotReloadable, type NotReloadable } from './not-reloadable.ts'
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
  /**
   * New problems of entries of servers, which cannot be used: the first twenty, and the number of the others. A server
   * that runs goes on as it was.
   */
  readonly problems: readonly string[]
}

/**
 * Plans the reload of a gateway that runs with `running`, in slices. The planned configuration shares the objects of
 * what is equal with the one that runs.
 */
export async function planReload(running: Config, next: Config): Promise<ReloadPlan> {
  const sharing = await withSharedParts(running, next)
  const { config: kept, notReloadable } = keepNotReloadable(running, sharing)
  const { servers, problems } = usable(running.servers, sharing.servers)
  const config = { ...kept, servers }
  const change = await new SlicedWork().do(() => describing(running, config))
  return { config, change, notReloadable, problems }
}

/** The servers of another configuration; one that runs, and whose entry there has a problem, stays as it is. */
function usable(
  running: readonly ServerConfig[],
  next: readonly ServerConfig[],
): { readonly servers: readonly ServerConfig[]; readonly problems: readonly string[] } {
  const before = new Map(running.map(server => [server.name, server]))
  const problems: string[] = []
  const servers = next.map(server => {
    const known = before.get(server.name)
    const { problem } = server
    if (problem === undefined) return server
    if (!known || known.problem !== undefined) {
      if (problem !== known?.problem) problems.push(problem)
      return server
    }
    problems.push(`${problem} What runs stays as it is.`)
    return known
  })
  return { servers, problems: toldProblems(problems) }
}
