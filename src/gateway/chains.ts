import { inputRequiredLoop, type InputRequiredLoopOptions } from '../bridge/input-required-loop.ts'
import { suspend, type SuspendOptions } from '../bridge/suspend.ts'
import type { Opening } from '../core/client-request.ts'
import {
  compose,
  type CallHandler,
  type CallMiddleware,
  type Handler,
  type Middleware,
  type ClientRequestHandler,
  type RequestMiddleware,
} from '../core/compose.ts'
import { authorize, type AuthorizeOptions } from '../middleware/authorize.ts'
import { cacheLookup, cacheStore, type CacheLookupOptions } from '../middleware/cache.ts'
import { charge } from '../middleware/charge.ts'
import { coalesce } from '../middleware/coalesce/coalesce.ts'
import type { CoalesceOptions } from '../middleware/coalesce/waiter.ts'
import { dispatch, type DispatchOptions } from '../middleware/dispatch/dispatch.ts'
import { fallback, type FallbackOptions } from '../middleware/fallback.ts'
import { login, type LoginOptions } from '../middleware/login.ts'
import { observe } from '../middleware/observe.ts'
import { queue, type QueueMiddlewareOptions } from '../middleware/queue/queue.ts'
import { rateLimit, type QuotaOptions } from '../middleware/rate-limit.ts'
import { admit } from '../middleware/request/admit.ts'
import { opened } from '../middleware/request/opened.ts'
import { report, reportOpening, type ReportOptions } from '../middleware/request/report.ts'
import { tasks, type TasksOptions } from '../tasks/tasks-middleware.ts'

/**
 * The chains, each outermost first. They are the same for every configuration; a middleware that has nothing to do with
 * one is left out when they are composed. The pictures in docs/ are made of the names in these arrays.
 */

/** What the middlewares of requests are made of. */
export interface RequestParts extends QuotaOptions, ReportOptions {}

/** Every request, before the router. */
export const REQUEST_CHAIN: readonly ((parts: RequestParts) => RequestMiddleware | undefined)[] = [
  report,
  admit,
]

/** Every request that only opens a session or a stream, or that was refused before it could be routed. */
export const OPENING_CHAIN: readonly ((parts: RequestParts) => Middleware<Opening> | undefined)[] = [
  reportOpening,
  admit,
]

/** What the middlewares of calls are made of. */
export interface CallParts
  extends
    FallbackOptions,
    AuthorizeOptions,
    QuotaOptions,
    CacheLookupOptions,
    CoalesceOptions,
    SuspendOptions,
    InputRequiredLoopOptions,
    TasksOptions,
    LoginOptions,
    QueueMiddlewareOptions,
    DispatchOptions {}

/** Every call that the router has found a way for, before `dispatch`. */
export const CALL_CHAIN: readonly ((parts: CallParts) => CallMiddleware | undefined)[] = [
  observe,
  fallback,
  authorize,
  rateLimit,
  cacheLookup,
  coalesce,
  cacheStore,
  suspend,
  inputRequiredLoop,
  tasks,
  login,
  queue,
  charge,
]

export interface RequestChains {
  readonly request: ClientRequestHandler
  readonly opening: Handler<Opening>
}

/** `router` is what the requests reach. */
export function composeRequests(parts: RequestParts, router: ClientRequestHandler): RequestChains {
  return {
    request: compose(made(REQUEST_CHAIN, parts), router, 0, namesOf(REQUEST_CHAIN)),
    opening: compose(made(OPENING_CHAIN, parts), opened, 0, namesOf(OPENING_CHAIN)),
  }
}

/** The way of a call to its server. */
export function composeCalls(parts: CallParts): CallHandler {
  return compose(made(CALL_CHAIN, parts), dispatch(parts), REQUEST_CHAIN.length, namesOf(CALL_CHAIN))
}

function namesOf(chain: readonly { readonly name: string }[]): string[] {
  return chain.map(({ name }) => name)
}

function made<P, M>(chain: readonly ((parts: P) => M)[], parts: P): M[] {
  return chain.map(middleware => middleware(parts))
}
