import type { Cache, CacheLookup } from '../cache/cache.ts'
import type { Invalidation } from '../cache/invalidation.ts'
import type { CacheEntry } from '../cache/entry.ts'
import type { CachePolicy } from '../cache/policies.ts'
import type { CallHandler, CallMiddleware } from '../core/compose.ts'
import { describeError, GatewayError } from '../core/errors.ts'
import type { Exchange, JsonObject, Outcome } from '../core/exchange.ts'
import type { Logger } from '../core/logger.ts'
import type { Route } from '../core/route.ts'
import { isFinal } from '../protocol/related-task.ts'
import { Revalidation, CacheableExchange } from './cacheable-exchange.ts'
import { storeWait } from './store-wait.ts'

type UrisKey = (view: string, server: string) => string

/** Pause after a failed renewal. */
const RENEW_PAUSE_MS = 1000

export interface CacheLookupOptions {
  readonly cache: Cache
  readonly logger: Logger
  /** Identifies the renaming of URIs in a server's results for a view, `''` without renaming. */
  readonly urisKey: UrisKey
}

/**
 * Answers calls from the cache, and invalidates what a call may change. Calls of tools without cache settings pass
 * unchanged. A call whose answer may be cached continues as `CacheableExchange`, for `coalesce` and `cacheStore`.
 */
export function cacheLookup({ cache, logger, urisKey }: CacheLookupOptions): CallMiddleware {
  return next => {
    const ask = asking(cache, logger, urisKey, next)
    return (exchange, route) => {
      const { method } = exchange.request
      if (method === 'tools/call') {
        const policy = cache.policies.tool(route.server, route.own)
        if (!policy) return next(exchange, route)
        if (policy.outdates) return changing(cache, policy, policy.outdates, next, exchange, route)
        return policy.rule ? ask(policy, exchange, route) : next(exchange, route)
      }
      if (method === 'resources/read') {
        const policy = cache.policies.reads(route.server)
        return policy ? ask(policy, exchange, route) : next(exchange, route)
      }
      if (method.startsWith('tasks/')) {
        // A task may change something while its client polls it.
        const policy = cache.policies.tasks(route.server)
        if (policy) return changing(cache, policy, 'server', next, exchange, route)
      }
      return next(exchange, route)
    }
  }
}

/** Stores the answers to cacheable calls. Inside of `coalesce`, so that each is stored once. */
export function cacheStore({ cache }: Pick<CacheLookupOptions, 'cache'>): CallMiddleware {
  return next => {
    const stored = async (exchange: CacheableExchange, route: Route): Promise<Outcome> => {
      const { lookup, principal } = exchange
      const epoch = lookup.policy.changes.now
      const since = cache.now()
      const outcome = await next(exchange, route)
      const { state, trace } = exchange
      // An answer that depends on a client's input is not valid for other clients.
      if (!state.asked) cache.store(lookup, principal, outcome, epoch, since, trace.upstreamMs)
      return outcome
    }
    return (exchange, route) =>
      exchange instanceof CacheableExchange ? stored(exchange, route) : next(exchange, route)
  }
}

function asking(
  cache: Cache,
  logger: Logger,
  urisKey: UrisKey,
  next: CallHandler,
): (policy: CachePolicy, exchange: Exchange, route: Route) => Promise<Outcome> {
  /** Serves a stored result if it is fresh enough. */
  const served = (
    entry: CacheEntry,
    from: 'memory' | 'store',
    lookup: CacheLookup,
    exchange: Exchange,
    route: Route,
  ): Promise<Outcome> | undefined => {
    const now = cache.now()
    switch (cache.freshness(lookup.policy, entry, now)) {
      case 'fresh':
        return Promise.resolve(cache.hit(lookup.policy, entry, exchange, from, false))
      case 'late':
        renew(entry, lookup, now, exchange, route)
        return Promise.resolve(cache.hit(lookup.policy, entry, exchange, from, true))
      case 'last':
        return fetched(lookup, exchange, route, true)
      default:
        cache.drop(entry)
        return undefined
    }
  }

  const renew = (
    entry: CacheEntry,
    lookup: CacheLookup,
    now: number,
    exchange: Exchange,
    route: Route,
  ): void => {
    if (entry.renewing || entry.renewAt > now) return
    entry.renewing = true
    next(new Revalidation(exchange, lookup), route)
      .catch((error: unknown) =>
        logger.debug('A cached result could not be refreshed.', {
          server: route.server,
          name: route.own,
          cause: describeError(error),
        }),
      )
      .finally(() => {
        entry.renewing = false
        entry.renewAt = cache.now() + RENEW_PAUSE_MS
      })
  }

  const fetched = (
    lookup: CacheLookup,
    exchange: Exchange,
    route: Route,
    orStale: boolean,
  ): Promise<Outcome> => {
    lookup.policy.counters.misses++
    const answer = next(new CacheableExchange(exchange, lookup), route)
    return orStale ? answer.catch((error: unknown) => lastResort(error, lookup, exchange)) : answer
  }

  /** A stored result after a failure of the server. Errors that the server returned are answers. */
  const lastResort = (caught: unknown, lookup: CacheLookup, exchange: Exchange): Outcome => {
    const error = GatewayError.from(caught)
    if (!error.kind.countsAgainstHealth || exchange.cancellation.reason !== undefined) throw error
    // It may have been invalidated in the meantime, or have become too old.
    const entry = cache.find(lookup)
    if (!entry || !cache.freshness(lookup.policy, entry, cache.now())) throw error
    return cache.hit(lookup.policy, entry, exchange, 'memory', true)
  }

  const behind = async (lookup: CacheLookup, exchange: Exchange, route: Route): Promise<Outcome> => {
    const entry = await storeWait(cache.findBehind(lookup), exchange.trace)
    const answer = entry && served(entry, 'store', lookup, exchange, route)
    return await (answer ?? fetched(lookup, exchange, route, false))
  }

  return (policy, exchange, route) => {
    const lookup = cache.lookup(policy, exchange, route, urisKey(exchange.view, route.server))
    if (!lookup) return next(exchange, route)
    const entry = cache.find(lookup)
    const answer = entry && served(entry, 'memory', lookup, exchange, route)
    if (answer) return answer
    return cache.hasTier ? behind(lookup, exchange, route) : fetched(lookup, exchange, route, false)
  }
}

/** Runs a call that changes something: results fetched before or during it are invalid after it. */
async function changing(
  cache: Cache,
  policy: Pick<CachePolicy, 'server' | 'changes'>,
  what: Invalidation,
  next: CallHandler,
  exchange: Exchange,
  route: Route,
): Promise<Outcome> {
  cache.begin(policy, what)
  let lingers = true
  try {
    const outcome = await next(exchange, route)
    lingers = goesOn(outcome)
    return outcome
  } catch (error) {
    lingers = !(error instanceof GatewayError) || error.delivery === 'unknown'
    throw error
  } finally {
    cache.end(policy, what, lingers)
  }
}

/** Whether the server may still be working: it waits for input, or has created a task. */
function goesOn(outcome: Outcome): boolean {
  if (outcome.kind !== 'result') return outcome.kind === 'question'
  const { resultType, task, status } = (outcome.value ?? {}) as JsonObject
  if (status !== undefined && !isFinal(status)) return true
  return task !== undefined || (resultType !== undefined && resultType !== 'complete')
}
