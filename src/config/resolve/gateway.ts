import {
  ACKNOWLEDGE_TIMEOUT,
  ANSWER_TIMEOUT,
  AUDIT_MAX_FILES,
  AUDIT_MAX_SIZE,
  CACHE_COMPRESS_OVER,
  CACHE_MAX_SIZE,
  CACHE_MAX_SIZE_PER_CLIENT,
  CACHE_MAX_STORED,
  CLOCK_TOLERANCE,
  DNS_REFRESH,
  DRAIN_TIMEOUT,
  FIRST_LIST_TIMEOUT,
  GATEWAY_CONCURRENCY,
  GATEWAY_QUEUE,
  HTTP_HOST,
  HTTP_PORT,
  JWT_ALGORITHMS,
  KEEP_ALIVE,
  LIST_TTL,
  LOG_DEFAULT,
  MAX_BODY,
  MAX_EVENTS,
  MAX_EVENT_BYTES,
  MAX_LINKS_PER_CLIENT,
  MAX_LISTENED,
  MAX_LISTEN_STREAMS,
  MAX_NAME_LENGTH,
  MAX_PARKED,
  MAX_QUESTIONS_PER_SESSION,
  MAX_ROUNDS,
  MAX_SESSIONS,
  PAGE_SIZE,
  REFRESH_AFTER,
  SESSION_IDLE,
  SHUTDOWN_TIMEOUT,
} from '../defaults.ts'
import { absolutePath } from '../paths.ts'
import { resolveRules } from './policies.ts'
import { toBytes, toMs } from '../units.ts'
import type { ServersFile } from '../schema/file.ts'
import type { Overrides, Environment } from './environment.ts'
import type { AuditConfig, AuthConfig, GatewayConfig, HttpFrontConfig } from '../types.ts'
import { withoutEnd } from '../../core/without-end.ts'

type GatewayEntry = NonNullable<ServersFile['gateway']>

/** The part of a configuration that is about the gateway itself. */
export function resolveGateway(file: ServersFile, surroundings: Environment): GatewayConfig {
  const { folder, home, stateFolder, overrides } = surroundings
  const { gateway = {} } = file
  const { catalog = {}, asks = {}, listen = {}, cache = {} } = gateway
  return {
    http: resolveHttp(gateway.http ?? {}, surroundings),
    state: resolveState(gateway.state ?? 'lmdb:', folder, home, stateFolder),
    log: overrides.log ?? gateway.log ?? LOG_DEFAULT,
    catalog: {
      maxNameLength: catalog.maxNameLength ?? MAX_NAME_LENGTH.default,
      pageSize: catalog.pageSize ?? PAGE_SIZE.default,
      refreshAfterMs: toMs(catalog.refreshAfter ?? REFRESH_AFTER.default),
      firstListTimeoutMs: toMs(catalog.firstListTimeout ?? FIRST_LIST_TIMEOUT.default),
      ttlMs: toMs(catalog.ttl ?? LIST_TTL.default),
    },
    concurrency: gateway.concurrency ?? GATEWAY_CONCURRENCY.default,
    queue: gateway.queue ?? GATEWAY_QUEUE.default,
    fail: gateway.fail ?? 'closed',
    timeZone: gateway.timeZone ?? Intl.DateTimeFormat().resolvedOptions().timeZone,
    auth: resolveAuth(gateway.auth ?? {}, overrides),
    rules: resolveRules(gateway.policy ?? {}, ['gateway', 'policy']),
    audit: resolveAudit(file, surroundings),
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
    zone: gateway.zone,
    dns: {
      refreshMs: toMs(gateway.dns?.refresh ?? DNS_REFRESH.default),
      servers: gateway.dns?.servers ?? [],
    },
    drainTimeoutMs: toMs(gateway.drainTimeout ?? DRAIN_TIMEOUT.default),
    shutdownTimeoutMs: toMs(gateway.shutdownTimeout ?? SHUTDOWN_TIMEOUT.default),
    maxLinksPerClient: gateway.maxLinksPerClient ?? MAX_LINKS_PER_CLIENT.default,
    cache: {
      maxBytes: toBytes(cache.maxSize ?? CACHE_MAX_SIZE.default),
      maxBytesPerClient: toBytes(cache.maxSizePerClient ?? CACHE_MAX_SIZE_PER_CLIENT.default),
      persist: cache.persist ?? true,
      maxStoredBytes: toBytes(cache.maxStored ?? CACHE_MAX_STORED.default),
      compressOverBytes: toBytes(cache.compressOver ?? CACHE_COMPRESS_OVER.default),
    },
  }
}

function resolveHttp(
  http: NonNullable<GatewayEntry['http']>,
  { folder, home, overrides }: Environment,
): HttpFrontConfig {
  const { tls } = http
  return {
    host: overrides.host ?? http.host ?? HTTP_HOST,
    port: overrides.port ?? http.port ?? HTTP_PORT.default,
    publicUrl: http.publicUrl && withoutEnd(http.publicUrl, '/'),
    tls: tls && {
      cert: absolutePath(tls.cert ?? '', folder, home),
      key: absolutePath(tls.key ?? '', folder, home),
      ca: tls.ca === undefined ? undefined : absolutePath(tls.ca, folder, home),
      clientCertificates: tls.clientCertificates ?? (tls.ca === undefined ? 'none' : 'request'),
      contentDigest: '',
    },
    maxBodyBytes: toBytes(http.maxBody ?? MAX_BODY.default),
    allowedHosts: http.allowedHosts ?? [],
    allowedOrigins: http.allowedOrigins ?? [],
    maxSessions: http.maxSessions ?? MAX_SESSIONS.default,
    sessionIdleMs: toMs(http.sessionIdle ?? SESSION_IDLE.default),
    keepAliveMs: toMs(http.keepAlive ?? KEEP_ALIVE.default),
    maxEvents: http.maxEvents ?? MAX_EVENTS.default,
    maxEventBytes: toBytes(http.maxEventBytes ?? MAX_EVENT_BYTES.default),
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
  { folder, home, stateFolder }: Environment,
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
