import { setTimeout } from 'node:timers/promises'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { Deadlines } from '../../../../src/core/deadlines.ts'
import type { Exchange, InputRequest, Outcome } from '../../../../src/core/exchange.ts'
import { Cancellation } from '../../../../src/core/cancellation.ts'
import { GatewayError } from '../../../../src/core/errors.ts'
import { Unfinished } from '../../../../src/core/unfinished.ts'
import { ConcurrencyLimiter, queue } from '../../../../src/middleware/queue/queue.ts'
import { deferred, type Deferred } from '../../../helpers/deferred.ts'
import { exchangeOf } from '../../../helpers/fake-transport.ts'

const OK: Outcome = { kind: 'own', text: '{}' }
const QUESTION: InputRequest = {
  method: 'elicitation/create',
  params: undefined,
  server: 's',
  cancellation: new Cancellation(),
}
const ROUTE = { server: 's', own: 't', exposed: 's__t' }

let deadlines: Deadlines
let places: ConcurrencyLimiter

beforeEach(() => {
  deadlines = new Deadlines()
  places = new ConcurrencyLimiter({
    servers: [{ name: 's', maxConcurrentCalls: 1, queue: 10, queueTimeoutMs: 60_000 }],
    gateway: { maxConcurrentCalls: 10, queue: 10 },
    weights: new Map(),
    deadlines,
  })
})

afterEach(() => {
  // Whatever happened, no call holds a permit, waits, or is waited for.
  expect([places.taken, places.waiting, deadlines.size]).toEqual([0, 0, 0])
  deadlines.close()
})

/** Everything that can go on without anything from outside has done so. */
const settle = (): Promise<void> => new Promise(resolve => setImmediate(resolve))

interface Run {
  readonly outcome: Promise<Outcome>
  /** The exchange as the server's side sees it, once the call has a place. */
  readonly inside: Exchange | undefined
  readonly exchange: ReturnType<typeof exchangeOf>
  readonly answers: Deferred<string>[]
  end(): void
  /** It is given up, and its server may go on with it. */
  giveUp(): Promise<Unfinished>
}

function run(features = ''): Run {
  const done = deferred<Outcome>()
  const answers: Deferred<string>[] = []
  let inside: Exchange | undefined
  const exchange = exchangeOf(
    'tools/call',
    {},
    {
      features,
      ask: () => {
        const answer = deferred<string>()
        answers.push(answer)
        return answer.promise
      },
    },
  )
  const handler = queue({ limiter: places })(seen => {
    inside = seen
    seen.trace.sent('a', performance.now())
    return done.promise.finally(() => seen.trace.ended(performance.now()))
  })
  const outcome = handler(exchange, ROUTE)
  outcome.catch(() => undefined)
  return {
    outcome,
    exchange,
    answers,
    get inside() {
      return inside
    },
    end: () => done.resolve(OK),
    async giveUp() {
      const error = new GatewayError('cancelled', 'The request was cancelled.')
      const unfinished = (error.unfinished = new Unfinished())
      done.reject(error)
      await expect(outcome).rejects.toBe(error)
      return unfinished
    },
  }
}

const FEATURES = '{"elicitation":{}}'

it('waits for an answer without a place, and comes back to it when the last question is answered', async () => {
  const asked = run(FEATURES)
  const questions = [asked.inside?.ask(QUESTION), asked.inside?.ask(QUESTION)]
  expect(places.taken).toBe(0)
  const before = asked.exchange.trace.upstreamMs
  const other = run()
  expect(places.taken).toBe(1)
  await setTimeout(30)
  asked.answers[0]?.resolve('one')
  // The server still waits for the other answer, so it needs no place for this one.
  expect(await questions[0]).toBe('one')
  asked.answers[1]?.resolve('two')
  let answered = false
  void questions[1]?.then(() => (answered = true))
  await settle()
  expect(answered).toBe(false)
  other.end()
  expect(await questions[1]).toBe('two')
  expect(places.taken).toBe(1)
  asked.end()
  await asked.outcome
  // The time in which its client was asked is not the server's.
  const { upstreamMs, sentAt, endedAt } = asked.exchange.trace
  expect(upstreamMs).toBeGreaterThan(before)
  expect(upstreamMs).toBeLessThan(endedAt - sentAt - 25)
})

