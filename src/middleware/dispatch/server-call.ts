import { GatewayError } from '../../core/errors.ts'
import { UNHEARD, type EventSink } from '../../core/event-bus.ts'
import type { Exchange, Outcome } from '../../core/exchange.ts'
import type { Route } from '../../core/route.ts'
import { NAMED_METHODS, paramHeaders } from '../../protocol/headers.ts'
import { awaitLegacyTask } from '../../tasks/await-legacy-task.ts'
import type { LegacyTasks } from '../../tasks/legacy-tasks.ts'
import type { LinkCall } from '../../upstream/link/link-contract.ts'
import type { Link } from '../../upstream/link/link.ts'
import type { LinkLease } from '../../upstream/pool/lease.ts'
import type { Pool } from '../../upstream/pool/pool.ts'
import type { Excluded } from '../../upstream/replica/replica-set.ts'
import { Attempt } from '../attempt.ts'
import { failover, type Failover } from './failover.ts'

export interface ServerCallOptions {
  /** Absent: no listener. */
  readonly events?: EventSink | undefined
  readonly pool: Pool
  readonly legacyTasks: LegacyTasks
  readonly exchange: Exchange
  readonly route: Route
  readonly repeatable: boolean
  readonly lacking: Excluded | undefined
}

/** A call on its way to a server: each attempt takes a link of the pool and returns it. */
export class ServerCall implements Failover {
  readonly #options: ServerCallOptions
  readonly since = performance.now()

  constructor(options: ServerCallOptions) {
    this.#options = options
  }

  get pool(): Pool {
    return this.#options.pool
  }

  get exchange(): Exchange {
    return this.#options.exchange
  }

  get repeatable(): boolean {
    return this.#options.repeatable
  }

  get lacking(): Excluded | undefined {
    return this.#options.lacking
  }

  /** The same call for another exchange of the same request. */
  as(exchange: Exchange): ServerCall {
    return new ServerCall({ ...this.#options, exchange })
  }

  /** Makes a single attempt. */
  async once(attempt: Attempt): Promise<Outcome> {
    try {
      const outcome = await this.run(attempt)
      attempt.answered()
      return outcome
    } catch (caught) {
      const error = GatewayError.from(caught, this.#options.route.server)
      attempt.failed(error)
      throw error
    }
  }

  /** Makes an attempt, and further ones if it fails. */
  async persist(attempt = new Attempt(this.lacking)): Promise<Outcome> {
    try {
      const outcome = await this.run(attempt)
      attempt.answered()
      return outcome
    } catch (caught) {
      const error = GatewayError.from(caught, this.#options.route.server)
      attempt.failed(error)
      return await failover(this, attempt, error)
    }
  }

  /**
   * Makes the attempt, which holds its link until its end has been recorded. @throws GatewayError at once, or rejects
   * with one
   */
  run(attempt: Attempt): Promise<Outcome> {
    const { pool, legacyTasks, exchange, route } = this.#options
    if (exchange.request.method.startsWith('tasks/')) {
      // A task of a legacy server is bound to the link it was created on.
      const task = legacyTasks.at(route)
      if (task) return task.call(exchange)
      // It has gone while the request waited. At the server its id may be that of another client's task by now.
      if (!exchange.modern && route.exposed !== route.own)
        throw new GatewayError('invalid_params', 'The task is gone.', { server: route.server })
    }
    const lease = pool.acquire(exchange, attempt)
    return lease instanceof Promise ? this.#sendLater(lease, attempt) : this.#send(lease, attempt)
  }

  async #sendLater(lease: Promise<LinkLease>, attempt: Attempt): Promise<Outcome> {
    const since = performance.now()
    const { trace } = this.#options.exchange
    const taken = await lease.finally(() => trace.waitedForLink(performance.now() - since))
    return await this.#send(taken, attempt)
  }

  #send(lease: LinkLease, attempt: Attempt): Promise<Outcome> {
    const { events = UNHEARD, pool, legacyTasks, exchange, route } = this.#options
    const { link } = lease
    attempt.began(lease, exchange, route, events)
    const call = callFor(link, exchange, route, attempt.timeoutMs)
    const { method, params } = exchange.request
    if (method === 'tools/call' && link.peer.era === 'legacy') {
      if (params?.value.task !== undefined)
        return legacyTasks.create(link, pool.slotOf(link), exchange, route.own, call)
      if (route.needsTask) return awaitLegacyTask(link, exchange, call)
    }
    return link.call(exchange, call)
  }
}

function callFor(link: Link, exchange: Exchange, route: Route, timeoutMs: number | undefined): LinkCall {
  const { method, params } = exchange.request
  if (method === 'completion/complete') {
    const ref = params?.value.ref as { type?: unknown } | undefined
    return {
      method,
      timeoutMs,
      change: { ref: { key: ref?.type === 'ref/resource' ? 'uri' : 'name', value: route.own } },
    }
  }
  const change = { target: { key: NAMED_METHODS[method] ?? 'name', value: route.own } }
  if (!route.headerParams?.length || !link.transport.traits.headers) return { method, timeoutMs, change }
  return { method, timeoutMs, change, headers: paramHeaders(route.headerParams, params?.value.arguments) }
}
