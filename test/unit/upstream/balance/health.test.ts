import { beforeEach, describe, expect, it } from 'vitest'
import { Health } from '../../../../src/upstream/balance/health.ts'
import type { HealthOptions } from '../../../../src/upstream/balance/health-options.ts'
import { rng } from '../../../helpers/rng.ts'
import { broken, Clock, OPTIONS } from './world.ts'

let clock: Clock
let health: Health

/** Without chance: each back-off lasts its whole time. */
const healthOf = (options: Partial<HealthOptions> = {}): Health =>
  new Health({ ...OPTIONS, ...options }, clock.read, () => 1)

beforeEach(() => {
  clock = new Clock()
  health = healthOf()
})

/** Fails that often in a row; whether the last one ejected it. */
function fail(times: number, of = health): boolean {
  let ejected = false
  for (let time = 0; time < times; time++) ejected = of.failed(broken(), clock.now)
  return ejected
}

function succeed(times: number): void {
  for (let time = 0; time < times; time++) health.succeeded(clock.now)
}

const seen = (): unknown[] => [health.state, health.out(clock.now), health.ejected(clock.now)]

describe('at first', () => {
  it('a replica is ready, with all of its share', () => {
    expect(seen()).toEqual(['ready', false, false])
    expect([health.cause, health.since, health.nextTry]).toEqual([undefined, clock.now, undefined])
    expect(health.share(clock.now)).toBe(1)
    succeed(10)
    expect(seen()).toEqual(['ready', false, false])
    expect(health.reachable(clock.now)).toBe(false)
    expect(health.share(clock.now)).toBe(1)
  })
})

describe('failures in a row', () => {
  it('eject at the limit, not below', () => {
    expect(fail(2)).toBe(false)
    expect(seen()).toEqual(['degraded', false, false])
    expect(health.cause).toBe('It broke.')
    expect(fail(1)).toBe(true)
    expect(seen()).toEqual(['ejected', false, true])
    expect(health.cause).toBe('3 failures in a row, the last one: It broke.')
    expect([health.since, health.nextTry]).toEqual([clock.now, clock.now + 5000])
  })

  it('are in a row only without a success between them', () => {
    for (let round = 0; round < 5; round++) {
      fail(2)
      succeed(3)
    }
    expect(health.ejected(clock.now)).toBe(false)
    expect(health.state).toBe('degraded')
    clock.now += 10_000
    expect(health.state).toBe('ready')
  })

  it('are none where they say nothing of the server', () => {
    for (let time = 0; time < 10; time++) {
      health.failed({ code: 'cancelled', message: 'no', countsAgainstHealth: false }, clock.now)
    }
    expect(seen()).toEqual(['ready', false, false])
  })

  it('while it is ejected already are of calls from before', () => {
    fail(3)
    expect(fail(5)).toBe(false)
    expect(health.nextTry).toBe(clock.now + 5000)
  })
})

describe('the share of failures', () => {
  /** Two failures, then successes, so that there are never three in a row. */
  function mix(rounds: number, successes: number): void {
    for (let round = 0; round < rounds && !health.ejected(clock.now); round++) {
      fail(2)
      succeed(successes)
    }
  }

  it('ejects above the limit', () => {
    mix(6, 1)
    expect(health.ejected(clock.now)).toBe(false)
    mix(1, 1)
    expect(health.ejected(clock.now)).toBe(true)
    expect(health.cause).toBe('14 of the last 20 calls failed, the last one: It broke.')
  })

  it('does not at the limit', () => {
    succeed(2)
    mix(50, 2)
    expect(health.ejected(clock.now)).toBe(false)
  })

  it('counts the calls of ten seconds, those from before the first failure as well', () => {
    succeed(100)
    mix(20, 1)
    expect(health.ejected(clock.now)).toBe(false)
    clock.now += 10_000
    mix(20, 1)
    expect(health.ejected(clock.now)).toBe(true)
  })

  it('counts nothing from before a long pause', () => {
    mix(6, 1)
    clock.now += 3_600_000
    mix(6, 1)
    expect(health.ejected(clock.now)).toBe(false)
  })

  it('counts successes in other seconds than the failures', () => {
    for (let second = 0; second < 9; second++) {
      succeed(4)
      clock.now += 1000
    }
    mix(35, 1)
    expect(health.ejected(clock.now)).toBe(false)
    mix(1, 1)
    expect(health.cause).toMatch(/^72 of the last 143 calls failed/)
  })
})

