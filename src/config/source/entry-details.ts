import { JWT, PROXY } from '../options/auth.ts'
import { CACHE_RULE } from '../options/cache.ts'
import { CLIENT, PROFILE } from '../options/client.ts'
import { AUDIT, GATEWAY, HTTP } from '../options/gateway.ts'
import { AUTH, TLS } from '../options/auth.ts'
import { isJsonObject } from '../../core/json-object.ts'
import { IDP, OAUTH, REDIRECT } from '../options/oauth.ts'
import type { Section } from '../options/option.ts'
import { SERVER, TOOL } from '../options/server.ts'
import { MEASURES } from '../types.ts'
import { isSame } from './differences.ts'
import { durationText, entryDetails, keyDetail, keyDetails, sectionDetails, sizeText } from './key-details.ts'
import type { Path } from '../problem.ts'
import type {
  AuditConfig,
  AuthConfig,
  BudgetConfig,
  CacheRule,
  ClientConfig,
  GatewayConfig,
  HttpFrontConfig,
  ProfileConfig,
  QuotaConfig,
  RoleConfig,
  RuleConfig,
  ServerConfig,
  ToolConfig,
} from '../types.ts'

/**
 * The keys that differ between two resolved entries of one name. Descriptors name most of them; what `config/resolve`
 * resolves by hand is named here.
 */

/** Without the replicas. */
export function serverSettings(before: ServerConfig, after: ServerConfig): string[] {
  return [
    ...sectionDetails(SERVER, before, after, []),
    ...(before.prefix === after.prefix
      ? []
      : [keyDetail(['prefix'], JSON.stringify(before.prefix), JSON.stringify(after.prefix))]),
    ...keyDetails(['roots'], before.roots, after.roots),
    ...keyDetails(['uriSchemes'], before.uriSchemes, after.uriSchemes),
    ...toolDetails(before, after),
    ...cacheDetails(['cache'], before.cache, after.cache),
    ...quotaDetails([], before.quota, after.quota),
    ...(isRemote(before) === isRemote(after) ? oauthDetails(before.oauth, after.oauth) : []),
  ]
}

export function clientDetails(before: ClientConfig, after: ClientConfig): string[] {
  return [
    ...keyDetails(['keys'], before.keys, after.keys),
    // Only that they differ: they are secrets.
    ...(isSame(before.values, after.values) ? [] : [keyDetail(['values'])]),
    ...sectionDetails(CLIENT, before, after, []),
    ...ruleDetails([], before.rules, after.rules),
    ...(before.default === after.default
      ? []
      : [keyDetail(['default'], JSON.stringify(before.default), JSON.stringify(after.default))]),
    ...quotaDetails([], before.quota, after.quota),
    ...entryDetails(['limits'], limitsOf(before), limitsOf(after), (was, is, at) =>
      quotaDetails(at, was, is),
    ),
  ]
}

export function roleDetails(before: RoleConfig, after: RoleConfig): string[] {
  return ruleDetails([], before.rules, after.rules)
}

export function profileDetails(before: ProfileConfig, after: ProfileConfig): string[] {
  return [
    ...keyDetails(['servers'], before.servers, after.servers),
    ...sectionDetails(PROFILE, before, after, []),
  ]
}

export function gatewayDetails(before: GatewayConfig, after: GatewayConfig): string[] {
  if (isSame(before, after)) return []
  const path = ['gateway']
  const details = [
    ...sectionDetails(GATEWAY, before, after, path),
    ...httpDetails([...path, 'http'], before.http, after.http),
    ...keyDetails([...path, 'state'], before.state, after.state),
    ...authDetails([...path, 'auth'], before.auth, after.auth),
    ...ruleDetails([...path, 'policy'], before.rules, after.rules),
    ...auditDetails([...path, 'audit'], before.audit, after.audit),
  ]
  return details.length > 0 ? details : [keyDetail(path)]
}

/** Tools that another program's key hides come first; that key is named itself. */
function toolDetails(before: ServerConfig, after: ServerConfig): string[] {
  const toolsOf = ({ tools, disabledTools, excludeTools }: ServerConfig): Map<string, ToolConfig> =>
    new Map(tools.slice(disabledTools.length + excludeTools.length).map(tool => [tool.glob, tool]))
  const [was, is] = [toolsOf(before), toolsOf(after)]
  const details = entryDetails(['tools'], was, is, (old, tool, at) => [
    ...sectionDetails(TOOL, old, tool, at),
    ...cacheDetails([...at, 'cache'], old.cache, tool.cache),
    ...quotaDetails(at, old.quota, tool.quota),
  ])
  // The first tool that matches counts.
  const isReordered = !isSame([...was.keys()], [...is.keys()])
  return details.length === 0 && isReordered ? ['tools: their order'] : details
}

function isRemote({ replicas }: ServerConfig): boolean {
  return replicas.some(({ endpoint }) => endpoint.url !== undefined)
}

function oauthDetails(before: ServerConfig['oauth'], after: ServerConfig['oauth']): string[] {
  const path = ['oauth']
  if (before === false || after === false) return keyDetails(path, before, after)
  const texts = ['clientId', 'clientSecret', 'privateKey', 'scopes', 'extraParams'] as const
  const inside = (key: string, section: Section, was: unknown, is: unknown): string[] =>
    isJsonObject(was) && isJsonObject(is)
      ? sectionDetails(section, was, is, [...path, key])
      : keyDetails([...path, key], was, is)
  return [
    ...texts.flatMap(key => keyDetails([...path, key], before[key], after[key])),
    ...inside('redirect', REDIRECT, before.redirect, after.redirect),
    ...inside('idp', IDP, before.idp, after.idp),
    ...sectionDetails(OAUTH, before, after, path),
  ]
}

