import { basename, resolve } from 'node:path'
import { isLoopback } from '../../core/loopback.ts'
import type { ReplicaEntry, ServerEntry } from '../options/file.ts'
import type { ServerConfig } from '../types.ts'

/** What goes before the names of a server's tools: the configured prefix, else its name with everything unusual replaced. */
export function prefixOf(name: string, server: Pick<ServerEntry, 'prefix'>): string | false {
  return server.prefix ?? name.replace(/[^A-Za-z0-9_-]/g, '_')
}

/**
 * Whether an entry would start this very gateway with this very file, as happens when the gateway reads the file that its own
 * client uses. Such an entry would start gateways without end.
 * @param file absolute path of the configuration
 */
export function startsThisGateway(entry: ReplicaEntry, file: string | undefined, cwd: string): boolean {
  const { command, args = [] } = entry
  if (command === undefined) return false
  const program = basename(command.replaceAll('\\', '/')).replace(/\.(cmd|exe|js)$/i, '')
  const first = args.find(arg => !arg.startsWith('-')) ?? ''
  const isGateway =
    program === 'mcp-manifold' ||
    (program === 'node' && /(^|[\\/])mcp-manifold\.js$/.test(first)) ||
    (/^(npx|bunx|pnpx|npm|pnpm|yarn|bun)$/.test(program) &&
      /^mcp-manifold(@.*)?$/.test(args.find(isPackage) ?? ''))
  if (!isGateway) return false
  const at = args.findIndex(arg => /^(-c|--config)(=|$)/.test(arg))
  const option = args[at]
  if (option === undefined) return true
  const path = option.includes('=') ? option.slice(option.indexOf('=') + 1) : args[at + 1]
  return path === undefined || (file !== undefined && resolve(cwd, path) === file)
}

/** Where a gateway listens. */
export interface Listening {
  readonly host: string
  readonly port: number
}

/** Whether an entry is the address at which this gateway listens: its own tools would come back to it with one prefix more each time. */
export function isAt({ url }: ReplicaEntry, { host, port }: Listening): boolean {
  if (url === undefined || !URL.canParse(url)) return false
  const { protocol, hostname, port: asked, pathname } = new URL(url)
  const isPort = Number(asked || (protocol === 'https:' ? 443 : 80)) === port
  return isPort && (isLoopback(hostname) || hostname === host) && /^\/(mcp|sse)(\/|$)/.test(pathname)
}

/** The first argument of a package runner that is neither an option nor a sub-command. */
function isPackage(arg: string): boolean {
  return !arg.startsWith('-') && !['exec', 'x', 'dlx', 'run'].includes(arg)
}

/** Sentences about prefixes of which one begins with another and the separator: some names then belong to the longer one. */
export function prefixWarnings(servers: readonly Pick<ServerConfig, 'name' | 'prefix'>[]): string[] {
  const places = new Map<string, number[]>()
  for (const [at, { prefix }] of servers.entries()) {
    if (prefix === false) continue
    const same = places.get(prefix)
    if (same) same.push(at)
    else places.set(prefix, [at])
  }
  // By the server with the shorter prefix, as the servers stand in the file.
  const warnings = servers.map((): string[] => [])
  for (const other of servers) {
    const { prefix } = other
    if (prefix === false) continue
    // A prefix is short, so it has few beginnings.
    for (let end = prefix.indexOf('__'); end >= 0; end = prefix.indexOf('__', end + 1))
      for (const at of places.get(prefix.slice(0, end)) ?? []) {
        const { name } = servers[at] as (typeof servers)[number]
        warnings[at]?.push(
          `The prefix of the server "${other.name}" begins with that of "${name}": names of "${name}" that begin with "${prefix.slice(end + 2)}__" get an alias. Give one of them another "prefix".`,
        )
      }
  }
  return warnings.flat()
}