describe('an ejection', () => {
  beforeEach(() => {
    fail(3)
  })

  it('ends by a check that passes, not before its time', () => {
    expect(health.dueForCheck(clock.now)).toBe(false)
    expect(health.checkPassed(clock.now)).toBe(false)
    clock.now += 5000
    expect(health.checkPassed(clock.now)).toBe(true)
    expect(seen()).toEqual(['degraded', false, false])
    expect(health.cause).toBe('It has returned, and has 10 % of its share.')
    expect(health.since).toBe(clock.now)
  })

  it('is due for a check at its end, and stands until that has come', () => {
    expect(health.dueForCheck(clock.now + 4999)).toBe(false)
    clock.now += 5000
    expect(health.dueForCheck(clock.now)).toBe(true)
    expect(health.ejected(clock.now)).toBe(true)
    health.checkBegan(clock.now)
    expect(health.dueForCheck(clock.now + 4999)).toBe(false)
    expect(health.dueForCheck(clock.now + 5000)).toBe(true)
  })

  it('lasts longer when the check fails, and again when it fails soon after a return', () => {
    clock.now += 5000
    expect(health.checkFailed('No answer.', clock.now)).toBe(true)
    expect([health.cause, health.nextTry]).toEqual(['No answer.', clock.now + 10_000])
    clock.now += 10_000
    health.checkPassed(clock.now)
    clock.now += 60_000
    fail(3)
    expect(health.nextTry).toBe(clock.now + 20_000)
    clock.now += 20_000
    health.checkPassed(clock.now)
    clock.now += 5 * 60_000
    fail(3)
    expect(health.nextTry).toBe(clock.now + 5000)
  })

  it('keeps its beginning, and lasts five minutes at most', () => {
    const began = clock.now
    for (let time = 0; time < 12; time++) {
      clock.now = health.nextTry as number
      health.checkFailed('No answer.', clock.now)
    }
    expect(health.since).toBe(began)
    expect(health.nextTry).toBe(clock.now + 5 * 60_000)
  })

  it('is not ended by a late success, but by one after its time', () => {
    expect(health.succeeded(clock.now + 4999)).toBe(false)
    expect(health.ejected(clock.now + 4999)).toBe(true)
    expect(health.succeeded(clock.now + 5000)).toBe(true)
    expect(health.ejected(clock.now + 5000)).toBe(false)
  })

  it('is left to calls where no check comes', () => {
    clock.now += 5000 + 10_000 + 5000
    expect(seen()).toEqual(['ejected', false, false])
    expect(health.share(clock.now)).toBeCloseTo(0.1)
    expect(fail(1)).toBe(true)
    expect(health.ejected(clock.now)).toBe(true)
    expect(health.nextTry).toBe(clock.now + 10_000)
  })

  it('is left to calls at once where checks are switched off', () => {
    health = healthOf({ intervalMs: 0 })
    fail(3)
    clock.now += 5000
    expect(health.dueForCheck(clock.now)).toBe(false)
    expect(health.ejected(clock.now)).toBe(false)
    expect(health.succeeded(clock.now)).toBe(true)
  })

  it('counts nothing twice: afterwards three more failures are needed, of calls that began later', () => {
    const before = clock.now
    clock.now += 5000
    health.checkPassed(clock.now)
    for (let late = 0; late < 5; late++) expect(health.failed(broken(), clock.now, before)).toBe(false)
    expect(fail(2)).toBe(false)
    expect(fail(1)).toBe(true)
  })
})

describe('slow start', () => {
  it('grows to all of the share', () => {
    fail(3)
    clock.now += 5000
    health.checkPassed(clock.now)
    const shares = [0, 10, 20, 30, 40].map(seconds => health.share(clock.now + seconds * 1000))
    expect(shares.map(share => Number(share.toFixed(3)))).toEqual([0.1, 0.4, 0.7, 1, 1])
    clock.now += 30_000
    expect([health.state, health.cause, health.since]).toEqual(['ready', undefined, clock.now])
  })

  it('can be switched off', () => {
    health = healthOf({ slowStartMs: 0 })
    fail(3)
    clock.now += 5000
    health.checkPassed(clock.now)
    expect(health.share(clock.now)).toBe(1)
    expect(health.state).toBe('ready')
  })
})

describe('checks', () => {
  it('are due every so often, and not at the same moment for all', () => {
    const random = rng(3)
    const first = Array.from({ length: 20 }, () => {
      const one = new Health(OPTIONS, clock.read, random)
      let ms = 0
      while (!one.dueForCheck(clock.now + ms)) ms += 10
      return ms
    })
    expect(Math.min(...first)).toBeGreaterThanOrEqual(5000)
    expect(Math.max(...first)).toBeLessThanOrEqual(10_000)
    expect(new Set(first).size).toBeGreaterThan(10)
    health.checkPassed(clock.now)
    expect(health.dueForCheck(clock.now + 9999)).toBe(false)
    expect(health.dueForCheck(clock.now + 10_000)).toBe(true)
  })

  it('eject when two in a row fail', () => {
    expect(health.checkFailed('No answer.', clock.now)).toBe(false)
    expect([health.state, health.cause]).toEqual(['degraded', 'No answer.'])
    health.checkPassed(clock.now)
    expect(health.state).toBe('ready')
    expect(health.checkFailed('No answer.', clock.now)).toBe(false)
    expect(health.checkFailed('No answer.', clock.now)).toBe(true)
    expect(seen()).toEqual(['ejected', false, true])
  })
})

