import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { describe, expect, it, onTestFinished } from 'vitest'
import type { Middleware } from '../../src/core/compose.ts'
import { GatewayError } from '../../src/core/errors.ts'
import type { Exchange, Outcome } from '../../src/core/exchange.ts'
import { deferred, type Deferred } from '../helpers/deferred.ts'
import { assertNothingLeft, takeStock } from '../helpers/leftovers.ts'

/** One request, and what it is about: the route of a call, nothing for a request of the request chain. */
export interface Pass<T> {
  readonly exchange: Exchange
  readonly about: T
}

/** What `next` answers in one pass, in this order; a pass that needs more fails. */
export type Script = readonly (Outcome | GatewayError)[]

/** A middleware of its own for one test, with what it works on. */
export interface Setup<T> {
  readonly middleware: Middleware<Exchange, T>
  /** The pass that it has something to do for. Each `number` is another client with another request. */
  pass(number: number): Pass<T>
  /** One that it has nothing to do for; left out where every request is its business. */
  otherPass?(): Pass<T>
  /** What it still holds of the passes that are over: places, entries, what waits. */
  held?(): number
}

export interface MiddlewareSubject<T> {
  create(): Promise<Setup<T>>
  /** Declared with `repeating`: what `next` answers where it is called several times in one pass. */
  readonly repeats?: Script
  /** It is a frame of its own even where it has nothing to do: the promise of `next` is not what it returns. */
  readonly framed?: true
}

export const ANSWER: Outcome = {
  kind: 'result',
  text: '{"content":[]}',
  value: { content: [] },
  modern: false,
}

/** A call of `next` that waits for its answer. */
interface Reached<T> extends Deferred<Outcome>, Pass<T> {}

/** The inner end of a chain, which the test plays. */
class End<T> {
  readonly reached: Reached<T>[] = []
  readonly next = (exchange: Exchange, about: T): Promise<Outcome> => {
    const call = { ...deferred<Outcome>(), exchange, about }
    this.reached.push(call)
    return call.promise
  }

  /** The newest call, once there are `count` of them. */
  async at(count: number): Promise<Reached<T>> {
    await expect.poll(() => this.reached.length, { interval: 1 }).toBeGreaterThanOrEqual(count)
    return this.reached[count - 1] as Reached<T>
  }
}

/** Lets everything go on that can. */
const settle = (): Promise<void> => new Promise(resolve => setImmediate(resolve))

