import { Catalog } from '../catalog/catalog.ts'
import { ServerLists } from '../catalog/server-lists.ts'
import { hiddenBy } from '../catalog/hidden.ts'
import type { CatalogEntry } from '../catalog/catalog-entry.ts'
import type { View } from '../catalog/view.ts'
import { WHOLE } from '../catalog/view-names.ts'
import { loadWithSource, type Loaded } from '../config/load/load.ts'
import { nearest } from '../config/validate/nearest.ts'
import { serverNames } from '../config/validate/scope.ts'
import { GatewayError } from '../core/errors.ts'
import type { JsonObject } from '../core/exchange.ts'
import { SILENT, type LogLevel } from '../core/logger.ts'
import { ANONYMOUS, clientPrincipal, LOCAL, type Principal } from '../core/principal.ts'
import type { Decision, ItemKind, ListKind } from '../core/route.ts'
import type { Item } from '../policy/decide.ts'
import { explain, type ExplainStep } from '../policy/explain.ts'
import { compilePolicies } from '../policy/policies.ts'
import { openStore } from '../state/open.ts'
import { alignColumns } from './table.ts'
import { knownValid } from '../config/source/known-valid.ts'
import { notThere } from './not-there.ts'
import type { Config } from '../config/types.ts'

export interface ExplainOptions {
  readonly config?: string
  readonly log?: LogLevel
  readonly profile?: string
  readonly prompt?: boolean
  readonly resource?: boolean
  readonly role?: readonly string[]
  readonly json?: boolean
}

const EXIT: Readonly<Record<Decision['verdict'], number>> = { allow: 0, deny: 2, depends: 3 }

/** The complete explanation; `--json` prints it unchanged. */
interface Explanation {
  readonly verdict: Decision['verdict']
  /** Location of the rule that decided; `default`, or why there is no decision. */
  readonly rule: string
  readonly shadowed: string | undefined
  readonly kind: ItemKind
  readonly server: string
  readonly name: string
  /** The name that clients use, `undefined` when it is not listed. */
  readonly exposed: string | undefined
  /** A sentence about its state in the catalogue. */
  readonly catalogue: string
  readonly rules: readonly ExplainStep[]
}

/**
 * `explain`: shows what a client may use and why, from the configuration and the stored lists of earlier runs. Starts
 * nothing.
 * @throws GatewayError `config` when there is no such client, profile or server
 */
export async function runExplain(
  client: string,
  name: string,
  args: JsonObject | undefined,
  options: ExplainOptions,
): Promise<void> {
  const { config, raw } = await loadWithSource({
    file: options.config,
    looksForSecrets: false,
    ...knownValid(),
  })
  const store = await openStore(config.gateway.state, SILENT)
  try {
    const policies = await compilePolicies(config, SILENT)
    const lists = new ServerLists({
      servers: config.servers,
      firstListTimeoutMs: config.gateway.catalog.firstListTimeoutMs,
      store,
      logger: SILENT,
      views: () => catalog.views,
      link: () => Promise.reject(new GatewayError('internal', 'Nothing is started here.')),
    })
    const catalog: Catalog = new Catalog({
      config,
      lists,
      logger: SILENT,
      serverInfo: '{}',
      policy: key => policies.byKey(key),
      watched: () => [],
      onChange: () => undefined,
    })
    await lists.load()
    const principal = principalOf(config, client, options.role ?? [])
    const kind = options.prompt ? 'prompt' : options.resource ? 'resource' : 'tool'
    const found = await locate({ config, raw }, catalog, kind, name, options.profile)
    const { item } = found
    const call = args && { args, now: new Date() }
    const { decision, steps } = explain(policies.rulesOf(principal), policies.of(principal).rules, {
      item,
      principal,
      call,
    })
    const explanation: Explanation = {
      verdict: found.missing ? 'deny' : decision.verdict,
      rule: found.missing ?? decision.rule,
      shadowed: decision.shadowed,
      kind,
      server: item.server,
      name: item.name,
      exposed: found.exposed,
      catalogue: found.catalogue,
      rules: steps,
    }
    const text = options.json ? JSON.stringify(explanation, null, 2) : render(client, explanation).join('\n')
    process.stdout.write(`${text}\n`)
    process.exitCode = EXIT[explanation.verdict]
    await lists.close()
  } finally {
    await store.close()
  }
}

