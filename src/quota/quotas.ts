import type { ClientConfig, Config, QuotaConfig, ServerConfig } from '../config/types.ts'
import type { Logger } from '../core/logger.ts'
import { growingLru } from '../core/growing-lru.ts'
import type { Principal } from '../core/principal.ts'
import type { ItemKind, Route } from '../core/route.ts'
import { textsOf } from '../core/uri-readings.ts'
import { compilePatterns, matches, wildcard, type Pattern } from '../policy/pattern.ts'
import type { Store } from '../state/store.ts'
import { CLOCK, type Clock } from '../core/clock.ts'
import { Charge, AdmissionGate, type Budgeted, type Leased, type Rated } from './admission-gate.ts'
import { costOfTool } from './cost.ts'
import { LimitLeases, type Live } from './limit-leases.ts'
import { RemainingQuota } from './remaining-quota.ts'
import { limitsOf, type Limit, type Owner } from './limits.ts'

export interface QuotasOptions {
  readonly config: Config
  readonly store: Store
  readonly logger: Logger
  readonly clock?: Clock
  /** Leases of this process. Default: leases of its own. */
  readonly leases?: LimitLeases
}

/** Maximum number of identities with counters in memory. Those of others are in the store alone. */
const MAX_PRINCIPALS = 10_000
/** Maximum number of names with cached limits, for each identity. */
const MAX_ROUTES = 256
/** The limits of calls of one item. */
export interface RouteLimits {
  readonly gate: AdmissionGate | undefined
  readonly charge: Charge | undefined
  /** The caller's remaining rates and budgets. `undefined`: there are none. */
  readonly left: RemainingQuota | undefined
}

interface Part {
  readonly patterns: readonly Pattern[]
  readonly limits: readonly Live[]
}

/** The limits of one identity. */
interface Account {
  /** For every request. */
  readonly gate: AdmissionGate | undefined
  /** The identity's own limits, without those of parts. */
  readonly own: readonly Live[]
  readonly parts: readonly Part[]
  readonly routes: Map<string, RouteLimits | undefined>
  /** Limits of tool calls. Their routes are the same objects from call to call. */
  readonly calls: WeakMap<Route, RouteLimits | Nothing>
}

type Nothing = typeof NOTHING
const NOTHING = Symbol('no limits')

/** What a pattern of a limit applies to. `task`: the follow-up of a call, which only has a server. */
type Kind = ItemKind | 'task'

const KINDS: Readonly<Record<string, Kind>> = {
  'tools/call': 'tool',
  'prompts/get': 'prompt',
  'resources/read': 'resource',
}

/** The limits of requests, from the configuration. Resolved once for each identity and name. */
export class Quotas {
  readonly clock: Clock
  readonly #leases: LimitLeases
  /** As in `LimitLeases`. */
  readonly #version: number
  readonly #servers: ReadonlyMap<string, ServerConfig>
  readonly #clients: ReadonlyMap<string, ClientConfig>
  readonly #accounts = growingLru<string, Account>(MAX_PRINCIPALS)
  /** Accounts by principal. The same identity with the same rights is the same object. */
  readonly #byPrincipal = new WeakMap<Principal, Account>()
  /** Limits of servers and tools, for all clients together. */
  readonly #shared = new Map<string, Live>()
  readonly #unlimitedClients: Account | undefined
  readonly #timeZone: string | undefined

  /** `undefined` when nothing is limited. */
  static of(options: QuotasOptions): Quotas | undefined {
    const { servers, clients } = options.config
    const quotas = [
      ...servers.flatMap(({ quota, tools }) => [quota, ...tools.map(tool => tool.quota)]),
      ...clients.flatMap(({ quota, limits }) => [quota, ...limits.map(limit => limit.quota)]),
    ]
    return quotas.some(isLimit) ? new Quotas(options) : undefined
  }

