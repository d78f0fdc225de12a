import { expect, it, onTestFinished } from 'vitest'
import { SuspendedCalls } from '../../../src/bridge/suspended-calls.ts'
import { Cache } from '../../../src/cache/cache.ts'
import { configFrom } from '../../../src/config/load/load.ts'
import { compose, repeating } from '../../../src/core/compose.ts'
import { Deadlines } from '../../../src/core/deadlines.ts'
import { GatewayError } from '../../../src/core/errors.ts'
import type { Exchange, JsonObject, Outcome } from '../../../src/core/exchange.ts'
import { EventBus } from '../../../src/core/event-bus.ts'
import { SILENT } from '../../../src/core/logger.ts'
import { clientPrincipal } from '../../../src/core/principal.ts'
import type { Route } from '../../../src/core/route.ts'
import { CALL_CHAIN, OPENING_CHAIN, REQUEST_CHAIN, type CallParts } from '../../../src/gateway/chains.ts'
import { CacheableExchange } from '../../../src/middleware/cacheable-exchange.ts'
import { ConcurrencyLimiter } from '../../../src/middleware/queue/queue.ts'
import { Quotas } from '../../../src/quota/quotas.ts'
import { createMemoryStore } from '../../../src/state/memory.ts'
import { Seal } from '../../../src/state/seal.ts'
import { LegacyTasks } from '../../../src/tasks/legacy-tasks.ts'
import { TaskIds } from '../../../src/tasks/task-ids.ts'
import {
  ANSWER,
  describeMiddleware,
  type MiddlewareSubject,
  type Pass,
  type Setup,
} from '../../contract/middleware.ts'
import { exchangeOf } from '../../helpers/fake-transport.ts'
import { snapshotOf } from '../cache/world.ts'

/** Every middleware of the chains keeps to the contract of test/contract/middleware.ts. */

const ROUTE: Route = { server: 's', own: 't', exposed: 's__t' }
/** Of a server that nothing is configured for. */
const OTHER: Route = { server: 'other', own: 't', exposed: 'other__t' }

/** The call of a client; each number is another client with other arguments. */
function callOf(number: number, changes: Partial<Exchange> = {}, method = 'tools/call'): Exchange {
  const params = { name: 's__t', arguments: { number } }
  return exchangeOf(method, params, { principal: clientPrincipal(`client-${number}`), ...changes })
}

const calls = (changes?: Partial<Exchange>, route = ROUTE) => ({
  pass: (number: number): Pass<Route> => ({ exchange: callOf(number, changes), about: route }),
})
const others = (changes?: Partial<Exchange>, method?: string) => ({
  otherPass: (): Pass<Route> => ({ exchange: callOf(99, changes, method), about: OTHER }),
})

function modern(value: JsonObject): Outcome {
  return { kind: 'result', text: JSON.stringify(value), value, modern: true }
}

