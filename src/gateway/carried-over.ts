import { keepNotReloadable } from '../config/source/not-reloadable.ts'
import type { Config, ServerConfig } from '../config/types.ts'
import type { ReloadReport } from './reload-report.ts'

/** A changed configuration as a running gateway can take it over. */
export interface CarriedOver {
  readonly config: Config
  readonly notReloadable: readonly string[]
  readonly servers: ReloadReport['servers']
  /** Why entries of servers cannot be used, as far as that is new. A server that runs goes on as it was. */
  readonly problems: readonly string[]
}

/**
 * `next`, with the values of `running` wherever a running gateway cannot change, or an entry cannot be used. Both share the
 * objects of what is equal (`withSharedParts`).
 */
export function carriedOver(running: Config, next: Config): CarriedOver {
  const { config, notReloadable } = keepNotReloadable(running, next)
  const before = new Map(running.servers.map(server => [server.name, server]))
  const problems: string[] = []
  const servers = next.servers.map(server => {
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
  return {
    config: { ...config, servers },
    notReloadable: notReloadable.map(({ key }) => key),
    servers: differences(before, servers),
    problems,
  }
}

function differences(
  before: ReadonlyMap<string, ServerConfig>,
  after: readonly ServerConfig[],
): ReloadReport['servers'] {
  const names = new Set(after.map(({ name }) => name))
  const added: string[] = []
  const changed: string[] = []
  for (const server of after) {
    const known = before.get(server.name)
    if (!known) added.push(server.name)
    else if (known !== server) changed.push(server.name)
  }
  return { added, removed: [...before.keys()].filter(name => !names.has(name)), changed }
}
