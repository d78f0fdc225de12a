import { afterEach, expect, it } from 'vitest'
import { LINGER_MS } from '../../../src/cache/invalidation.ts'
import type { ServerSnapshot } from '../../../src/catalog/snapshot.ts'
import type { TierEntry } from '../../../src/cache/tier.ts'
import { askClient } from '../../../src/core/ask-client.ts'
import { Cancellation } from '../../../src/core/cancellation.ts'
import { GatewayError } from '../../../src/core/errors.ts'
import { clientPrincipal } from '../../../src/core/principal.ts'
import type { InputRequest, Outcome } from '../../../src/core/exchange.ts'
import { exchangeOf, serverConfig } from '../../helpers/fake-transport.ts'
import { rng } from '../../helpers/rng.ts'
import {
  markOf,
  result,
  rule,
  S,
  snapshotOf,
  tool,
  valueOf,
  world,
  type Reached,
  type World,
} from './world.ts'

/**
 * Clients, a server and a clock, moved at random, against rules that say what an answer may be: whatever is kept, shared, renewed or forgotten, no client gets what
 * is another's, what is too old, what was a failure, or what a change that is over has overtaken.
 */
const STEPS = Number(process.env.CACHE_STEPS ?? 6000)
const SEED = Number(process.env.SEED ?? (STEPS > 10_000 ? Date.now() % 1_000_000 : 20260728))

const TTL = { get: 1000, pub: 800, page: 700 } as const
const LATE = { get: 500, pub: 0, page: 300 } as const
const LAST = { get: 2000, pub: 600, page: 900 } as const
type Read = keyof typeof TTL
const READS = Object.keys(TTL) as Read[]
/** Which changes concern which reads. */
const CONCERNED: Readonly<Record<string, readonly Read[]>> = {
  set: ['get', 'pub'],
  set_pub: ['pub'],
  updated: ['page'],
  list_changed: ['get', 'pub'],
  redefined: ['get'],
  'clear get': ['get'],
  'clear s': ['get', 'pub'],
  'clear all': READS,
}
const PRINCIPALS = ['ann', 'bob', 'cy'].map(clientPrincipal)
const ARGS = [
  '{}',
  '{"a":1,"b":[2]}',
  '{ "b" : [2.0], "a" : 1 }',
  '{"a":9007199254740993}',
  '{"a":9007199254740992}',
  '{"a":1,"b":[2],"id":7}',
  '{"id":8.5,"b":[2],"a":1}',
  '{"id":9}',
]
/** Which of them mean the same; for `get`, which ignores `id`, and for the others. */
const MEANING = { get: [0, 1, 1, 3, 4, 1, 1, 0], other: [0, 1, 1, 3, 4, 5, 6, 7] }
const meaningOf = (read: Read, args: number): number | undefined =>
  MEANING[read === 'get' ? 'get' : 'other'][args]

const QUESTION: InputRequest = {
  method: 'roots/list',
  params: undefined,
  server: 's',
  cancellation: new Cancellation(),
}

interface Answer {
  readonly read: Read
  readonly args: number
  readonly principal: string
  readonly isPublic: boolean
  /** Step at which the server looked; -1 before. */
  lookedAt: number
  /** Clock at the answer. */
  answeredAt: number
  failed: boolean
  /** Only for the client that the server has asked, or that can go on with it. */
  own: boolean
  given: number
}

interface Change {
  readonly name: string
  /** Of which page; `undefined`: of all that are concerned. */
  readonly args?: number
  /** Step at which the server did it; Infinity before. */
  doneAt: number
  /** Step at which its caller had the answer. */
  endedAt: number
  /** Clock from which on it is too late to do it. */
  doneBy: number
}

class Model {
  readonly world: World
  readonly answers: Answer[] = []
  readonly changes: Change[] = []
  readonly open = new Set<{ cancellation: Cancellation; cancelled: boolean; changes?: boolean }>()
  readonly tally: Record<string, number> = {}
  readonly byCall = new Map<Reached, { answer?: Answer; change?: Change }>()
  readonly stored = new Map<string, { entry: TierEntry; server: string; until: number }>()
  readonly #random: () => number
  step = 0
  seen = 0

