import { AUDIT, GATEWAY, HTTP } from '../options/gateway.ts'
import { JWT, PROXY } from '../options/auth.ts'
import { resolveSection } from '../options/option.ts'
import { absolutePath } from '../paths.ts'
import { resolveRules } from './policies.ts'
import type { GatewayEntry, ServersFile } from '../options/file.ts'
import type { Overrides, Environment } from './environment.ts'
import type { AuditConfig, AuthConfig, GatewayConfig, HttpFrontConfig } from '../types.ts'
import { withoutEnd } from '../../core/without-end.ts'

const LMDB = 'lmdb:'

/** Resolves the settings of the gateway itself. */
export function resolveGateway(file: ServersFile, surroundings: Environment): GatewayConfig {
  const { folder, home, stateFolder, overrides } = surroundings
  const { gateway = {} } = file
  const resolved = resolveSection(GATEWAY, gateway)
  const state = resolveState(gateway.state ?? LMDB, folder, home, stateFolder)
  return {
    ...resolved,
    http: resolveHttp(gateway.http ?? {}, surroundings),
    state,
    log: overrides.log ?? resolved.log,
    auth: resolveAuth(gateway.auth ?? {}, overrides),
    rules: resolveRules(gateway.policy ?? {}, ['gateway', 'policy']),
    audit: resolveAudit(file, surroundings),
    // A key file is beside the state, or in the folder of the user where the state is elsewhere.
    vault: { ...resolved.vault, folder: state.startsWith(LMDB) ? state.slice(LMDB.length) : stateFolder },
  }
}

function resolveHttp(
  http: NonNullable<GatewayEntry['http']>,
  { folder, home, overrides }: Environment,
): HttpFrontConfig {
  const { tls } = http
  const resolved = resolveSection(HTTP, http)
  return {
    ...resolved,
    host: overrides.host ?? resolved.host,
    port: overrides.port ?? resolved.port,
    publicUrl: http.publicUrl && withoutEnd(http.publicUrl, '/'),
    tls: tls && {
      cert: absolutePath(tls.cert ?? '', folder, home),
      key: absolutePath(tls.key ?? '', folder, home),
      ca: tls.ca === undefined ? undefined : absolutePath(tls.ca, folder, home),
      clientCertificates: tls.clientCertificates ?? (tls.ca === undefined ? 'none' : 'request'),
      contentDigest: '',
    },
  }
}

function resolveAuth(
  { jwt = [], proxy, anonymous }: NonNullable<GatewayEntry['auth']>,
  overrides: Overrides,
): AuthConfig {
  return {
    jwt: jwt.map(entry => ({
      ...resolveSection(JWT, entry),
      issuer: entry.issuer ?? '',
      scopes: entry.scopes ?? {},
    })),
    proxy: proxy && { ...resolveSection(PROXY, proxy), header: (proxy.header ?? '').toLowerCase() },
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
    ...resolveSection(AUDIT, audit),
    file:
      asked === undefined
        ? absolutePath('audit.jsonl', stateFolder, home)
        : absolutePath(asked, folder, home),
  }
}

function resolveState(state: string, folder: string, home: string, stateFolder: string): string {
  if (!state.startsWith(LMDB)) return state
  const path = state.slice(LMDB.length)
  return `${LMDB}${path === '' ? stateFolder : absolutePath(path, folder, home)}`
}