/** What the middlewares are made of: a configuration with something to do for each of them. */
async function makeParts(): Promise<CallParts & { readonly close: () => Promise<void> }> {
  const limit = { rate: '1000/min', concurrency: 100, budget: { calls: '1000/day', bytes: '1GB/day' } }
  const clients = Object.fromEntries(
    Array.from({ length: 10 }, (_, at) => [`client-${at}`, { ...limit, limits: { 's/*': limit } }]),
  )
  const config = await configFrom(
    {
      mcpServers: {
        s: { command: 'x', fallback: 'spare', concurrency: 50, tools: { t: { cache: { ttl: '1m' } } } },
        spare: { command: 'x' },
        other: { command: 'x' },
      },
      clients,
    },
    { env: {} },
  )
  const store = createMemoryStore()
  const deadlines = new Deadlines()
  const seal = new Seal(store)
  const taskIds = new TaskIds(seal)
  const quotas = Quotas.of({ config, store, logger: SILENT })
  const snapshots = new Map([['s', snapshotOf('s', ['{"name":"t"}'])]])
  const serverOf = (name: string): CallParts['serverOf'] extends (name: string) => infer S ? S : never => ({
    name,
    maxQuestions: 5,
    roots: undefined,
  })
  return {
    logger: SILENT,
    fallbackOf: server => (server === 's' ? { server: 'spare', tool: undefined, args: {} } : undefined),
    routeTo: (_exchange, server, own) => ({ server, own, exposed: `${server}__${own}` }),
    onDecision: () => undefined,
    quotas,
    cache: new Cache({
      servers: config.servers,
      bounds: { maxBytes: 1_000_000, maxBytesPerClient: 1_000_000 },
      snapshot: server => snapshots.get(server),
      shown: server => [snapshots.get(server)].filter(one => one !== undefined),
      onLinks: () => undefined,
      serverInfo: '{"name":"gateway"}',
    }),
    urisKey: () => '',
    deadlines,
    timeoutMs: () => 60_000,
    seal,
    suspendedCalls: new SuspendedCalls({
      seal,
      deadlines,
      limits: { answerTimeoutMs: 60_000, maxSuspendedCalls: 100 },
      calls: { add: () => 0, remove: () => undefined },
      mayReturn: () => true,
      logger: SILENT,
    }),
    hasReplica: async () => true,
    serverOf,
    maxRounds: 5,
    answerTimeoutMs: 60_000,
    taskIds,
    legacyTasks: new LegacyTasks(taskIds, deadlines, () => true),
    runsTasks: () => false,
    logins: {
      mayLogIn: server => server !== 'other',
      beginLogin: () =>
        Promise.resolve({
          url: 'https://as.example',
          expiresAt: Date.now() + 60_000,
          done: Promise.resolve(),
        }),
      listNow: () => Promise.resolve(),
    },
    serverInfo: '{"name":"gateway"}',
    limiter: new ConcurrencyLimiter({
      servers: config.servers.filter(({ name }) => name !== 'other'),
      gateway: config.gateway,
      weights: new Map(),
      deadlines,
    }),
    // `dispatch` is no middleware.
    poolOf: () => undefined as never,
    resourceOwners: undefined as never,
    called: () => undefined,
    uriMap: () => undefined,
    close: async () => {
      await quotas?.close()
      await store.close()
      deadlines.close()
    },
  }
}

type Parts = Awaited<ReturnType<typeof makeParts>>

/** Places that clients have taken of their limits. */
function placesTaken({ quotas }: Parts): number {
  let taken = 0
  for (let at = 0; at < 10; at++)
    for (const live of quotas?.limits(clientPrincipal(`client-${at}`)) ?? [])
      if ('leases' in live) taken += live.limit.limit - live.leases.left
  return taken
}

/** A call that `cacheLookup` has found to be worth keeping. */
function cacheable({ cache }: Parts, number: number): Exchange {
  const exchange = callOf(number)
  const plan = cache.policies.tool(ROUTE.server, ROUTE.own)
  const wanted = plan && cache.lookup(plan, exchange, ROUTE, '')
  if (!wanted) throw new Error('nothing is kept of it')
  return new CacheableExchange(exchange, wanted)
}

const NOT_SENT = new GatewayError('upstream_closed', 'It does not start.', { delivery: 'not_sent' })

type CallSubject = Omit<MiddlewareSubject<Route>, 'create'> & {
  readonly of: (parts: Parts) => Omit<Setup<Route>, 'middleware'>
}