  constructor(seed: number) {
    this.#random = rng(seed)
    const servers = [
      S([
        tool('get', {
          cache: rule({
            ttlMs: TTL.get,
            staleWhileRevalidateMs: LATE.get,
            staleIfErrorMs: LAST.get,
            ignoreArgs: ['id'],
          }),
        }),
        tool('pub', {
          cache: rule({ ttlMs: TTL.pub, scope: 'shared', staleIfErrorMs: LAST.pub, tags: ['t'] }),
        }),
        tool('set_pub', { invalidates: ['t'] }),
        tool('look', { readOnly: true }),
      ]),
      serverConfig({
        name: 'm',
        cache: 'hints',
        hintsRule: rule({ staleWhileRevalidateMs: LATE.page, staleIfErrorMs: LAST.page }),
      }),
    ]
    this.world = world(servers, [this.offer(0), snapshotOf('m', [], 'modern')], {
      bounds: { maxBytes: 5000, maxBytesPerClient: 2000 },
      tier: {
        get: async (server, key) => {
          if (this.below(4) === 0) await this.world.settle()
          const found = this.stored.get(key)
          return found && found.server === server && found.until > this.world.now ? found.entry : undefined
        },
        set: (server, key, entry, ttlMs) =>
          void this.stored.set(key, { entry, server, until: this.world.now + ttlMs }),
      },
      onInvalidated: (server, tags) => {
        for (const [key, found] of this.stored)
          if (found.server === server && (!tags || tags.some(tag => found.entry.tags.includes(tag))))
            this.stored.delete(key)
      },
    })
  }

  /** What the server offers, with another definition of `get` for each number. */
  offer(number: number): ServerSnapshot {
    const definitions = ['pub', 'set', 'set_pub', 'look'].map(name => `{"name":"${name}"}`)
    return snapshotOf('s', [`{"name":"get","title":"${number}"}`, ...definitions])
  }