it('that ends while it is asking has no place to give back', async () => {
  const asked = run(FEATURES)
  const question = asked.inside?.ask(QUESTION)
  const other = run()
  asked.end()
  await asked.outcome
  expect(places.taken).toBe(1)
  asked.answers[0]?.resolve('late')
  expect(await question).toBe('late')
  expect(places.taken).toBe(1)
  other.end()
  await other.outcome
})

it('that ends while it waits to come back leaves the line', async () => {
  const asked = run(FEATURES)
  const question = asked.inside?.ask(QUESTION)
  const other = run()
  asked.answers[0]?.resolve('answer')
  await settle()
  asked.end()
  await asked.outcome
  other.end()
  await other.outcome
  expect(await question).toBe('answer')
})

it('that ends in the moment in which its place comes gives it back', async () => {
  const asked = run(FEATURES)
  const question = asked.inside?.ask(QUESTION)
  const other = run()
  asked.answers[0]?.resolve('answer')
  await settle()
  // Both in the same turn, in both orders.
  other.end()
  asked.end()
  await Promise.all([asked.outcome, other.outcome, question])
})

it('that is asked again while it waits to come back goes on when both are answered', async () => {
  const asked = run(FEATURES)
  const first = asked.inside?.ask(QUESTION)
  const other = run()
  asked.answers[0]?.resolve('one')
  await settle()
  const second = asked.inside?.ask(QUESTION)
  other.end()
  expect(await first).toBe('one')
  // A client is being asked, so the permit that was granted is free again.
  expect(places.taken).toBe(0)
  asked.answers[1]?.resolve('two')
  expect(await second).toBe('two')
  expect(places.taken).toBe(1)
  asked.end()
  await asked.outcome
})

it('refuses a question that fails as it would without a queue', async () => {
  const asked = run(FEATURES)
  const question = asked.inside?.ask(QUESTION)
  asked.answers[0]?.reject(new Error('declined'))
  await expect(question).rejects.toThrow('declined')
  expect(places.taken).toBe(1)
  asked.end()
  await asked.outcome
})

it('lets no call wait for a permit that a cancelled call was about to get', async () => {
  const holds = run()
  const [cancelled, next] = [run(), run()]
  expect(places.waiting).toBe(2)
  cancelled.exchange.cancellation.cancel('gone')
  holds.end()
  await expect(cancelled.outcome).rejects.toMatchObject({ code: 'cancelled' })
  await settle()
  expect(cancelled.inside).toBeUndefined()
  expect(next.inside).toBeDefined()
  expect(next.exchange.trace.waitedMs).toBeGreaterThan(0)
  next.end()
  await next.outcome
})

it('gives the place of a call that was granted and cancelled at once to the next', async () => {
  const holds = run()
  const [granted, next] = [run(), run()]
  holds.end()
  await holds.outcome
  granted.exchange.cancellation.cancel('gone')
  await settle()
  granted.end()
  await granted.outcome
  await settle()
  next.end()
  await next.outcome
})

it('lets what stays open for long, and what ends things, pass without a place', async () => {
  const holds = run()
  for (const method of ['tasks/result', 'tasks/cancel'])
    expect(await queue({ limiter: places })(async () => OK)(exchangeOf(method), ROUTE)).toBe(OK)
  expect(places.taken).toBe(1)
  holds.end()
  await holds.outcome
})

it('holds the place of a call that was given up until its server is done with it', async () => {
  const call = run()
  const unfinished = await call.giveUp()
  // The gateway has nothing more to do for it.
  expect(places.taken).toBe(0)
  const next = run()
  expect(next.inside).toBeUndefined()
  unfinished.end()
  await settle()
  expect(next.inside).toBeDefined()
  next.end()
  await next.outcome
})

it('holds a place for a call that was given up while its client was being asked', async () => {
  const asked = run(FEATURES)
  const question = asked.inside?.ask(QUESTION)
  const other = run()
  const unfinished = await asked.giveUp()
  asked.answers[0]?.resolve('late')
  await question
  const next = run()
  other.end()
  await other.outcome
  await settle()
  expect(next.inside).toBeUndefined()
  unfinished.end()
  await settle()
  next.end()
  await next.outcome
})

it('holds the place of a call that could have been asked as well', async () => {
  const unfinished = await run(FEATURES).giveUp()
  const next = run()
  expect(next.inside).toBeUndefined()
  unfinished.end()
  await settle()
  next.end()
  await next.outcome
})
