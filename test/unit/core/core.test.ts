import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { Cancellation } from '../../../src/core/cancellation.ts'
import { compose, repeating, type CallHandler, type CallMiddleware } from '../../../src/core/compose.ts'
import { Deadlines, RESOLUTION_MS } from '../../../src/core/deadlines.ts'
import { Delegate, WithRequest } from '../../../src/core/derived-exchange.ts'
import { describeError, ERROR_KINDS, GatewayError } from '../../../src/core/errors.ts'
import type { Exchange, Outcome } from '../../../src/core/exchange.ts'
import type { Route } from '../../../src/core/route.ts'
import { exchangeOf } from '../../helpers/fake-transport.ts'

describe('Cancellation', () => {
  it('tells its listeners once, in their order, and late ones at once', () => {
    const cancellation = new Cancellation()
    const heard: string[] = []
    cancellation.onCancel(reason => heard.push(`1 ${reason}`))
    cancellation.onCancel(reason => heard.push(`2 ${reason}`))
    expect(cancellation.reason).toBeUndefined()
    cancellation.cancel('first')
    cancellation.cancel('second')
    cancellation.onCancel(reason => heard.push(`3 ${reason}`))
    expect(heard).toEqual(['1 first', '2 first', '3 first'])
    expect(cancellation.reason).toBe('first')
  })
})

it('compose runs the first of the list outermost', async () => {
  const order: string[] = []
  const named =
    (name: string): CallMiddleware =>
    next =>
    async (exchange, route) => {
      order.push(`${name} in`)
      const outcome = await next(exchange, route)
      order.push(`${name} out`)
      return outcome
    }
  const call = compose([named('a'), named('b')], async () => ({ kind: 'own', text: '{}' }))
  await call(exchangeOf('tools/call'), { server: 's', own: 'x', exposed: 's__x' })
  expect(order).toEqual(['a in', 'b in', 'b out', 'a out'])
})

describe('compose', () => {
  const ROUTE = { server: 's', own: 'x', exposed: 's__x' }
  const twice: CallMiddleware = next => async (exchange, route) => {
    await next(exchange, route)
    return await next(exchange, route)
  }
  const passing: CallMiddleware = next => next

  /** A chain around this middleware, and the calls that reached its end. */
  function chain(middleware: CallMiddleware | undefined): { call: CallHandler; reached: Exchange[] } {
    const reached: Exchange[] = []
    const call = compose([passing, middleware, passing], async exchange => {
      reached.push(exchange)
      return { kind: 'own', text: '{}' }
    })
    return { call, reached }
  }

  it('refuses a second next in one pass, and the call runs once', async () => {
    const { call, reached } = chain(twice)
    await expect(call(exchangeOf('tools/call'), ROUTE)).rejects.toMatchObject({ code: 'internal' })
    expect(reached).toHaveLength(1)
  })

  it('names the middleware that calls next twice', async () => {
    const own = (): Promise<Outcome> => Promise.resolve({ kind: 'own', text: '{}' })
    const call = compose<Exchange, Route>([passing, twice], own, 0, ['observe', 'doubled'])
    await expect(call(exchangeOf('tools/call'), ROUTE)).rejects.toThrow('Middleware doubled')
  })

  it('refuses a second next with another exchange that stands for the same call', async () => {
    const { call, reached } = chain(next => async (exchange, route) => {
      await next(new Delegate(exchange), route)
      return await next(new Delegate(exchange), route)
    })
    await expect(call(exchangeOf('tools/call'), ROUTE)).rejects.toMatchObject({ code: 'internal' })
    expect(reached).toHaveLength(1)
  })

  it('lets a middleware call next again that declares it, and what is inside of it runs once for each time', async () => {
    const { call, reached } = chain(repeating(twice))
    await call(exchangeOf('tools/call'), ROUTE)
    expect(reached).toHaveLength(2)
  })

  it('refuses a second next inside of a middleware that repeats', async () => {
    const reached: Exchange[] = []
    const call = compose<Exchange, Route>([repeating(twice), twice], async exchange => {
      reached.push(exchange)
      return { kind: 'own', text: '{}' }
    })
    await expect(call(exchangeOf('tools/call'), ROUTE)).rejects.toMatchObject({ code: 'internal' })
    expect(reached).toHaveLength(1)
  })

  it('keeps repetitions apart that run beside each other with requests of their own', async () => {
    const reached: Exchange[] = []
    const call = compose<Exchange, Route>(
      [
        repeating(
          next => (exchange, route) =>
            Promise.all(['a', 'b'].map(it => next(new WithRequest(exchange, it, '{}'), route))).then(
              ([first]) => first as Outcome,
            ),
        ),
        next => async (exchange, route) => {
          await Promise.resolve()
          return await next(exchange, route)
        },
        passing,
      ],
      async exchange => {
        reached.push(exchange)
        return { kind: 'own', text: '{}' }
      },
    )
    await call(exchangeOf('tools/call'), ROUTE)
    expect(reached.map(({ request }) => request.method)).toEqual(['a', 'b'])
  })

  it('leaves out what has nothing to do', async () => {
    const { call, reached } = chain(undefined)
    await call(exchangeOf('tools/call'), ROUTE)
    expect(reached).toHaveLength(1)
  })
})

