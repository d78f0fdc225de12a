import { canonical } from '../../core/canonical.ts'
import { clientValueNames } from '../../core/client-placeholders.ts'
import { createHash } from 'node:crypto'
import { CACHE_RULE } from '../options/cache.ts'
import { resolveSection } from '../options/option.ts'
import { SERVER, TOOL } from '../options/server.ts'
import { cacheWarnings } from './caches.ts'
import { findPending } from './pending.ts'
import { oauthWarnings, resolveOAuth } from './oauth.ts'
import { absolutePath, fileUri } from '../paths.ts'
import { resolveClients, resolveProfiles, resolveRoles } from './policies.ts'
import { formatPath } from '../problem.ts'
import { resolveQuota } from './quotas.ts'
import { lowerCaseKeys, resolveReplicas, withReplica } from './replicas.ts'
import { commandLine } from '../../program-output.ts'
import { resolveGateway } from './gateway.ts'
import { patternWarnings } from '../validate/pattern-warnings.ts'
import {
  isAt,
  toolPrefixOf,
  prefixWarnings,
  startsThisGateway,
  type ListenAddress,
} from '../validate/self-reference.ts'
import type { ReplicaEntry, ServerEntry, ServersFile } from '../options/file.ts'
import type { Environment } from './environment.ts'
import type { Config, Root, ServerConfig, ToolConfig } from '../types.ts'
import type { Endpoint, ProgramRun, ReplicaConfig } from '../replica-types.ts'

/** Fills in defaults and converts units. Total for validated files; never throws for them. */
export function resolveConfig(file: ServersFile, surroundings: Environment): Config {
  const warnings: string[] = []
  const servers: ServerConfig[] = []
  const gateway = resolveGateway(file, surroundings)
  const { http } = gateway
  const own = surroundings.overrides.serves ? http : undefined
  for (const [name, entry] of Object.entries({ ...file.mcpServers, ...file.servers })) {
    const server = resolveServer(name, entry, surroundings, own, warnings)
    if (server) servers.push(server)
  }
  warnings.push(...prefixWarnings(servers))
  if (servers.length === 0) {
    warnings.push(
      'There are no servers to offer. Add some to "mcpServers", as in the configuration of any MCP client.',
    )
  }
  warnings.push(...patternWarnings(file), ...clientValueWarnings(file, servers))
  for (const path of findPending(file)) {
    warnings.push(`${formatPath(path)} is accepted, but not in effect in this version yet.`)
  }
  return {
    file: surroundings.file,
    servers,
    clients: resolveClients(file),
    roles: resolveRoles(file),
    profiles: resolveProfiles(
      file,
      servers.map(({ name }) => name),
    ),
    gateway,
    warnings,
  }
}

/** Values that servers use and no client has, and servers that cannot have warm processes for that reason. */
function clientValueWarnings({ clients }: ServersFile, servers: readonly ServerConfig[]): string[] {
  const known = new Set(Object.values(clients ?? {}).flatMap(({ values }) => Object.keys(values ?? {})))
  return servers.flatMap(({ name, clientValues, warmInstances }) => [
    ...clientValues
      .filter(value => !known.has(value))
      .map(
        value =>
          `The server "${name}" uses \${client.${value}}, which no client has. Add it to "clients.<name>.values".`,
      ),
    ...(clientValues.length > 0 && warmInstances > 0
      ? [
          `The server "${name}": warmInstances of it has no effect, since each process has the values of one client.`,
        ]
      : []),
  ])
}

