import { isLoopback } from '../../core/loopback.ts'
import { isIP } from 'node:net'
import { nearest } from './nearest.ts'
import type { Path, Problem } from '../problem.ts'
import type { RulesContext } from './scope.ts'
import type { ServerEntry, ServersFile } from '../options/file.ts'

/**
 * Conditions over several values of replicas, health checks and fallbacks (docs/resilience.md). `file` as in
 * `checkRules`.
 */
export function checkResilience(file: ServersFile, { unsound, serverNames }: RulesContext): Problem[] {
  const entries = (['mcpServers', 'servers'] as const).flatMap(root =>
    Object.entries(file[root] ?? {}).map(([name, server]) => ({ name, server, path: [root, name] as Path })),
  )
  const complete = !unsound.has('mcpServers') && !unsound.has('servers')
  return [
    ...entries.flatMap(({ server, path }) => [...checkReplicas(server, path), ...checkHealth(server, path)]),
    ...(complete ? checkFallbacks(entries, serverNames) : []),
    ...checkNameServers(file.gateway?.dns?.servers ?? []),
  ]
}

function checkReplicas({ replicas = [] }: ServerEntry, path: Path): Problem[] {
  const problems: Problem[] = []
  const names = new Set<string>()
  replicas.forEach(({ name, service, url, serverUrl }, at) => {
    const here = [...path, 'replicas', at]
    if (name !== undefined && names.has(name)) {
      const cause = 'is also the name of another replica of this server'
      problems.push({ path: [...here, 'name'], cause, fix: 'Give it another one.' })
    }
    if (name !== undefined) names.add(name)
    const address = url ?? serverUrl
    if (service === undefined) return
    if (address === undefined) {
      const cause = 'is looked up at the host of a url, and there is none'
      problems.push({ path: [...here, 'service'], cause, fix: 'Add "url", or remove it.' })
    } else if (URL.canParse(address) && !hasName(new URL(address).hostname)) {
      const cause = 'is looked up at the host of the url, which is an address and no name'
      problems.push({ path: [...here, 'service'], cause, fix: 'Write the name that has the SRV records.' })
    }
  })
  if (replicas.length > 0 && replicas.every(({ weight }) => weight === 0)) {
    const fix = 'Give one of them another weight; "disabled": true leaves a server out.'
    problems.push({
      path: [...path, 'replicas'],
      about: 'key',
      cause: 'all have weight 0, so none gets a call',
      fix,
    })
  }
  return problems
}

function hasName(host: string): boolean {
  return !isLoopback(host) && isIP(host.replace(/^\[|\]$/g, '')) === 0
}

/** A health check runs repeatedly and unattended, so it must have no side effects. */
function checkHealth({ health, tools = {} }: ServerEntry, path: Path): Problem[] {
  const check = health?.check
  if (check === undefined || check === 'protocol' || tools[check.tool]?.readOnly !== false) return []
  const cause = 'is a tool that changes something ("readOnly": false)'
  const fix = 'Name one that only reads: it is called again and again.'
  return [{ path: [...path, 'health', 'check', 'tool'], cause, fix }]
}

interface Entry {
  readonly name: string
  readonly server: ServerEntry
  readonly path: Path
}

interface Fallback {
  readonly to: string
  readonly path: Path
}

function checkFallbacks(entries: readonly Entry[], names: readonly string[]): Problem[] {
  const problems: Problem[] = []
  const good = new Map<string, Fallback[]>()
  for (const { name, server, path } of entries) {
    for (const fallback of fallbacksOf(server, path)) {
      if (fallback.to === name) {
        const cause = 'is this server itself'
        problems.push({ path: fallback.path, cause, fix: 'Name another one, or remove it.' })
      } else if (!names.includes(fallback.to)) {
        const near = nearest(fallback.to, names)
        const fix =
          near === undefined ? 'Add it to "mcpServers", or remove it here.' : `Did you mean "${near}"?`
        problems.push({ path: fallback.path, cause: 'there is no such server', fix })
      } else good.set(name, [...(good.get(name) ?? []), fallback])
    }
  }
  return [...problems, ...checkCycles(good)]
}

function fallbacksOf(server: ServerEntry, path: Path): Fallback[] {
  const of = (entry: ServerEntry['fallback'], at: Path): Fallback[] => {
    if (entry === undefined) return []
    return typeof entry === 'string'
      ? [{ to: entry, path: at }]
      : [{ to: entry.server, path: [...at, 'server'] }]
  }
  return [
    ...of(server.fallback, [...path, 'fallback']),
    ...Object.entries(server.tools ?? {}).flatMap(([glob, tool]) =>
      of(tool.fallback, [...path, 'tools', glob, 'fallback']),
    ),
  ]
}

/** A call in a cycle of fallbacks would never end. Each cycle is reported once, where it closes. */
function checkCycles(fallbacks: ReadonlyMap<string, readonly Fallback[]>): Problem[] {
  const problems: Problem[] = []
  const done = new Set<string>()
  const visit = (name: string, way: readonly string[]): void => {
    for (const { to, path } of fallbacks.get(name) ?? []) {
      const at = way.indexOf(to)
      if (at >= 0) {
        const circle = [...way.slice(at), to].map(server => `"${server}"`).join(' → ')
        problems.push({ path, cause: `closes a circle: ${circle}`, fix: 'Remove one of these fallbacks.' })
      } else if (!done.has(to)) visit(to, [...way, to])
    }
    done.add(name)
  }
  for (const name of fallbacks.keys()) if (!done.has(name)) visit(name, [name])
  return problems
}

/** The address of a name server must not require a name server. */
function checkNameServers(servers: readonly string[]): Problem[] {
  return servers.flatMap((server, at) => {
    const [, v6, plain, port] = /^(?:\[([^\]]+)\]|([^:]+|[^:]*:[^:]*:.*))(?::(\d+))?$/.exec(server) ?? []
    const sound =
      isIP(server) !== 0 ||
      ((v6 === undefined ? isIP(plain ?? '') === 4 : isIP(v6) === 6) &&
        (port === undefined || (Number(port) > 0 && Number(port) <= 65_535)))
    if (sound) return []
    const fix = 'Write it as in "10.0.0.53", "10.0.0.53:5353" or "[fd00::53]:5353".'
    return [{ path: ['gateway', 'dns', 'servers', at], cause: 'is no address of a name server', fix }]
  })
}
