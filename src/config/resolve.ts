import { createHash } from 'node:crypto'
import {
  AUDIT_MAX_FILES,
  AUDIT_MAX_SIZE,
  CALL_TIMEOUT,
  CLOCK_TOLERANCE,
  COST,
  FIRST_LIST_TIMEOUT,
  GATEWAY_CONCURRENCY,
  GATEWAY_QUEUE,
  HTTP_HOST,
  HTTP_PORT,
  IDLE,
  JWT_ALGORITHMS,
  KEEP_ALIVE,
  LIST_TIMEOUT,
  LOG_DEFAULT,
  MAX_BODY,
  MAX_MESSAGE,
  MAX_NAME_LENGTH,
  MAX_SESSIONS,
  PAGE_SIZE,
  QUEUE_TIMEOUT,
  REFRESH_AFTER,
  SERVER_CONCURRENCY,
  SERVER_QUEUE,
  SESSION_IDLE,
  START_TIMEOUT,
} from './defaults.ts'
import { findNotInEffect } from './not-in-effect.ts'
import { absolutePath } from './places.ts'
import { resolveClients, resolveProfiles, resolveRoles, resolveRules } from './policies.ts'
import { formatPath } from './problem.ts'
import { resolveQuota } from './quotas.ts'
import { prefixOf, startsThisGateway } from './servers.ts'
import { parseDuration, parseSize } from './units.ts'
import type { LogLevel } from '../core/logger.ts'
import type { ReplicaEntry, ServerEntry, ServersFile } from './schema.ts'
import type {
  AuditConfig,
  AuthConfig,
  Config,
  Endpoint,
  GatewayConfig,
  HttpFrontConfig,
  ServerConfig,
  ToolConfig,
} from './types.ts'

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
  /** Everyone may come over HTTP, also from other machines. */
  readonly allowAnonymous?: boolean | undefined
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
  for (const path of findNotInEffect(file)) {
    const first = path.at(-1) === 'replicas' ? ' Only the first replica is used.' : ''
    warnings.push(`${formatPath(path)} is accepted, but not in effect in this version yet.${first}`)
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
    gateway: resolveGateway(file, surroundings),
    warnings,
  }
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
    uriSchemes: (entry.uriSchemes ?? []).map(scheme => scheme.toLowerCase()),
    tools: resolveTools(entry),
    concurrency: entry.concurrency ?? SERVER_CONCURRENCY.default,
    queue: entry.queue ?? SERVER_QUEUE.default,
    queueTimeoutMs: toMs(entry.queueTimeout ?? QUEUE_TIMEOUT.default),
    cost: entry.cost ?? COST.default,
    // The server's own concurrency is that of its queue, not a quota.
    quota: resolveQuota({ rate: entry.rate, budget: entry.budget }),
    fingerprint: fingerprint(endpoint),
  }
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
    cost: undefined,
    quota: resolveQuota({}),
  }))
  const settings = Object.entries(entry.tools ?? {}).map(([glob, tool]) => ({
    glob,
    hidden: tool.hidden ?? false,
    cost: tool.cost,
    quota: resolveQuota(tool),
  }))
  return [...off, ...settings]
}

type GatewayEntry = NonNullable<ServersFile['gateway']>

function resolveGateway(file: ServersFile, surroundings: Surroundings): GatewayConfig {
  const { folder, home, stateFolder, overrides } = surroundings
  const { gateway = {} } = file
  const { catalog = {} } = gateway
  return {
    http: resolveHttp(gateway.http ?? {}, surroundings),
    state: resolveState(gateway.state ?? 'lmdb:', folder, home, stateFolder),
    log: overrides.log ?? gateway.log ?? LOG_DEFAULT,
    catalog: {
      maxNameLength: catalog.maxNameLength ?? MAX_NAME_LENGTH.default,
      pageSize: catalog.pageSize ?? PAGE_SIZE.default,
      refreshAfterMs: toMs(catalog.refreshAfter ?? REFRESH_AFTER.default),
      firstListTimeoutMs: toMs(catalog.firstListTimeout ?? FIRST_LIST_TIMEOUT.default),
    },
    concurrency: gateway.concurrency ?? GATEWAY_CONCURRENCY.default,
    queue: gateway.queue ?? GATEWAY_QUEUE.default,
    fail: gateway.fail ?? 'closed',
    timeZone: gateway.timeZone ?? Intl.DateTimeFormat().resolvedOptions().timeZone,
    auth: resolveAuth(gateway.auth ?? {}, overrides),
    rules: resolveRules(gateway.policy ?? {}, ['gateway', 'policy']),
    audit: resolveAudit(file, surroundings),
  }
}

function resolveHttp(
  http: NonNullable<GatewayEntry['http']>,
  { folder, home, overrides }: Surroundings,
): HttpFrontConfig {
  const { tls } = http
  return {
    host: overrides.host ?? http.host ?? HTTP_HOST,
    port: overrides.port ?? http.port ?? HTTP_PORT.default,
    publicUrl: http.publicUrl?.replace(/\/+$/, ''),
    tls: tls && {
      cert: absolutePath(tls.cert ?? '', folder, home),
      key: absolutePath(tls.key ?? '', folder, home),
      ca: tls.ca === undefined ? undefined : absolutePath(tls.ca, folder, home),
      clientCertificates: tls.clientCertificates ?? (tls.ca === undefined ? 'none' : 'request'),
    },
    maxBodyBytes: toBytes(http.maxBody ?? MAX_BODY.default),
    allowedHosts: http.allowedHosts ?? [],
    allowedOrigins: http.allowedOrigins ?? [],
    maxSessions: http.maxSessions ?? MAX_SESSIONS.default,
    sessionIdleMs: toMs(http.sessionIdle ?? SESSION_IDLE.default),
    keepAliveMs: toMs(http.keepAlive ?? KEEP_ALIVE.default),
  }
}

function resolveAuth(
  { jwt = [], proxy, anonymous }: NonNullable<GatewayEntry['auth']>,
  overrides: Overrides,
): AuthConfig {
  return {
    jwt: jwt.map(entry => ({
      issuer: entry.issuer ?? '',
      jwks: entry.jwks,
      audience: entry.audience ?? [],
      algorithms: entry.algorithms ?? JWT_ALGORITHMS,
      scopes: entry.scopes ?? {},
      requiredScopes: entry.requiredScopes ?? [],
      client: entry.client,
      clockToleranceMs: toMs(entry.clockTolerance ?? CLOCK_TOLERANCE.default),
    })),
    proxy: proxy && {
      header: (proxy.header ?? '').toLowerCase(),
      from: proxy.from ?? [],
      client: proxy.client,
    },
    anonymous,
    allowAnonymous: overrides.allowAnonymous ?? false,
  }
}

function resolveAudit(
  file: ServersFile,
  { folder, home, stateFolder }: Surroundings,
): AuditConfig | undefined {
  const audit = file.gateway?.audit ?? {}
  const asked = audit.file ?? (file.clients && Object.keys(file.clients).length > 0 ? undefined : 'off')
  if (asked === 'off') return undefined
  return {
    file:
      asked === undefined
        ? absolutePath('audit.jsonl', stateFolder, home)
        : absolutePath(asked, folder, home),
    args: audit.args ?? 'digest',
    maxBytes: toBytes(audit.maxSize ?? AUDIT_MAX_SIZE.default),
    maxFiles: audit.maxFiles ?? AUDIT_MAX_FILES.default,
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

/** The schema has accepted the text, so that it can be read. */
function toMs(text: string | number): number {
  return parseDuration(text) ?? 0
}

function toBytes(text: string): number {
  return parseSize(text) ?? 0
}
