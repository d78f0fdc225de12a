import { createHash } from 'node:crypto'
import {
  ACKNOWLEDGE_TIMEOUT,
  ANSWER_TIMEOUT,
  CALL_TIMEOUT,
  FIRST_LIST_TIMEOUT,
  HTTP_HOST,
  HTTP_PORT,
  IDLE,
  KEEP_ALIVE,
  LINK_WAIT,
  LIST_TIMEOUT,
  LOG_DEFAULT,
  MAX_BODY,
  MAX_EVENT_BYTES,
  MAX_EVENTS,
  MAX_EXCLUSIVE_LINKS,
  MAX_LINKS,
  MAX_LINKS_PER_CLIENT,
  MAX_LISTEN_STREAMS,
  MAX_LISTENED,
  MAX_MESSAGE,
  MAX_NAME_LENGTH,
  MAX_PARKED,
  MAX_QUESTIONS,
  MAX_QUESTIONS_PER_SESSION,
  MAX_ROUNDS,
  MAX_SESSIONS,
  PAGE_SIZE,
  REFRESH_AFTER,
  SESSION_IDLE,
  START_TIMEOUT,
} from './defaults.ts'
import { findNotInEffect } from './not-in-effect.ts'
import { absolutePath, fileUri } from './places.ts'
import { formatPath } from './problem.ts'
import { prefixOf, startsThisGateway } from './servers.ts'
import { parseDuration, parseSize } from './units.ts'
import type { LogLevel } from '../core/logger.ts'
import type { ReplicaEntry, ServerEntry, ServersFile } from './schema.ts'
import type { Config, Endpoint, GatewayConfig, Root, ServerConfig, ToolConfig } from './types.ts'

/** What a configuration depends on besides its text. All paths absolute. */
export interface Surroundings {
  readonly file: string | undefined
  /** Relative paths start here: the folder of the file. */
  readonly folder: string
  /** Where children run unless configured. */
  readonly cwd: string
  readonly home: string
  readonly stateFolder: string
  /** Parsed `envFile`s by absolute path. */
  readonly envFiles: ReadonlyMap<string, Readonly<Record<string, string>>>
  readonly overrides: Overrides
}

/** What the command line says; wins over the file. */
export interface Overrides {
  readonly log?: LogLevel | undefined
  readonly host?: string | undefined
  readonly port?: number | undefined
}

/** Fills in defaults and converts units. Total for input that has passed the schema and the rules; never throws for it. */
export function resolveConfig(file: ServersFile, surroundings: Surroundings): Config {
  const warnings: string[] = []
  const servers: ServerConfig[] = []
  for (const [name, entry] of Object.entries({ ...file.mcpServers, ...file.servers })) {
    const server = resolveServer(name, entry, surroundings, warnings)
    if (server) servers.push(server)
  }
  if (servers.length === 0) {
    warnings.push(
      'There are no servers to offer. Add some to "mcpServers", as in the configuration of any MCP client.',
    )
  }
  for (const path of findNotInEffect(file, 'warned')) {
    const first = path.at(-1) === 'replicas' ? ' Only the first replica is used.' : ''
    warnings.push(`${formatPath(path)} is accepted, but not in effect in this version yet.${first}`)
  }
  const gateway = resolveGateway(file.gateway ?? {}, surroundings)
  if (!isLoopback(gateway.http.host)) {
    const cause = `gateway.http.host is ${gateway.http.host}: over HTTP, everyone in the network can use every server`
    warnings.push(`${cause}, since this version asks nobody for credentials.`)
  }
  return { file: surroundings.file, servers, gateway, warnings }
}

function resolveServer(
  name: string,
  entry: ServerEntry,
  surroundings: Surroundings,
  warnings: string[],
): ServerConfig | undefined {
  const source = entry.replicas?.[0] ? withReplica(entry, entry.replicas[0]) : entry
  if (startsThisGateway(source, surroundings.file, surroundings.cwd)) {
    warnings.push(`The server "${name}" is this gateway itself and is left out.`)
    return undefined
  }
  const useless = (['args', 'env', 'cwd', 'envFile'] as const).filter(
    key => source.command === undefined && !isEmpty(source[key]),
  )
  if (useless.length > 0) {
    warnings.push(`The server "${name}" is remote: ${useless.join(', ')} of it has no effect.`)
  }
  const endpoint = resolveEndpoint(source, surroundings)
  return {
    name,
    prefix: prefixOf(name, entry),
    endpoint,
    required: entry.required ?? false,
    startTimeoutMs: toMs(entry.startTimeout ?? START_TIMEOUT.default),
    timeoutMs:
      typeof entry.timeout === 'number' ? entry.timeout : toMs(entry.timeout ?? CALL_TIMEOUT.default),
    listTimeoutMs: toMs(entry.listTimeout ?? LIST_TIMEOUT.default),
    idleMs: toMs(entry.idle ?? IDLE.default),
    maxMessageBytes: toBytes(entry.maxMessage ?? MAX_MESSAGE.default),
    isolation: entry.isolation ?? 'auto',
    maxLinks: entry.maxLinks ?? MAX_LINKS.default,
    maxExclusiveLinks: entry.maxExclusiveLinks ?? MAX_EXCLUSIVE_LINKS.default,
    linkWaitMs: toMs(entry.linkWait ?? LINK_WAIT.default),
    maxQuestions: entry.maxQuestions ?? MAX_QUESTIONS.default,
    roots: entry.roots && resolveRoots(entry.roots, surroundings),
    uriSchemes: (entry.uriSchemes ?? []).map(scheme => scheme.toLowerCase()),
    tools: resolveTools(entry),
    fingerprint: fingerprint(endpoint),
  }
}