  constructor({ config, store, logger, clock = CLOCK, leases }: QuotasOptions) {
    this.clock = clock
    const failureMode = config.gateway.quotaFailureMode
    this.#leases = leases ?? new LimitLeases({ store, logger, clock, failureMode })
    this.#version = this.#leases.nextVersion()
    this.#timeZone = config.gateway.timeZone
    this.#servers = new Map(config.servers.map(server => [server.name, server]))
    this.#clients = new Map(
      config.clients
        .filter(({ quota, limits }) => isLimit(quota) || limits.some(limit => isLimit(limit.quota)))
        .map(client => [client.name, client]),
    )
    const limited = config.servers.some(
      ({ quota, tools }) => isLimit(quota) || tools.some(t => isLimit(t.quota)),
    )
    this.#unlimitedClients = limited
      ? { gate: undefined, own: [], parts: [], routes: new Map(), calls: new WeakMap() }
      : undefined
  }

  /** The gate for every request of this principal. `undefined`: it has no such limits. */
  gate(principal: Principal): AdmissionGate | undefined {
    return this.#account(principal)?.gate
  }

  /** The limits of calls by this route. `undefined`: there are none. */
  route(principal: Principal, method: string, route: Route): RouteLimits | undefined {
    const account = this.#account(principal)
    if (!account) return undefined
    if (method !== 'tools/call') return this.#limitsOf(account, method, route)
    let limits = account.calls.get(route)
    if (limits === undefined) {
      limits = this.#limitsOf(account, method, route) ?? NOTHING
      account.calls.set(route, limits)
    }
    return limits === NOTHING ? undefined : limits
  }

  #limitsOf(account: Account, method: string, route: Route): RouteLimits | undefined {
    const kind = KINDS[method] ?? (method.startsWith('tasks/') ? 'task' : undefined)
    // A completion belongs to a prompt or a resource, and calls neither.
    const own = kind === 'task' ? '' : route.own
    const key = `${kind ?? method}\n${route.server}\n${own}`
    const { routes } = account
    if (routes.has(key)) return routes.get(key)
    if (routes.size >= MAX_ROUTES) routes.clear()
    const limits = this.#resolve(account, route.server, kind ?? 'prompt', own, method === 'tools/call')
    routes.set(key, limits)
    return limits
  }

  /** All limits of the principal itself, with the part of this process. */
  limits(principal: Principal): readonly Live[] {
    const account = this.#clients.has(principal.client ?? '') ? this.#account(principal) : undefined
    return account ? [...account.own, ...account.parts.flatMap(({ limits }) => limits)] : []
  }

  has(principal: Principal): boolean {
    return principal.client !== undefined && this.#clients.has(principal.client)
  }

  /** Returns everything. Idempotent. Does not wait for an unreachable store. */
  async close(): Promise<void> {
    await this.#leases.close()
  }

  #account(principal: Principal): Account | undefined {
    const known = this.#byPrincipal.get(principal)
    if (known) return known
    const client = principal.client === undefined ? undefined : this.#clients.get(principal.client)
    if (!client) return this.#unlimitedClients
    let account = this.#accounts.get(principal.id)
    if (!account) this.#accounts.set(principal.id, (account = this.#open(principal, client)))
    this.#byPrincipal.set(principal, account)
    return account
  }

  #open(principal: Principal, client: ClientConfig): Account {
    const label = principal.id === `client:${client.name}` ? `client "${client.name}"` : `"${principal.name}"`
    const owner: Owner = { id: principal.id, label }
    const own = limitsOf(owner, client.quota).map(limit => this.#live(limit))
    const parts = client.limits.map(({ match, quota }) => ({
      patterns: compilePatterns(match, [...this.#servers.keys()]),
      limits: limitsOf({ ...owner, part: match }, quota).map(limit => this.#live(limit)),
    }))
    return { gate: this.#gateOf(own), own, parts, routes: new Map(), calls: new WeakMap() }
  }

  #resolve(
    account: Account,
    serverName: string,
    kind: Kind,
    own: string,
    isCall: boolean,
  ): RouteLimits | undefined {
    const parts = account.parts.flatMap(({ patterns, limits }) =>
      patterns.some(pattern => isAbout(pattern, kind, serverName, own)) ? limits : [],
    )
    const server = this.#servers.get(serverName)
    const shared: Live[] = []
    let cost = 1
    if (server) {
      shared.push(
        ...this.#sharedOf({ id: `server:${serverName}`, label: `server "${serverName}"` }, server.quota),
      )
      cost = isCall ? costOfTool(server, own) : server.cost
      if (isCall) {
        const limited = server.tools.find(({ glob, quota }) => isLimit(quota) && wildcard(glob)(own))
        if (limited) {
          const name = `${serverName}/${limited.glob}`
          shared.push(...this.#sharedOf({ id: `tool:${name}`, label: `tool "${name}"` }, limited.quota))
        }
      }
    }
    // The identity's own limits, except budgets, have been passed by then.
    const gate = this.#gateOf([...parts, ...shared])
    const budgets = [...account.own, ...parts, ...shared].filter(isBudgeted)
    const calls = kind === 'task' ? 0 : 1
    const charge =
      budgets.length === 0 ? undefined : new Charge(budgets, calls, calls === 0 ? 0 : cost, this.clock)
    const visible = [...account.own, ...parts].filter(live => isBudgeted(live) || isRated(live))
    if (!gate && !charge && visible.length === 0) return undefined
    return { gate, charge, left: visible.length === 0 ? undefined : new RemainingQuota(visible, this.clock) }
  }

  #sharedOf(owner: Owner, quota: QuotaConfig): Live[] {
    return limitsOf(owner, quota).map(limit => {
      let live = this.#shared.get(limit.key)
      if (!live) this.#shared.set(limit.key, (live = this.#live(limit)))
      return live
    })
  }

  #gateOf(limits: readonly Live[]): AdmissionGate | undefined {
    const leases = limits.filter(isLeased)
    const rates = limits.filter(isRated)
    return leases.length + rates.length === 0 ? undefined : new AdmissionGate(leases, rates, this.clock)
  }

  #live(limit: Limit): Live {
    return this.#leases.of(limit, this.#timeZone, this.#version)
  }
}

function isLimit({ rate, concurrency, budgets }: QuotaConfig): boolean {
  return rate !== undefined || concurrency !== undefined || budgets.length > 0
}

function isRated(live: Live): live is Rated {
  return live.limit.kind === 'rate'
}
function isLeased(live: Live): live is Leased {
  return live.limit.kind === 'concurrency'
}
function isBudgeted(live: Live): live is Budgeted {
  return live.limit.kind === 'budget'
}

function isAbout(pattern: Pattern, kind: Kind, server: string, own: string): boolean {
  return kind === 'task'
    ? pattern.kind === undefined && pattern.anyName && pattern.server(server)
    : (kind === 'resource' ? textsOf(own) : [own]).some(text => matches(pattern, kind, server, text, true))
}