function resolveServer(
  name: string,
  entry: ServerEntry,
  surroundings: Environment,
  /** The address on which the gateway itself listens, if any. */
  own: ListenAddress | undefined,
  warnings: string[],
): ServerConfig | undefined {
  const problem = surroundings.problems.get(name)
  const sources =
    problem === undefined ? (entry.replicas?.map(replica => withReplica(entry, replica)) ?? [entry]) : []
  const isThisGateway = (source: ReplicaEntry): boolean =>
    startsThisGateway(source, surroundings.file, surroundings.cwd) || (own !== undefined && isAt(source, own))
  if (sources.some(isThisGateway)) {
    warnings.push(`The server "${name}" is this gateway itself and is left out.`)
    return undefined
  }
  const useless = (['args', 'env', 'cwd', 'envFile'] as const).filter(
    key =>
      sources.length > 0 && sources.every(source => source.command === undefined) && !isEmpty(entry[key]),
  )
  if (useless.length > 0) {
    warnings.push(`The server "${name}" is remote: ${useless.join(', ')} of it has no effect.`)
  }
  const ofPrograms = (['restartLimit', 'memoryLimit', 'warmInstances'] as const).filter(
    key => entry[key] !== undefined,
  )
  if (ofPrograms.length > 0 && sources.every(source => source.command === undefined)) {
    warnings.push(`The server "${name}" is remote: ${ofPrograms.join(', ')} of it has no effect.`)
  }
  warnings.push(...cacheWarnings(name, entry))
  const ofCalls = (['maxExclusiveLinks', 'linkTimeout'] as const).filter(key => entry[key] !== undefined)
  if (ofCalls.length > 0 && entry.isolation !== 'call')
    warnings.push(
      `The server "${name}": ${ofCalls.join(', ')} of it has no effect, since only "isolation": "call" gives calls conversations of their own.`,
    )
  warnings.push(...oauthWarnings(name, entry))
  const oauth = resolveOAuth(entry)
  const replicas =
    problem === undefined
      ? resolveReplicas(entry, source =>
          resolveEndpoint(source, { server: name, text: entry.headersHelper }, surroundings),
        )
      : []
  const clientValues = clientValueNames(JSON.stringify(replicas.map(({ endpoint }) => endpoint)))
  const perClient = clientValues.length > 0 || (oauth !== false && oauth.per === 'client')
  return {
    ...resolveSection(SERVER, entry),
    name,
    prefix: toolPrefixOf(name, entry),
    problem,
    replicas,
    perClient,
    clientValues,
    roots: entry.roots && resolveRoots(entry.roots, surroundings),
    uriSchemes: (entry.uriSchemes ?? []).map(scheme => scheme.toLowerCase()),
    tools: resolveTools(entry),
    cache: entry.cache === 'hints' ? 'hints' : entry.cache && resolveSection(CACHE_RULE, entry.cache),
    hintsRule: resolveSection(CACHE_RULE, {}),
    // A server has no `concurrency` of its own: `maxConcurrentCalls` bounds the calls that leave its queue.
    quota: resolveQuota({ rate: entry.rate, budget: entry.budget }),
    fingerprint: fingerprint(replicas, perClient),
    oauth,
  }
}

function resolveRoots(roots: NonNullable<ServerEntry['roots']>, { folder, home }: Environment): Root[] {
  return roots.map(root => {
    const { uri, name } = typeof root === 'string' ? { uri: root, name: undefined } : root
    const resolved = fileUri(uri, folder, home)
    return name === undefined ? { uri: resolved } : { uri: resolved, name }
  })
}

function resolveEndpoint(
  source: ReplicaEntry,
  helper: { readonly server: string; readonly text: string | undefined },
  surroundings: Environment,
): Endpoint {
  const { folder, cwd, home, envFiles } = surroundings
  if (source.command === undefined) {
    const { type } = source
    const url = source.url ?? source.serverUrl ?? ''
    const headersHelper = resolveHelper(helper, url, surroundings)
    const address = { url, headers: lowerCaseKeys(source.headers), ...(headersHelper && { headersHelper }) }
    if (type === 'sse') return { kind: 'sse', ...address }
    return { kind: 'http', ...address, sseFallback: !type?.startsWith('streamable') }
  }
  const env: Record<string, string> = {}
  if (source.envFile !== undefined)
    Object.assign(env, envFiles.get(absolutePath(source.envFile, folder, home)))
  for (const [key, value] of Object.entries(source.env ?? {})) {
    if (value === null) delete env[key]
    else env[key] = String(value)
  }
  return {
    kind: 'stdio',
    command: source.command,
    args: source.args ?? [],
    env,
    cwd: source.cwd === undefined ? cwd : absolutePath(source.cwd, folder, home),
  }
}

/** One program may serve many servers: it is told which. The names of the variables are those of Claude Code. */
function resolveHelper(
  { server, text }: { readonly server: string; readonly text: string | undefined },
  url: string,
  { folderOf }: Environment,
): ProgramRun | undefined {
  const command = text === undefined ? undefined : commandLine(text)
  const env = { CLAUDE_CODE_MCP_SERVER_NAME: server, CLAUDE_CODE_MCP_SERVER_URL: url }
  return command && { command, cwd: folderOf(server), env }
}

/** Tools disabled in a client's file come first, so that no later setting enables them. */
function resolveTools(entry: ServerEntry): ToolConfig[] {
  const off = [...(entry.disabledTools ?? []), ...(entry.excludeTools ?? [])].map(glob =>
    resolveTool(glob, { hidden: true }),
  )
  return [...off, ...Object.entries(entry.tools ?? {}).map(([glob, tool]) => resolveTool(glob, tool))]
}

function resolveTool(glob: string, tool: NonNullable<ServerEntry['tools']>[string]): ToolConfig {
  return {
    ...resolveSection(TOOL, tool),
    glob,
    cache: tool.cache && resolveSection(CACHE_RULE, tool.cache),
    quota: resolveQuota(tool),
  }
}

/**
 * Independent of the order of keys, which is irrelevant for variables and headers. Only the first replica counts,
 * because all replicas offer the same, and their number varies. What was stored of all clients is none of one.
 */
function fingerprint([first]: readonly ReplicaConfig[], perClient: boolean): string {
  return createHash('sha256')
    .update(canonical(first?.endpoint ?? null))
    .update(perClient ? 'per client' : '')
    .digest('hex')
}

function isEmpty(value: string | readonly unknown[] | object | undefined): boolean {
  return value === undefined || Object.keys(value).length === 0
}