function unknown(what: string, name: string, names: readonly string[]): GatewayError {
  return notThere(quoted => `There is no ${what} ${quoted} in the configuration`, name, names)
}

/** Why a name leads to no server. */
function unlocated(
  { config, raw }: Pick<Loaded, 'config' | 'raw'>,
  kind: ItemKind,
  name: string,
): GatewayError {
  const names = config.servers.map(server => server.name)
  const prefixes = new Map(config.servers.map(({ prefix, name: server }) => [prefix || server, server]))
  const beginnings = [...name.matchAll(/\//g)].map(({ index }) => name.slice(0, index))
  const isUri = kind === 'resource' && (beginnings[0] ?? name).includes(':')
  const left = serverNames(raw).find(server => beginnings.includes(server) && !names.includes(server))
  if (left !== undefined) return new GatewayError('config', `The server "${left}" is disabled or left out.`)
  if (!isUri) {
    // Server names may contain slashes, so the longest matching prefix is the most informative.
    const misspelt = beginnings.findLast(beginning => nearest(beginning, names) !== undefined)
    const [beginning = misspelt] = beginnings
    if (beginning !== undefined) return unknown('server', misspelt ?? beginning, names)
    const [, prefix] = /^(.+?)__/.exec(name) ?? []
    if (prefix !== undefined && !prefixes.has(prefix)) {
      const near = nearest(prefix, [...prefixes.keys()])
      if (near !== undefined) return unknown('server', prefix, [prefixes.get(near) ?? near])
      // Names of a server without a prefix may contain the separator as well.
      if (config.servers.every(server => server.prefix !== false)) return unknown('server', prefix, names)
    }
    const meant = names.includes(name) ? name : nearest(name, names)
    if (meant !== undefined) {
      const said =
        meant === name ? `"${name}" is a server.` : `There is no "${name}"; there is a server "${meant}".`
      return new GatewayError('config', `${said} Write what of it is meant, as in "${meant}/name".`)
    }
  }
  const [thing, form] = kind === 'resource' ? ['URI', 'server/uri'] : ['name', 'server/name']
  return new GatewayError(
    'config',
    `"${name}" is no ${thing} that clients see, as far as the lists of earlier runs tell. Write it as "${form}".`,
  )
}

function principalOf(config: Config, client: string, roles: readonly string[]): Principal {
  const known = config.roles.map(role => role.name)
  for (const role of roles) if (!known.includes(role)) throw unknown('role', role, known)
  const brought = [...roles].sort()
  const names = config.clients.map(({ name }) => name)
  if (names.includes(client)) return { ...clientPrincipal(client), roles: brought }
  if (client === 'local') return { ...LOCAL, roles: brought }
  if (client === 'anonymous') return { ...ANONYMOUS, roles: brought }
  throw unknown('client', client, names)
}

interface Found {
  readonly item: Item
  readonly exposed: string | undefined
  readonly catalogue: string
  /** Why it does not exist for any client; replaces a rule. */
  readonly missing?: string
}

const LISTS: Readonly<Record<ItemKind, readonly ListKind[]>> = {
  tool: ['tools'],
  prompt: ['prompts'],
  resource: ['resources', 'resourceTemplates'],
}

/** Finds a thing by `server/name` or by the name that clients use. */
async function locate(
  loaded: Pick<Loaded, 'config' | 'raw'>,
  catalog: Catalog,
  kind: ItemKind,
  name: string,
  profile: string | undefined,
): Promise<Found> {
  const { config } = loaded
  const profiles = config.profiles.map(known => known.name)
  if (profile !== undefined && !profiles.includes(profile)) throw unknown('profile', profile, profiles)
  const whole = catalog.view(WHOLE) as View
  const shown = catalog.view(profile ?? WHOLE) as View
  const entries = (view: View): CatalogEntry[] => LISTS[kind].flatMap(list => view.entries(list))
  const server = config.servers.find(({ name: prefix }) => name.startsWith(`${prefix}/`))
  const is = (entry: CatalogEntry): boolean =>
    entry.route.exposed === name ||
    (server !== undefined &&
      entry.server === server.name &&
      entry.name === name.slice(server.name.length + 1))

  const listed = entries(shown).find(is)
  if (listed) return { item: listed, exposed: listed.route.exposed, catalogue: 'It is in the catalogue.' }
  const elsewhere = entries(whole).find(is)
  if (elsewhere) {
    const catalogue = `It is in the catalogue, but not in the profile "${profile}".`
    return { item: elsewhere, exposed: undefined, catalogue, missing: 'not in the profile' }
  }
  const route = kind === 'resource' ? whole.unlisted(name) : undefined
  const owner = server?.name ?? route?.server
  if (owner === undefined) throw unlocated(loaded, kind, name)
  const own = server ? name.slice(server.name.length + 1) : (route?.own ?? name)
  const item: Item = { kind, server: owner, name: own, title: '', annotations: {} }
  if (!shown.merged.selects(kind, owner, own) || !shown.servers.has(owner)) {
    const catalogue = `It is not in the profile "${profile}".`
    return { item, exposed: undefined, catalogue, missing: 'not in the profile' }
  }
  const configured = config.servers.find(({ name: known }) => known === owner)
  if (kind === 'tool' && configured && hiddenBy(configured)(own))
    return {
      item,
      exposed: undefined,
      catalogue: 'The configuration hides it.',
      missing: 'hidden by "tools"',
    }
  if (!catalog.snapshot(owner))
    return { item, exposed: undefined, catalogue: `The server "${owner}" has not been listed yet.` }
  if (kind === 'resource')
    return { item, exposed: undefined, catalogue: `It is not listed, but "${owner}" may have it.` }
  const catalogue = `The server "${owner}" had no such ${kind} when it was last listed.`
  return { item, exposed: undefined, catalogue, missing: 'not in the catalogue' }
}

const VERDICTS: Readonly<Record<Decision['verdict'], string>> = {
  allow: 'Allowed',
  deny: 'Denied',
  depends: 'Depends on the call; give arguments to see',
}

function render(client: string, explanation: Explanation): string[] {
  const { verdict, rule, shadowed, kind, server, name, exposed, catalogue, rules } = explanation
  const shadow = shadowed === undefined ? [] : [`In shadow mode; would be denied by ${shadowed}.`]
  const rows = rules.map(step => [
    step.decides ? '>' : '',
    step.location,
    step.shadow ? `${step.effect} (shadow)` : step.effect,
    step.matched === undefined
      ? `no match: ${step.patterns.join(', ')}`
      : step.matched === '*'
        ? 'everything'
        : `matches ${step.matched}`,
    step.condition === undefined ? '' : `when ${step.condition.replace(/\s+/g, ' ')}: ${valueOf(step)}`,
  ])
  return [
    `${VERDICTS[verdict]}: ${client}, ${kind} ${server}/${name} (${rule})`,
    ...shadow,
    exposed === undefined ? catalogue : `${catalogue} Clients see it as ${exposed}.`,
    '',
    ...(rows.length > 0 ? ['Rules, in their order', ...alignColumns(rows)] : ['No rules']),
  ]
}

function valueOf({ value, failure, matched }: ExplainStep): string {
  if (matched === undefined) return 'not evaluated'
  return value === 'failed' ? `failed, ${failure}` : String(value)
}