const CALL_SUBJECTS: Readonly<Record<string, CallSubject>> = {
  observe: { of: () => calls(), framed: true },
  fallback: {
    of: () => ({ ...calls(), ...others() }),
    repeats: [NOT_SENT, ANSWER],
  },
  authorize: {
    of: () => {
      const decision = { verdict: 'allow', rule: 'roles.a.rules[0]', shadowed: undefined } as const
      return { ...calls({}, { ...ROUTE, check: { reads: undefined, decide: () => decision } }), ...others() }
    },
  },
  rateLimit: { of: parts => ({ ...calls(), ...others(), held: () => placesTaken(parts) }) },
  cacheLookup: { of: () => ({ ...calls(), ...others() }) },
  coalesce: {
    of: parts => ({
      pass: number => ({ exchange: cacheable(parts, number), about: ROUTE }),
      ...others(),
      held: () => parts.deadlines.size,
    }),
  },
  cacheStore: {
    of: parts => ({ pass: number => ({ exchange: cacheable(parts, number), about: ROUTE }), ...others() }),
  },
  suspend: {
    of: parts => ({
      ...calls({ modern: true, features: '{"elicitation":{"form":{}}}' }),
      ...others(),
      held: () => parts.suspendedCalls.size + parts.deadlines.size,
    }),
  },
  inputRequiredLoop: {
    of: () => ({ ...calls(), ...others() }),
    repeats: [modern({ resultType: 'input_required', requestState: 'x' }), ANSWER],
    framed: true,
  },
  tasks: {
    of: () => ({ ...calls(), ...others() }),
    repeats: [
      modern({ resultType: 'task', taskId: '1', status: 'working', pollIntervalMs: 1 }),
      modern({ taskId: '1', status: 'completed', result: { content: [] } }),
    ],
    framed: true,
  },
  login: {
    of: () => ({
      ...calls({
        features: '{"elicitation":{"url":{}}}',
        canBeAsked: 'now',
        ask: () => Promise.resolve('{"action":"accept"}'),
      }),
      ...others(),
    }),
    repeats: [new GatewayError('needs_login', 'Server "s" needs a login.'), ANSWER],
    framed: true,
  },
  queue: {
    of: parts => ({
      ...calls(),
      ...others(),
      held: () => parts.limiter.taken + parts.limiter.waiting + parts.deadlines.size,
    }),
    framed: true,
  },
  charge: { of: () => ({ ...calls(), ...others() }) },
}

for (const part of CALL_CHAIN) {
  const subject = CALL_SUBJECTS[part.name]
  if (!subject) continue
  const { of, ...rest } = subject
  describeMiddleware<Route>(part.name, {
    ...rest,
    create: async () => {
      const parts = await makeParts()
      onTestFinished(parts.close)
      const middleware = part(parts)
      if (!middleware) throw new Error('it is left out')
      return { middleware, ...of(parts) }
    },
  })
}

const requests = {
  pass: (number: number): Pass<void> => ({ exchange: callOf(number), about: undefined }),
}

interface RequestSubject extends Omit<MiddlewareSubject<void>, 'create'> {
  readonly of: (parts: Parts) => Omit<Setup<void>, 'middleware'>
}

const REQUEST_SUBJECTS: Readonly<Record<string, RequestSubject>> = {
  report: { of: () => requests, framed: true },
  admit: {
    of: parts => ({
      ...requests,
      otherPass: () => ({ exchange: callOf(99), about: undefined }),
      held: () => placesTaken(parts),
    }),
  },
}

for (const part of REQUEST_CHAIN) {
  const subject = REQUEST_SUBJECTS[part.name]
  if (!subject) continue
  const { of, ...rest } = subject
  describeMiddleware<void>(part.name, {
    ...rest,
    create: async () => {
      const parts = await makeParts()
      onTestFinished(parts.close)
      const events = new EventBus(SILENT)
      events.on('*', () => undefined)
      const middleware = part({ quotas: parts.quotas, events, ruleOn: () => undefined })
      if (!middleware) throw new Error('it is left out')
      return { middleware, ...of(parts) }
    },
  })
}

/** All of them together, for a call that each has something to do for. */
describeMiddleware<Route>('the whole call chain', {
  repeats: [NOT_SENT, ANSWER],
  framed: true,
  create: async () => {
    const parts = await makeParts()
    onTestFinished(parts.close)
    return {
      middleware: repeating(next =>
        compose(
          CALL_CHAIN.map(part => part(parts)),
          next,
        ),
      ),
      ...calls({ modern: true, features: '{"elicitation":{"form":{}}}' }),
      held: () => placesTaken(parts) + parts.limiter.taken + parts.suspendedCalls.size + parts.deadlines.size,
    }
  },
})

it('every middleware of the chains is held to the contract', () => {
  expect(Object.keys(CALL_SUBJECTS)).toEqual(CALL_CHAIN.map(({ name }) => name))
  expect(Object.keys(REQUEST_SUBJECTS)).toEqual(REQUEST_CHAIN.map(({ name }) => name))
  expect(REQUEST_CHAIN.map(({ name }) => name)).toEqual(
    // `report` and `reportOpening` are one middleware for two kinds of request.
    expect.arrayContaining(OPENING_CHAIN.map(({ name }) => name.replace('Opening', ''))),
  )
})