describe('Deadlines', () => {
  let deadlines: Deadlines
  beforeEach(() => {
    vi.useFakeTimers()
    deadlines = new Deadlines()
  })
  afterEach(() => {
    deadlines.close()
    expect(vi.getTimerCount()).toBe(0)
    vi.useRealTimers()
  })
  const entry = (): { expire: () => void; at: number[]; bucket?: number | undefined } => {
    const at: number[] = []
    return { at, expire: () => void at.push(Date.now()) }
  }

  it.each([1, 249, 250, 251, 999, 60_000])('are never early and late by little: %i ms', async delay => {
    const one = entry()
    const due = Date.now() + delay
    deadlines.set(one, delay)
    await vi.advanceTimersByTimeAsync(delay + 2 * RESOLUTION_MS)
    expect(one.at).toHaveLength(1)
    expect(one.at[0]).toBeGreaterThanOrEqual(due)
    expect(one.at[0]).toBeLessThan(due + 2 * RESOLUTION_MS)
  })

  it('move when set again, and never come once removed', async () => {
    const [moved, removed, none] = [entry(), entry(), entry()]
    deadlines.set(moved, 1000)
    deadlines.set(removed, 1000)
    deadlines.set(none, 0)
    expect(deadlines.size).toBe(2)
    await vi.advanceTimersByTimeAsync(900)
    deadlines.set(moved, 1000)
    deadlines.remove(removed)
    deadlines.remove(removed)
    await vi.advanceTimersByTimeAsync(900)
    expect(moved.at).toEqual([])
    await vi.advanceTimersByTimeAsync(400)
    expect(moved.at).toHaveLength(1)
    expect(removed.at).toEqual([])
    expect(none.at).toEqual([])
  })

  it.each([-7_200_000, 7_200_000])(
    'come when they are due, though the wall clock was set by %i ms',
    async ms => {
      const list = Array.from({ length: 20 }, entry)
      list.forEach((one, n) => deadlines.set(one, 1000 * (n + 1)))
      vi.setSystemTime(Date.now() + ms)
      await vi.advanceTimersByTimeAsync(10_000 + 2 * RESOLUTION_MS)
      expect(list.map(({ at }) => at.length)).toEqual(list.map((_, n) => (n < 10 ? 1 : 0)))
    },
  )

  it('may be set while others come, and run no timer when none waits', async () => {
    const again = entry()
    let times = 0
    const renewing = {
      bucket: undefined as number | undefined,
      expire: () => {
        if (++times < 3) deadlines.set(renewing, 500)
      },
    }
    deadlines.set(renewing, 500)
    deadlines.set(again, 500)
    await vi.advanceTimersByTimeAsync(3000)
    expect(times).toBe(3)
    expect(deadlines.size).toBe(0)
    expect(vi.getTimerCount()).toBe(0)
  })
})

describe('GatewayError', () => {
  it('has codes of its own only outside the range of the protocol', () => {
    for (const [code, { rpc, http }] of Object.entries(ERROR_KINDS)) {
      if (!['header_mismatch', 'unsupported_version', 'missing_capability'].includes(code))
        expect(rpc >= -32099 && rpc <= -32000, code).toBe(false)
      expect(http === 200 || (http >= 400 && http < 600), code).toBe(true)
    }
  })

  it('is made of anything once, and keeps the cause to itself', () => {
    const cause = new Error('token=abc')
    const error = GatewayError.from(cause, 'one')
    expect(error).toMatchObject({ code: 'internal', server: 'one', delivery: 'unknown', cause })
    expect(error.message).not.toContain('abc')
    expect(GatewayError.from(error, 'two')).toBe(error)
    expect(GatewayError.from(undefined)).toBeInstanceOf(GatewayError)
  })

  it('is described with its chain of causes, each once, however deep or round', () => {
    const system = Object.assign(new Error('connect failed'), { code: 'ECONNREFUSED' })
    const error = new GatewayError('upstream_unreachable', 'Cannot reach "one".', {
      cause: new Error('outer', { cause: system }),
    })
    expect(describeError(error)).toBe('Cannot reach "one". Cause: outer: connect failed (ECONNREFUSED)')
    expect(
      describeError(
        new Error('spawn x ENOENT', { cause: Object.assign(new Error('a ENOENT'), { code: 'ENOENT' }) }),
      ),
    ).toBe('spawn x ENOENT: a ENOENT')
    expect(describeError(new Error(''))).toBe('')
    const round = new Error('round')
    round.cause = round
    expect(describeError(round)).toBe('round')
    expect(describeError('text')).toBe('text')
    expect(describeError(null)).toBe('null')
  })
})