/** What every middleware of a chain keeps to. */
export function describeMiddleware<T>(name: string, { create, repeats, framed }: MiddlewareSubject<T>): void {
  describe(name, () => {
    /** Runs `test` with a middleware, and sees to it that nothing is left of it. */
    async function within(
      test: (setup: Setup<T>, end: End<T>, run: (pass: Pass<T>) => Promise<Outcome>) => Promise<void>,
    ): Promise<void> {
      const rejections: unknown[] = []
      const onRejection = (error: unknown): void => void rejections.push(error)
      process.on('unhandledRejection', onRejection)
      onTestFinished(() => void process.off('unhandledRejection', onRejection))
      const setup = await create()
      const before = takeStock()
      const end = new End<T>()
      const handler = setup.middleware(end.next)
      await test(setup, end, ({ exchange, about }) => handler(exchange, about))
      await settle()
      expect(setup.held?.() ?? 0).toBe(0)
      await assertNothingLeft(before)
      expect(rejections).toEqual([])
    }

    it('calls next once, and answers with what came of it', () =>
      within(async (setup, end, run) => {
        const answered = run(setup.pass(1))
        ;(await end.at(1)).resolve(ANSWER)
        const outcome = await answered
        expect([outcome.kind, outcome.text]).toEqual([ANSWER.kind, ANSWER.text])
        await settle()
        expect(end.reached).toHaveLength(1)
      }))

    it(
      repeats ? 'declares that it calls next again, and does' : 'does not declare that it calls next again',
      () =>
        within(async (setup, end, run) => {
          expect(setup.middleware.repeats).toBe(repeats && true)
          if (!repeats) return
          const answered = run(setup.pass(1))
          for (const [at, answer] of repeats.entries()) {
            const call = await end.at(at + 1)
            if (answer instanceof GatewayError) call.reject(answer)
            else call.resolve(answer)
          }
          await answered
          expect(end.reached).toHaveLength(repeats.length)
        }),
    )

    it('passes a cancellation on, with its reason', () =>
      within(async (setup, end, run) => {
        const pass = setup.pass(1)
        const answered = run(pass)
        const call = await end.at(1)
        expect(call.exchange.cancellation.reason).toBeUndefined()
        pass.exchange.cancellation.cancel('no longer wanted')
        expect(call.exchange.cancellation.reason).toBe('no longer wanted')
        // As `dispatch` does.
        call.reject(new GatewayError('cancelled', 'The request was cancelled.', { delivery: 'unknown' }))
        await expect(answered).rejects.toMatchObject({ code: 'cancelled' })
      }))

    it('is unaffected by a cancellation that comes after the answer', () =>
      within(async (setup, end, run) => {
        const pass = setup.pass(1)
        const answered = run(pass)
        ;(await end.at(1)).resolve(ANSWER)
        await answered
        pass.exchange.cancellation.cancel('too late')
        await settle()
        expect(end.reached).toHaveLength(1)
      }))

    it.each(['not_sent', 'unknown', 'answered'] as const)(
      'rejects with the very GatewayError that next rejects with: delivery "%s"',
      delivery =>
        within(async (setup, end, run) => {
          const error = new GatewayError('invalid_params', 'That is no argument.', { delivery })
          const answered = run(setup.pass(1))
          ;(await end.at(1)).reject(error)
          expect(await answered.catch((caught: unknown) => caught)).toBe(error)
        }),
    )

    it('hands on what it has nothing to do with as it is', () =>
      within(async (setup, end, run) => {
        const pass = setup.otherPass?.()
        if (!pass) return
        const answered = run(pass)
        await settle()
        expect(end.reached).toHaveLength(1)
        const [call] = end.reached as [Reached<T>]
        expect(call.exchange).toBe(pass.exchange)
        expect(call.about).toBe(pass.about)
        if (!framed) expect(answered).toBe(call.promise)
        call.resolve(ANSWER)
        expect(await answered).toBe(ANSWER)
      }))

    it('holds nothing of calls that are over, answered or failed', () =>
      within(async setup => {
        const answers = [ANSWER, new GatewayError('invalid_params', 'x')]
        const seen: WeakRef<Exchange>[] = []
        const handler = setup.middleware(() => {
          const answer = answers[seen.length % 2] as (typeof answers)[number]
          return answer instanceof GatewayError ? Promise.reject(answer) : Promise.resolve(answer)
        })
        const pass = async (number: number): Promise<void> => {
          const { exchange, about } = setup.pass(number)
          seen.push(new WeakRef(exchange))
          await handler(exchange, about).catch(() => undefined)
        }
        for (let number = 0; number < 10; number++) await pass(number)
        setFlagsFromString('--expose-gc')
        const gc = runInNewContext('gc') as () => void
        await settle()
        gc()
        // The engine may still hold the last one.
        expect(seen.filter(ref => ref.deref()).length).toBeLessThan(2)
      }))

    it('answers concurrent calls independently of each other', () =>
      within(async (setup, end, run) => {
        const passes = Array.from({ length: 9 }, (_, at) => setup.pass(at))
        const answers = passes.map(run)
        const settled = Promise.allSettled(answers)
        await end.at(passes.length)
        // By client, since the order is the business of the middleware.
        const of = new Map(end.reached.map(call => [call.exchange.principal.id, call]))
        const call = (at: number): Reached<T> =>
          of.get((passes[at] as Pass<T>).exchange.principal.id) as Reached<T>
        ;(passes[4] as Pass<T>).exchange.cancellation.cancel('gone')
        for (let at = passes.length - 1; at >= 0; at--) {
          if (at === 4) call(at).reject(new GatewayError('cancelled', 'x', { delivery: 'unknown' }))
          else if (at === 2) call(at).reject(new GatewayError('invalid_params', 'x'))
          else call(at).resolve({ ...ANSWER, text: `{"content":[],"at":${at}}` } as Outcome)
        }
        expect(
          (await settled).map(end =>
            end.status === 'fulfilled' ? end.value.text : (end.reason as GatewayError).code,
          ),
        ).toEqual(
          passes.map((_, at) =>
            at === 4 ? 'cancelled' : at === 2 ? 'invalid_params' : `{"content":[],"at":${at}}`,
          ),
        )
        expect(end.reached).toHaveLength(passes.length)
      }))
  })
}
