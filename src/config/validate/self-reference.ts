import { basename, resolve } from 'node:path'
import { isLoopback } from '../../core/loopback.ts'
import type { ReplicaEntry, ServerEntry } from '../options/file.ts'
import type { ServerConfig } from '../types.ts'

/**
 * The prefix of the names of a server's tools: the configured prefix, else its name with unusual characters replaced.
 */
export function toolPrefixOf(name: string, server: Pick<ServerEntry, 'prefix'>): string | false {
  return server.prefix ?? name.replace(/[^A-Za-z0-9_-]/g, '_')
}

/**
 * Whether an entry would start this gateway with the same file, as happens when the gateway reads the file of its own
 * client. Such an entry would start gateways endlessly.
 * @param file absolute path of the configuration
 */
export function startsThisGateway(entry: ReplicaEntry, file: string | undefined, cwd: string): boolean {
  const { command, args = [] } = entry
  if (command === undefined) return false
  const program = basename(command.replaceAll('\\', '/')).replace(/\.(cmd|exe|js)$/i, '')
  const first = args.find(arg => !arg.startsWith('-')) ?? ''
  const isGateway =
    program === 'mcp-manifold' ||
    (program === 'node' && /(^|[\\/])mcp-manifold\.c?js$/.test(first)) ||
    (/^(npx|bunx|pnpx|npm|pnpm|yarn|bun)$/.test(program) &&
      /^mcp-manifold(@.*)?$/.test(args.find(isPackage) ?? ''))
  if (!isGateway) return false
  const at = args.findIndex(arg => /^(-c|--config)(=|$)/.test(arg))
  const option = args[at]
  if (option === undefined) return true
  const path = option.includes('=') ? option.slice(option.indexOf('=') + 1) : args[at + 1]
  return path === undefined || (file !== undefined && resolve(cwd, path) === file)
}

/** The listen address of a gateway. */
export interface ListenAddress {
  readonly host: string
  readonly port: number
}

/**
 * Whether an entry has the listen address of this gateway: its own tools would return with a further prefix each time.
 */
export function isAt({ url, serverUrl }: ReplicaEntry, { host, port }: ListenAddress): boolean {
  const address = url ?? serverUrl
  if (address === undefined || !URL.canParse(address)) return false
  const { protocol, hostname, port: asked, pathname } = new URL(address)
  const isPort = Number(asked || (protocol === 'https:' ? 443 : 80)) === port
  const isHere = isLoopback(hostname) || hostname === host || hostname === '0.0.0.0' || hostname === '[::]'
  return isPort && isHere && /^\/(mcp|sse)(\/|$)/.test(pathname)
}

/** Whether an argument of a package runner is a package, rather than an option or a sub-command. */
function isPackage(arg: string): boolean {
  return !arg.startsWith('-') && !['exec', 'x', 'dlx', 'run'].includes(arg)
}

/**
 * Warnings about prefixes that begin with another prefix and the separator: some names then belong to the longer one.
 */
export function prefixWarnings(servers: readonly Pick<ServerConfig, 'name' | 'prefix'>[]): string[] {
  const byPrefix = new Map<string, number[]>()
  for (const [at, { prefix }] of servers.entries()) {
    if (prefix === false) continue
    const same = byPrefix.get(prefix)
    if (same) same.push(at)
    else byPrefix.set(prefix, [at])
  }
  // Grouped by the server with the shorter prefix, in the order of the file.
  const warnings = servers.map((): string[] => [])
  for (const other of servers) {
    const { prefix } = other
    if (prefix === false) continue
    // A prefix is short, so it has few beginnings.
    for (let end = prefix.indexOf('__'); end >= 0; end = prefix.indexOf('__', end + 1))
      for (const at of byPrefix.get(prefix.slice(0, end)) ?? []) {
        const { name } = servers[at] as (typeof servers)[number]
        warnings[at]?.push(
          `The prefix of the server "${other.name}" begins with that of "${name}": names of "${name}" that begin with "${prefix.slice(end + 2)}__" get an alias. Give one of them another "prefix".`,
        )
      }
  }
  return warnings.flat()
}