function resolveRoots(roots: NonNullable<ServerEntry['roots']>, { folder, home }: Surroundings): Root[] {
  return roots.map(root => {
    const { uri, name } = typeof root === 'string' ? { uri: root, name: undefined } : root
    const resolved = fileUri(uri, folder, home)
    return name === undefined ? { uri: resolved } : { uri: resolved, name }
  })
}

function withReplica(entry: ServerEntry, replica: ReplicaEntry): ReplicaEntry {
  const { type, cwd, envFile, args } = entry
  const inherited = Object.entries({ type, cwd, envFile, args }).filter(([, value]) => value !== undefined)
  return {
    ...Object.fromEntries(inherited),
    ...replica,
    env: { ...entry.env, ...replica.env },
    headers: { ...lowerCaseKeys(entry.headers), ...lowerCaseKeys(replica.headers) },
  }
}

function resolveEndpoint(source: ReplicaEntry, { folder, cwd, home, envFiles }: Surroundings): Endpoint {
  if (source.command === undefined) {
    const transport =
      source.type === 'sse' ? 'sse' : source.type?.startsWith('streamable') ? 'streamable' : 'auto'
    return {
      kind: 'http',
      url: source.url ?? source.serverUrl ?? '',
      headers: lowerCaseKeys(source.headers),
      transport,
    }
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

/** Tools that a client's file switches off come first: nothing that follows may bring them back. */
function resolveTools(entry: ServerEntry): ToolConfig[] {
  const off = [...(entry.disabledTools ?? []), ...(entry.excludeTools ?? [])].map(glob => ({
    glob,
    hidden: true,
  }))
  const settings = Object.entries(entry.tools ?? {}).map(([glob, tool]) => ({
    glob,
    hidden: tool.hidden ?? false,
  }))
  return [...off, ...settings]
}

function resolveGateway(
  gateway: NonNullable<ServersFile['gateway']>,
  { folder, home, stateFolder, overrides }: Surroundings,
): GatewayConfig {
  const { http = {}, catalog = {}, asks = {}, listen = {} } = gateway
  return {
    http: {
      host: overrides.host ?? http.host ?? HTTP_HOST,
      port: overrides.port ?? http.port ?? HTTP_PORT.default,
      maxBodyBytes: toBytes(http.maxBody ?? MAX_BODY.default),
      allowedHosts: http.allowedHosts ?? [],
      allowedOrigins: http.allowedOrigins ?? [],
      maxSessions: http.maxSessions ?? MAX_SESSIONS.default,
      sessionIdleMs: toMs(http.sessionIdle ?? SESSION_IDLE.default),
      keepAliveMs: toMs(http.keepAlive ?? KEEP_ALIVE.default),
      maxEvents: http.maxEvents ?? MAX_EVENTS.default,
      maxEventBytes: toBytes(http.maxEventBytes ?? MAX_EVENT_BYTES.default),
    },
    state: resolveState(gateway.state ?? 'lmdb:', folder, home, stateFolder),
    log: overrides.log ?? gateway.log ?? LOG_DEFAULT,
    catalog: {
      maxNameLength: catalog.maxNameLength ?? MAX_NAME_LENGTH.default,
      pageSize: catalog.pageSize ?? PAGE_SIZE.default,
      refreshAfterMs: toMs(catalog.refreshAfter ?? REFRESH_AFTER.default),
      firstListTimeoutMs: toMs(catalog.firstListTimeout ?? FIRST_LIST_TIMEOUT.default),
    },
    asks: {
      answerTimeoutMs: toMs(asks.answerTimeout ?? ANSWER_TIMEOUT.default),
      maxParked: asks.maxParked ?? MAX_PARKED.default,
      maxPerSession: asks.maxPerSession ?? MAX_QUESTIONS_PER_SESSION.default,
      maxRounds: asks.maxRounds ?? MAX_ROUNDS.default,
    },
    listen: {
      maxStreams: listen.maxStreams ?? MAX_LISTEN_STREAMS.default,
      maxResources: listen.maxResources ?? MAX_LISTENED.default,
      acknowledgeTimeoutMs: toMs(listen.acknowledgeTimeout ?? ACKNOWLEDGE_TIMEOUT.default),
    },
    maxLinksPerClient: gateway.maxLinksPerClient ?? MAX_LINKS_PER_CLIENT.default,
  }
}

function resolveState(state: string, folder: string, home: string, stateFolder: string): string {
  if (!state.startsWith('lmdb:')) return state
  const path = state.slice('lmdb:'.length)
  return `lmdb:${path === '' ? stateFolder : absolutePath(path, folder, home)}`
}

/** Independent of the order of keys, since neither variables nor headers have one. */
function fingerprint(endpoint: Endpoint): string {
  const parts =
    endpoint.kind === 'stdio'
      ? [endpoint.kind, endpoint.command, endpoint.args, sorted(endpoint.env), endpoint.cwd]
      : [endpoint.kind, endpoint.url, sorted(endpoint.headers), endpoint.transport]
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex')
}

function sorted(record: Readonly<Record<string, string>>): [string, string][] {
  return Object.entries(record).sort(([a], [b]) => (a < b ? -1 : 1))
}

function lowerCaseKeys(record: Readonly<Record<string, string>> = {}): Record<string, string> {
  return Object.fromEntries(Object.entries(record).map(([key, value]) => [key.toLowerCase(), value]))
}

function isEmpty(value: string | readonly unknown[] | object | undefined): boolean {
  return value === undefined || Object.keys(value).length === 0
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || host === '[::1]' || /^127\.\d+\.\d+\.\d+$/.test(host)
}

/** The schema has accepted the text, so that it can be read. */
function toMs(text: string | number): number {
  return parseDuration(text) ?? 0
}

function toBytes(text: string): number {
  return parseSize(text) ?? 0
}