describe('an outage', () => {
  it('lasts until its back-off is over, and longer each time', () => {
    expect(health.unreachable('Connection refused.', clock.now)).toBe(true)
    expect(seen()).toEqual(['ejected', true, false])
    expect([health.cause, health.nextTry]).toEqual(['Connection refused.', clock.now + 500])
    const began = clock.now
    const delays: number[] = []
    for (let time = 0; time < 9; time++) {
      clock.now = health.nextTry as number
      expect([health.out(clock.now), health.share(clock.now)]).toEqual([false, 0.1])
      expect(health.unreachable('Connection refused.', clock.now)).toBe(false)
      delays.push((health.nextTry as number) - clock.now)
    }
    expect(delays).toEqual([1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000, 60_000])
    expect(health.since).toBe(began)
  })

  it('of many calls at once is one', () => {
    for (let call = 0; call < 20; call++) health.unreachable('Connection refused.', clock.now)
    expect(health.nextTry).toBe(clock.now + 500)
  })

  it('ends when it is reached, by a link or by an answer, with a slow start', () => {
    health.unreachable('Connection refused.', clock.now)
    expect(health.reachable(clock.now)).toBe(true)
    expect(seen()).toEqual(['degraded', false, false])
    expect(health.share(clock.now)).toBeCloseTo(0.1)

    clock.now += 40_000
    health.unreachable('Connection refused.', clock.now)
    expect(health.nextTry).toBe(clock.now + 1000)
    expect(health.succeeded(clock.now)).toBe(false)
    clock.now += 1000
    expect(health.succeeded(clock.now)).toBe(true)
    expect(health.out(clock.now)).toBe(false)
  })

  it('does not end an ejection', () => {
    fail(3)
    health.unreachable('Connection refused.', clock.now)
    expect(seen()).toEqual(['ejected', true, true])
    expect(health.dueForCheck(clock.now + 499)).toBe(false)
    health.reachable(clock.now)
    expect(seen()).toEqual(['ejected', false, true])
  })

  it('that lost its login shows so, and takes calls until one is answered', () => {
    health.loggedOut('Log in.', clock.now)
    expect(seen()).toEqual(['needs_login', false, false])
    expect([health.cause, health.nextTry]).toEqual(['Log in.', undefined])
    expect(health.succeeded(clock.now)).toBe(false)
    expect(seen()).toEqual(['ready', false, false])
    health.loggedOut('Log in.', clock.now)
    health.reachable(clock.now)
    expect(health.state).toBe('ready')
  })

  it('without a login is distinguished, and tried again as well', () => {
    const refused = {
      code: 'upstream_unauthorized',
      message: 'HTTP 401',
      countsAgainstHealth: false,
    } as const
    expect(health.failed(refused, clock.now)).toBe(true)
    expect(seen()).toEqual(['needs_login', true, false])
    clock.now += 500
    expect(health.out(clock.now)).toBe(false)
    expect(health.failed(refused, clock.now)).toBe(false)
    expect(health.nextTry).toBe(clock.now + 1000)
    clock.now += 1000
    health.reachable(clock.now)
    expect(health.state).toBe('degraded')
  })

  it('takes place at once with the end of what was asked for by a busy server', () => {
    health.busyUntil(clock.now + 30_000)
    health.unreachable('Connection refused.', clock.now)
    expect(health.nextTry).toBe(clock.now + 500)
  })
})

describe('a busy server', () => {
  it('is left alone for so long, and has all of its share then', () => {
    const busy = { code: 'upstream_unreachable', message: 'HTTP 503', countsAgainstHealth: true } as const
    for (let time = 0; time < 5; time++) health.failed({ ...busy, retryAfterMs: 7000 }, clock.now)
    expect(seen()).toEqual(['ejected', true, false])
    expect([health.cause, health.nextTry]).toEqual(['HTTP 503', clock.now + 7000])
    clock.now += 7000
    expect(seen()).toEqual(['ready', false, false])
    expect(health.share(clock.now)).toBe(1)
  })

  it('is believed for a minute at most, and by the longest of what it said', () => {
    health.busyUntil(clock.now + 3_600_000)
    expect(health.nextTry).toBe(clock.now + 60_000)
    health.busyUntil(clock.now + 1000)
    expect(health.nextTry).toBe(clock.now + 60_000)
  })

  it('that could not be reached before is reached, once it was time to try', () => {
    health.unreachable('Connection refused.', clock.now)
    expect(health.busyUntil(clock.now + 5000)).toBe(false)
    clock.now += 500
    expect(health.busyUntil(clock.now + 5000)).toBe(true)
    clock.now += 5000
    expect(health.state).toBe('degraded')
  })
})

describe('other judgements', () => {
  it('latency ejects once', () => {
    expect(health.outlier('Slow.', clock.now)).toBe(true)
    expect(health.outlier('Slow.', clock.now)).toBe(false)
    expect([...seen(), health.cause]).toEqual(['ejected', false, true, 'Slow.'])
  })

  it('definitions of its own degrade until they agree', () => {
    health.differs('Tool "a" has another schema.')
    expect([...seen(), health.cause]).toEqual(['degraded', false, false, 'Tool "a" has another schema.'])
    expect(health.share(clock.now)).toBe(1)
    health.agrees()
    expect(health.state).toBe('ready')
  })
})