  below(count: number): number {
    return Math.floor(this.#random() * count)
  }

  pick<T>(list: readonly T[]): T {
    return list[this.below(list.length)] as T
  }

  count(what: string): void {
    this.tally[what] = (this.tally[what] ?? 0) + 1
  }

  read(): void {
    const read = this.pick(READS)
    const principal = this.pick(PRINCIPALS)
    const args = this.below(read === 'page' ? 2 : ARGS.length)
    const modern = this.below(2) === 0
    const page = read === 'page'
    const own = page ? `a://${args}` : read
    const text = page ? `{"uri":"${own}"}` : `{"name":"${read}","arguments":${ARGS[args]}}`
    const cancellation = new Cancellation()
    const more = this.below(4) === 0 ? { progressToken: '7' } : {}
    const base = exchangeOf(
      page ? 'resources/read' : 'tools/call',
      {},
      { principal, modern, cancellation, ...more },
    )
    const exchange = {
      ...base,
      request: { ...base.request, params: { text, value: JSON.parse(text) as Record<string, unknown> } },
    }
    const begun = this.step
    const begunAt = this.world.now
    const call = { cancellation, cancelled: false }
    this.open.add(call)
    const route = { server: page ? 'm' : 's', own, exposed: own }
    this.world
      .call(exchange, route)
      .then(
        outcome => {
          // A client that has cancelled ignores what may still come.
          if (!call.cancelled) this.check(read, args, principal.id, begun, begunAt, outcome)
        },
        (error: unknown) => {
          if (!(error instanceof GatewayError)) throw error
          this.count(`rejected ${error.code}`)
          if (call.cancelled) expect(error.code).toBe('cancelled')
          else expect(['upstream_closed', 'quota_exhausted']).toContain(error.code)
        },
      )
      .finally(() => this.open.delete(call))
      .catch((error: unknown) => (this.broken ??= error))
  }

  broken: unknown

  check(read: Read, args: number, principal: string, begun: number, begunAt: number, outcome: Outcome): void {
    if (outcome.kind === 'error') {
      this.count('error')
      return
    }
    const value = valueOf(outcome)
    const [block] = (value.content ?? value.contents) as { text: string }[]
    const answer = this.answers[Number(block?.text)] as Answer
    const mark = markOf(value)
    const what = `${read} at ${this.step}, answer ${block?.text}, ${JSON.stringify({ mark, answer, begun })}`
    expect(answer.read, what).toBe(read)
    expect(meaningOf(read, answer.args), what).toBe(meaningOf(read, args))
    answer.given++
    if (answer.own) expect(answer.given, what).toBe(1)
    if (read === 'get' || (read === 'page' && !answer.isPublic))
      expect(answer.principal, what).toBe(principal)
    for (const change of this.changes) {
      if (answer.lookedAt > change.doneAt || !CONCERNED[change.name]?.includes(read)) continue
      if (change.args !== undefined && change.args !== args) continue
      if (change.endedAt < begun)
        throw new Error(`from before what was over: ${what}, ${JSON.stringify(change)}`)
      // What is kept is not from before anything that has happened, whether or not its caller knows yet.
      if (mark && change.doneAt < begun) throw new Error(`overtaken: ${what}, ${JSON.stringify(change)}`)
    }
    if (!mark) {
      this.count(answer.answeredAt < begunAt ? 'impossible' : 'answered')
      expect(answer.answeredAt, what).toBeGreaterThanOrEqual(begunAt)
      return
    }
    expect(answer.failed, what).toBe(false)
    const age = this.world.now - answer.answeredAt
    expect(mark.ageMs, what).toBe(age)
    const ttl = TTL[read]
    if (!mark.stale) expect(age, what).toBeLessThan(ttl)
    else expect(age, what).toBeLessThan(ttl + Math.max(LATE[read], LAST[read]))
    // Beyond that it is the last resort, and not one without having tried.
    if (age >= ttl + LATE[read]) expect(this.failures, what).toBeGreaterThan(0)
    this.count(`${mark.stale ? 'stale' : 'hit'} ${mark.tier}`)
  }

  failures = 0

  change(): void {
    const name = this.pick(['set', 'set_pub', 'look'])
    const cancellation = new Cancellation()
    const call = { cancellation, cancelled: false, changes: true }
    const exchange = exchangeOf('tools/call', { name }, { principal: this.pick(PRINCIPALS), cancellation })
    const change: Change = { name, doneAt: Infinity, endedAt: Infinity, doneBy: Infinity }
    const before = this.world.reached.length
    this.open.add(call)
    this.world
      .call(exchange, { server: 's', own: name, exposed: name })
      .catch(() => undefined)
      .finally(() => {
        this.open.delete(call)
        if (change.doneAt <= this.step) change.endedAt = this.step
        // It is unknown whether the server goes on; not for ever.
        change.doneBy = this.world.now + LINGER_MS
      })
    this.changes.push(change)
    for (const reached of this.world.reached.slice(before)) this.byCall.set(reached, { change })
  }

  /** Moves a call at the server on. */
  serve(): void {
    const { reached } = this.world
    if (reached.length === 0) return
    const at = this.below(reached.length)
    const call = reached[at] as Reached
    const known = this.byCall.get(call) ?? {}
    const gone = call.exchange.cancellation.reason !== undefined
    if (known.change) {
      // A server that no call waits for takes its time.
      if (gone && this.open.size > 0 && this.below(12) > 0) return
      if (known.change.doneAt === Infinity && this.below(3) > 0 && known.change.doneBy > this.world.now) {
        known.change.doneAt = this.step
        return
      }
    } else if (!known.answer) {
      const { method, params } = call.exchange.request
      const page = method === 'resources/read'
      const args = params?.text.slice(params.text.indexOf('"arguments":') + 12, -1)
      known.answer = {
        read: page ? 'page' : (params?.value.name as Read),
        args: page ? Number(String(params?.value.uri).slice(4)) : ARGS.findIndex(text => text === args),
        principal: call.exchange.principal.id,
        isPublic: page && this.below(3) === 0,
        lookedAt: this.step,
        answeredAt: -1,
        failed: false,
        own: false,
        given: 0,
      }
      this.byCall.set(call, known)
      return
    }
    reached.splice(at, 1)
    this.byCall.delete(call)
    if (gone) {
      call.reject(new GatewayError('cancelled', 'cancelled', { delivery: 'unknown' }))
      return
    }
    // A change that fails holds up everything that could be kept; it is not to be the rule.
    const kind = known.change && this.below(4) > 0 ? 11 : this.below(20)
    if (kind === 0) {
      this.failures++
      call.reject(new GatewayError('upstream_closed', 'closed', { delivery: 'unknown' }))
    } else if (kind === 1) call.reject(new GatewayError('quota_exhausted', 'used up'))
    else if (kind === 2) call.resolve({ kind: 'error', text: '{"code":1}', value: { code: 1 } })
    else if (known.change) {
      if (known.change.doneAt === Infinity) known.change.doneAt = this.step
      call.resolve(result({ content: [] }))
    } else {
      const answer = known.answer as Answer
      answer.own = kind === 4 || kind === 5
      // It asks, and what it then says is no answer to any other client.
      if (kind === 4) askClient(call.exchange, QUESTION).catch(() => undefined)
      this.answer(call, answer, kind === 3 || answer.own, kind === 5)
    }
  }

  answer(call: Reached, answer: Answer, failed: boolean, goesOn = false): void {
    answer.answeredAt = this.world.now
    answer.failed = failed
    const text = String(this.answers.push(answer) - 1)
    const size = this.below(3) === 0 ? { pad: 'x'.repeat(this.below(900)) } : {}
    // A failure of the tool, a task, or a question that the client is to answer with its next call.
    const odd = goesOn
      ? this.pick([{ task: { taskId: '1' } }, { resultType: 'input_required' }])
      : { isError: true }
    const pad = { ...size, ...(failed && (goesOn || !answer.own) ? odd : {}) }
    if (answer.read === 'page')
      call.resolve(
        result(
          {
            resultType: 'complete',
            contents: [{ uri: `a://${answer.args}`, text }],
            ttlMs: TTL.page,
            cacheScope: answer.isPublic ? 'public' : 'private',
            ...pad,
          },
          true,
        ),
      )
    else call.resolve(result({ content: [{ type: 'text', text }], ...pad }))
  }

  cancel(): void {
    const call = this.pick([...this.open])
    if (!call || (call.changes && this.below(3) > 0)) return
    call.cancelled = true
    call.cancellation.cancel('client')
  }

  move(): void {
    const kind = this.below(100)
    if (kind < 38) this.read()
    else if (kind < 39) this.change()
    else if (kind < 84) this.serve()
    else if (kind < 88) this.cancel()
    else if (kind < 98) this.world.now += this.below(60)
    else if (kind === 98) this.world.now += this.below(10) === 0 ? LINGER_MS : this.below(900)
    else this.told()
  }

  /** Something is said to have changed, without a call. */
  told(): void {
    const { cache, snapshots } = this.world
    const kind = this.below(40)
    if (kind < 24) {
      const args = this.below(2)
      this.over('updated', args)
      cache.resourceChanged('m', `a://${args}`)
    } else if (kind < 26) {
      this.over('list_changed')
      // Here, or at another gateway.
      cache.invalidate('s', 'server', this.below(2) === 0)
    } else if (kind < 28) {
      this.over('redefined')
      snapshots.set('s', this.offer(this.step))
    } else if (kind < 31) {
      this.over('clear get')
      cache.clear('s', 'get')
    } else if (kind === 31) {
      this.over('clear s')
      cache.clear('s')
    } else if (kind === 32) {
      this.over('clear all')
      cache.clear()
    }
  }

  /** A change that no client waits for. */
  over(name: string, args?: number): void {
    this.count(name)
    const { step } = this
    this.changes.push({
      name,
      ...(args !== undefined && { args }),
      doneAt: step - 0.5,
      endedAt: step - 0.5,
      doneBy: 0,
    })
  }

  /** Changes that are long over and calls before them no longer matter. */
  prune(): void {
    if (this.changes.length > 400)
      this.changes.splice(
        0,
        200,
        ...this.changes
          .slice(0, 200)
          .filter(({ doneAt, doneBy }) => doneAt === Infinity && doneBy > this.world.now),
      )
  }
}

const models: Model[] = []
afterEach(() => models.splice(0).forEach(({ world }) => world.deadlines.close()))

it(`never serves a result of another client, an outdated, failed or overtaken one (${STEPS} steps, seed ${SEED})`, async () => {
  const model = new Model(SEED)
  models.push(model)
  const { cache } = model.world
  for (model.step = 1; model.step <= STEPS; model.step++) {
    model.move()
    await model.world.settle()
    if (model.broken !== undefined) throw model.broken
    expect(cache.bytes).toBeLessThanOrEqual(5000)
    if (model.step % 100 === 0) model.prune()
  }
  for (const call of model.open) {
    call.cancelled = true
    call.cancellation.cancel('over')
  }
  await model.world.settle()
  while (model.world.reached.length > 0) {
    model.serve()
    await model.world.settle()
  }
  expect(model.open.size).toBe(0)
  console.log(`seed ${SEED}, ${STEPS} steps: ${JSON.stringify(model.tally)}`)
  // The walk has been everywhere.
  for (const what of [
    'hit memory',
    'stale memory',
    'hit store',
    'answered',
    'error',
    'rejected cancelled',
    'rejected upstream_closed',
    'updated',
  ])
    expect(model.tally[what], what).toBeGreaterThan(5)
  if (STEPS > 10_000)
    for (const name of Object.keys(CONCERNED).slice(2)) expect(model.tally[name], name).toBeGreaterThan(5)
  const { coalesced, stores } = cache.stats
    .list()
    .reduce((a, b) => ({ coalesced: a.coalesced + b.coalesced, stores: a.stores + b.stores }), {
      coalesced: 0,
      stores: 0,
    })
  expect(coalesced).toBeGreaterThan(50)
  expect(stores).toBeGreaterThan(50)
}, 600_000)