type CacheSetting = CacheRule | 'hints' | false | undefined

function cacheDetails(path: Path, before: CacheSetting, after: CacheSetting): string[] {
  if (typeof before === 'object' && typeof after === 'object')
    return sectionDetails(CACHE_RULE, before, after, path)
  return keyDetails(path, before, after)
}

function quotaDetails(path: Path, before: QuotaConfig, after: QuotaConfig): string[] {
  const details: string[] = []
  const compare = (key: readonly string[], was: unknown, is: unknown, text: () => [string, string]): void => {
    if (!isSame(was, is)) details.push(keyDetail([...path, ...key], ...text()))
  }
  compare(['rate'], before.rate, after.rate, () => [rateText(before.rate), rateText(after.rate)])
  compare(['concurrency'], before.concurrency, after.concurrency, () => [
    String(before.concurrency ?? NOT_SET),
    String(after.concurrency ?? NOT_SET),
  ])
  for (const measure of MEASURES) {
    const [was, is] = [before, after].map(({ budgets }) => budgets.filter(one => one.measure === measure))
    compare(['budget', measure], was, is, () => [budgetText(was), budgetText(is)])
  }
  return details
}

const NOT_SET = 'not set'
const SPANS: Readonly<Record<number, string>> = { 1e3: 's', 60e3: 'min', 3_600e3: 'h' }

function rateText(rate: QuotaConfig['rate']): string {
  return rate ? `${rate.count}/${SPANS[rate.periodMs]}` : NOT_SET
}

function budgetText(budgets: readonly BudgetConfig[] = []): string {
  if (budgets.length === 0) return NOT_SET
  const amountText = ({ measure, amount }: BudgetConfig): string =>
    measure === 'compute' ? durationText(amount) : measure === 'bytes' ? sizeText(amount) : String(amount)
  return budgets.map(budget => `${amountText(budget)}/${budget.period}`).join(' and ')
}

function limitsOf({ limits }: ClientConfig): Map<string, QuotaConfig> {
  return new Map(limits.map(({ match, quota }) => [match, quota]))
}

/** Rules are numbered by their lists, so the key of a list is named. */
function ruleDetails(path: Path, before: readonly RuleConfig[], after: readonly RuleConfig[]): string[] {
  const [was, is] = [rulesByKey(before), rulesByKey(after)]
  return ['allow', 'deny', 'rules'].flatMap(key => keyDetails([...path, key], was.get(key), is.get(key)))
}

function rulesByKey(rules: readonly RuleConfig[]): Map<string, readonly Omit<RuleConfig, 'location'>[]> {
  const lists = new Map<string, Omit<RuleConfig, 'location'>[]>()
  for (const { location, ...rule } of rules) {
    const key = /\.(allow|deny)$/.exec(location)?.[1] ?? 'rules'
    const list = lists.get(key)
    if (list) list.push(rule)
    else lists.set(key, [rule])
  }
  return lists
}

function httpDetails(path: Path, before: HttpFrontConfig, after: HttpFrontConfig): string[] {
  const [was, is] = [before.tls, after.tls]
  const at = [...path, 'tls']
  return [
    ...sectionDetails(HTTP, before, after, path),
    ...keyDetails([...path, 'publicUrl'], before.publicUrl, after.publicUrl),
    ...(was && is
      ? Object.keys(TLS.options).flatMap(key =>
          keyDetails([...at, key], was[key as keyof typeof was], is[key as keyof typeof is]),
        )
      : keyDetails(at, was, is)),
    ...(was && is && was.contentDigest !== is.contentDigest
      ? [`${keyDetail(at)}: the content of its files`]
      : []),
  ]
}

function authDetails(path: Path, before: AuthConfig, after: AuthConfig): string[] {
  const [was, is] = [before.proxy, after.proxy]
  const at = [...path, 'proxy']
  return [
    ...sectionDetails(AUTH, before, after, path),
    ...jwtDetails([...path, 'jwt'], before.jwt, after.jwt),
    ...(was && is
      ? [...keyDetails([...at, 'header'], was.header, is.header), ...sectionDetails(PROXY, was, is, at)]
      : keyDetails(at, was, is)),
  ]
}

function jwtDetails(path: Path, before: AuthConfig['jwt'], after: AuthConfig['jwt']): string[] {
  if (before.length !== after.length) return [keyDetail(path)]
  return before.flatMap((was, index) => {
    const is = after[index] ?? was
    const at = [...path, index]
    return [
      ...keyDetails([...at, 'issuer'], was.issuer, is.issuer),
      ...sectionDetails(JWT, was, is, at),
      ...keyDetails([...at, 'scopes'], was.scopes, is.scopes),
    ]
  })
}

function auditDetails(path: Path, before: AuditConfig | undefined, after: AuditConfig | undefined): string[] {
  const file = keyDetail([...path, 'file'])
  if (!before || !after) {
    if (after) return [`${file}: the audit log is on, in ${after.file}`]
    return before ? [`${file}: the audit log is off`] : []
  }
  return [
    ...keyDetails([...path, 'file'], before.file, after.file),
    ...sectionDetails(AUDIT, before, after, path),
  ]
}
