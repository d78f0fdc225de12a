import type { Config, RuleConfig } from '../config/types.ts'
import { monotonicNow } from '../core/clock.ts'
import { GatewayError } from '../core/errors.ts'
import { growingLru } from '../core/growing-lru.ts'
import type { Logger } from '../core/logger.ts'
import { ANONYMOUS, isUnidentified, type Principal } from '../core/principal.ts'
import { inTurns } from '../core/slices.ts'
import { conditionCompiler, type Condition } from './condition.ts'
import type { OnFailure, Rule } from './decide.ts'
import { compilePatterns, patternProblem, type Pattern } from './pattern.ts'
import { Policy } from './policy.ts'

/** Cached policies; a dropped policy is rebuilt from its key. */
const MAX_KEPT = 2000
/** A failing condition may fail with every call; it is logged at this interval. */
const LOG_EVERY_MS = 60_000

/** The content of a key: everything that distinguishes one policy from another. */
interface Parts {
  /** The client whose own rules apply. */
  readonly own: string | null
  readonly roles: readonly string[]
  readonly default: 'allow' | 'deny'
  readonly shadow: boolean
  /** Set only when a condition reads the principal. */
  readonly principal: Principal | null
}

interface Own {
  readonly rules: readonly Rule[]
  readonly roles: readonly string[]
  readonly default: 'allow' | 'deny'
  readonly shadow: boolean
}

/** Finds the rules for a caller: those of the gateway, then of its roles, then its own. */
export class Policies {
  readonly #common: readonly Rule[]
  readonly #roles: ReadonlyMap<string, readonly Rule[]>
  readonly #clients: ReadonlyMap<string, Own>
  readonly #logger: Logger
  readonly #byPrincipal = new WeakMap<Principal, Policy>()
  readonly #byKey = growingLru<string, Policy>(MAX_KEPT)
  readonly #logged = new Map<string, number>()
  /** Number of failed evaluations by location of the rule. */
  readonly failures = new Map<string, number>()

  constructor(config: Config, toRules: (rules: readonly RuleConfig[]) => Rule[], logger: Logger) {
    this.#logger = logger
    this.#common = toRules(config.gateway.rules)
    this.#roles = new Map(config.roles.map(role => [role.name, toRules(role.rules)]))
    this.#clients = new Map(
      config.clients.map(client => [
        client.name,
        { rules: toRules(client.rules), roles: client.roles, default: client.default, shadow: client.shadow },
      ]),
    )
  }

  /**
   * Returns the same object for the same principal, and, while it is cached, for all principals with the same rules.
   */
  of(principal: Principal): Policy {
    let policy = this.#byPrincipal.get(principal)
    if (!policy) {
      const parts = this.#partsOf(principal)
      const asks = this.#rulesOf(parts).some(({ condition }) => condition?.asksPrincipal)
      policy = this.byKey(JSON.stringify(asks ? { ...parts, principal: plain(principal) } : parts))
      this.#byPrincipal.set(principal, policy)
    }
    return policy
  }

  /** The policy with this `key`. */
  byKey(key: string): Policy {
    let policy = this.#byKey.get(key)
    if (!policy) {
      const parts = JSON.parse(key) as Parts
      const rules = this.#rulesOf(parts)
      const set = {
        denies: rules.filter(({ effect }) => effect === 'deny'),
        allows: rules.filter(({ effect }) => effect === 'allow'),
        default: parts.default,
        shadow: parts.shadow,
      }
      policy = new Policy(key, set, parts.principal ?? ANONYMOUS, this.#onFailure)
      this.#byKey.set(key, policy)
    }
    return policy
  }

  /** All rules of a caller, in the order of the configuration; for display. */
  rulesOf(principal: Principal): readonly Rule[] {
    return this.#rulesOf(this.#partsOf(principal))
  }

  #partsOf(principal: Principal): Parts {
    const { client, roles } = principal
    if (client === undefined) {
      // Without identities, only the rules for all clients apply. An identity without a configured client has the
      // permissions of its roles.
      const open = isUnidentified(principal)
      return {
        own: null,
        roles: [...new Set(roles)].sort(),
        default: open ? 'allow' : 'deny',
        shadow: false,
        principal: null,
      }
    }
    const known = this.#clients.get(client)
    if (!known) return { own: null, roles: [], default: 'deny', shadow: false, principal: null }
    return {
      own: known.rules.length > 0 ? client : null,
      roles: [...new Set([...known.roles, ...roles])],
      default: known.default,
      shadow: known.shadow,
      principal: null,
    }
  }

  #rulesOf({ own, roles }: Parts): Rule[] {
    return [
      ...this.#common,
      ...roles.flatMap(role => this.#roles.get(role) ?? []),
      ...((own !== null && this.#clients.get(own)?.rules) || []),
    ]
  }

  readonly #onFailure: OnFailure = (rule, reason) => {
    this.failures.set(rule.location, (this.failures.get(rule.location) ?? 0) + 1)
    const now = monotonicNow()
    if (now - (this.#logged.get(rule.location) ?? 0) < LOG_EVERY_MS) return
    this.#logged.set(rule.location, now)
    const effect = rule.effect === 'deny' ? 'the rule denies' : 'the rule does not allow'
    this.#logger.warn(`The condition of ${rule.location} could not be evaluated; ${effect}.`, {
      reason,
      failures: this.failures.get(rule.location),
    })
  }
}

/**
 * Compiles the rules of a configuration.
 * @throws GatewayError `config` for a pattern or a condition that does not compile; validation reports these earlier
 */
export async function compilePolicies(config: Config, logger: Logger): Promise<Policies> {
  const lists = [
    config.gateway.rules,
    ...config.roles.map(({ rules }) => rules),
    ...config.clients.map(({ rules }) => rules),
  ]
  const isConditional = lists.some(rules => rules.some(({ when }) => when !== undefined))
  const compile = isConditional ? await conditionCompiler() : undefined
  const servers = config.servers.map(({ name }) => name)
  const patterns = new Map<string, Pattern[]>()
  const conditions = new Map<string, Condition>()
  const patternsOf = (text: string, place: string): Pattern[] => {
    const known = patterns.get(text)
    if (known) return known
    const problem = patternProblem(text, servers)
    if (problem) throw new GatewayError('config', `${place}: ${text} ${problem.cause}. ${problem.fix}`)
    const compiled = compilePatterns(text, servers)
    patterns.set(text, compiled)
    return compiled
  }
  const conditionOf = (text: string, place: string): Condition => {
    const known = conditions.get(text)
    if (known) return known
    const compiled = compile?.(text)
    if (!compiled || 'problem' in compiled)
      throw new GatewayError('config', `${place}.when does not compile: ${compiled?.problem.cause}.`)
    conditions.set(text, compiled.condition)
    return compiled.condition
  }
  const toRules = (rules: readonly RuleConfig[]): Rule[] =>
    rules.map(({ location, effect, match, when, shadow }) => ({
      location,
      effect,
      patterns: match.flatMap(text => patternsOf(text, location)),
      condition: when === undefined ? undefined : conditionOf(when, location),
      shadow,
    }))
  // A reload of many clients does not hold up the requests of others.
  const compiled = new Map<readonly RuleConfig[], Rule[]>()
  await inTurns(lists, rules => compiled.set(rules, toRules(rules)))
  return new Policies(config, rules => compiled.get(rules) ?? toRules(rules), logger)
}

function plain({ kind, id, name, client, roles }: Principal): Principal {
  return { kind, id, name, client, roles }
}
