import { describe, expect, it } from 'vitest'
import { choose } from '../../../../src/upstream/balance/choose.ts'
import { outliers } from '../../../../src/upstream/balance/outliers.ts'
import { RetryBudget } from '../../../../src/upstream/balance/retry-budget.ts'
import { rng } from '../../../helpers/rng.ts'
import { broken, candidate, Clock, type Named, OPTIONS } from './world.ts'

/**
 * Thousands of calls in virtual time against replicas that behave as told. What happens is what a pool would do: choose, begin, end, tell the
 * outcome, check what is due every second, look for outliers.
 */

interface Behaviour {
  /** How long a call takes; `undefined`: it fails after 5 ms. */
  call: (random: () => number) => number | undefined
  /** It refuses connections. */
  down: boolean
  /** It answers checks. */
  pings: boolean
}

interface Replica extends Named {
  readonly does: Behaviour
  calls: number
  /** Moments of its ejections, as long as they last. */
  readonly ejections: { at: number; until: number }[]
  returns: number
}

const steady = (ms: number) => (): number => ms
/** Half to one and a half of it. */
const around =
  (ms: number) =>
  (random: () => number): number =>
    ms * (0.5 + random())
/** Long tail. */
const exponential =
  (ms: number) =>
  (random: () => number): number =>
    -ms * Math.log(1 - random())
/** Nearly all calls are quick, one in a hundred takes five hundred times as long. */
const tools =
  (ms: number) =>
  (random: () => number): number =>
    random() < 0.01 ? ms * 500 : ms
const failing = (): undefined => undefined

class Simulation {
  readonly clock = new Clock()
  readonly random: () => number
  readonly replicas: Replica[] = []
  readonly #ends: { at: number; began: number; ms: number | undefined; replica: Replica }[] = []
  #nextSweep = this.clock.now
  nobody = 0
  failed = 0

  constructor(seed = 1) {
    this.random = rng(seed)
  }

  add(name: string, call: Behaviour['call'], given: Parameters<typeof candidate>[2] = {}): Replica {
    const replica: Replica = {
      ...candidate(name, this.clock, { random: this.random, ...given }),
      does: { call, down: false, pings: true },
      calls: 0,
      ejections: [],
      returns: 0,
    }
    this.replicas.push(replica)
    return replica
  }

  /** For so long, calls as at random moments. */
  run(seconds: number, perSecond: number): void {
    const until = this.clock.now + seconds * 1000
    for (;;) {
      const next = this.clock.now + (-1000 / perSecond) * Math.log(1 - this.random())
      this.#settle(Math.min(next, until))
      if (next > until) return
      this.#call()
    }
  }

  /** Calls of each since the last time, as parts of all. */
  shares(): Record<string, number> {
    const all = this.replicas.reduce((sum, { calls }) => sum + calls, 0)
    const shares = Object.fromEntries(this.replicas.map(({ name, calls }) => [name, calls / all]))
    for (const replica of this.replicas) replica.calls = 0
    return shares
  }

  /** Everything that happens until then. */
  #settle(until: number): void {
    for (;;) {
      const end = this.#ends[0]
      const at = Math.min(end?.at ?? Infinity, this.#nextSweep)
      if (at > until) break
      this.clock.now = at
      if (end?.at === at) {
        this.#ends.shift()
        this.#ended(end)
      } else {
        this.#sweep()
        this.#nextSweep += 1000
      }
    }
    this.clock.now = until
  }

  #call(): void {
    const { now } = this.clock
    const tried = new Set<Replica>()
    for (;;) {
      const replica = choose(this.replicas, {
        now,
        random: this.random,
        zone: undefined,
        panic: OPTIONS.panic,
        leftOut: one => tried.has(one),
      })
      if (replica === undefined) {
        this.nobody++
        return
      }
      if (!replica.does.down) {
        replica.calls++
        replica.load.began()
        const ms = replica.does.call(this.random)
        const end = { at: now + (ms ?? 5), began: now, ms, replica }
        const behind = this.#ends.findIndex(({ at }) => at > end.at)
        this.#ends.splice(behind < 0 ? this.#ends.length : behind, 0, end)
        return
      }
      tried.add(replica)
      replica.health.unreachable('Connection refused.', now)
    }
  }

  #ended({ began, ms, replica }: { began: number; ms: number | undefined; replica: Replica }): void {
    const { now } = this.clock
    replica.load.ended(ms, now)
    if (ms === undefined) {
      this.failed++
      if (replica.health.failed(broken(), now, began)) this.#note(replica)
    } else if (replica.health.succeeded(now)) replica.returns++
  }

  #sweep(): void {
    const { now } = this.clock
    for (const replica of this.replicas) {
      const { health, does } = replica
      if (!health.dueForCheck(now)) continue
      if (does.pings && !does.down) {
        if (health.checkPassed(now)) replica.returns++
      } else if (health.checkFailed('No answer.', now)) this.#note(replica)
    }
    for (const replica of outliers(this.replicas, { slowBy: OPTIONS.slowBy, now })) {
      if (replica.health.outlier('Slow.', now)) this.#note(replica)
    }
  }

  #note(replica: Replica): void {
    replica.ejections.push({ at: this.clock.now, until: replica.health.nextTry as number })
  }
}

/** Name to latencies, and by how much the shares may differ from the weights. */
const LATENCIES = {
  steady: { call: steady(10), within: 0.05 },
  'half to one and a half': { call: around(10), within: 0.05 },
  'with a long tail': { call: exponential(10), within: 0.05 },
  // A replica with a call of five seconds in flight is busy, and leaves other calls to the rest.
  'of quick and slow tools': { call: tools(10), within: 0.1 },
}

describe('weights', () => {
  const cases = Object.entries(LATENCIES).flatMap(([name, given]) =>
    [5, 50, 200].map(perSecond => ({ name, perSecond, ...given })),
  )
  it.each(cases)(
    'are kept within $within: latencies $name, $perSecond calls a second',
    ({ call, perSecond, within }) => {
      const simulation = new Simulation()
      simulation.add('a', call, { weight: 5 })
      simulation.add('b', call, { weight: 3 })
      simulation.add('c', call, { weight: 2 })
      simulation.run(10_000 / perSecond, perSecond)
      const { a, b, c } = simulation.shares() as { a: number; b: number; c: number }
      expect(Math.abs(a - 0.5)).toBeLessThan(within)
      expect(Math.abs(b - 0.3)).toBeLessThan(within)
      expect(Math.abs(c - 0.2)).toBeLessThan(within)
      expect(simulation.replicas.flatMap(({ ejections }) => ejections)).toEqual([])
    },
  )
})

describe('one of three that is a hundred times slower', () => {
  it.each([10, 100])('gets less than 2 %% of the calls at %d a second', perSecond => {
    const simulation = new Simulation()
    simulation.add('a', around(10))
    simulation.add('b', around(10))
    simulation.add('slow', around(1000))
    simulation.run(6000 / perSecond, perSecond)
    const { a, b, slow } = simulation.shares() as { a: number; b: number; slow: number }
    expect(slow).toBeLessThan(0.02)
    expect(slow).toBeGreaterThan(0)
    expect(Math.abs(a - b)).toBeLessThan(0.05)
  })

  it('and became so only later is avoided, and has its share when it is well again', () => {
    const simulation = new Simulation()
    simulation.add('a', around(10))
    simulation.add('b', around(10))
    const c = simulation.add('c', around(10))
    simulation.run(60, 50)
    expect(simulation.shares()['c']).toBeGreaterThan(0.3)
    c.does.call = around(1000)
    simulation.run(120, 50)
    expect(simulation.shares()['c']).toBeLessThan(0.02)
    c.does.call = around(10)
    simulation.run(60, 50)
    simulation.shares()
    simulation.run(60, 50)
    expect(simulation.shares()['c']).toBeGreaterThan(0.28)
  })
})

describe('one of three that fails every call', () => {
  it('gets few calls, returns by its checks, and is ejected for longer each time', () => {
    const simulation = new Simulation()
    simulation.add('a', around(10))
    simulation.add('b', around(10))
    const bad = simulation.add('bad', failing)
    simulation.run(300, 50)
    const lasted = bad.ejections.map(({ at, until }) => until - at)
    expect(lasted.length).toBeGreaterThan(4)
    expect(bad.returns).toBeGreaterThanOrEqual(lasted.length - 1)
    for (const [index, ms] of lasted.entries()) {
      const full = Math.min(5000 * 2 ** index, 300_000)
      expect(ms).toBeGreaterThanOrEqual(full / 2)
      expect(ms).toBeLessThanOrEqual(full)
    }
    // Three for each ejection, and those under way meanwhile.
    expect(bad.calls).toBeLessThanOrEqual(lasted.length * 4)
    expect(simulation.failed).toBe(bad.calls)
    expect(simulation.nobody).toBe(0)
  })

  it('and fails its checks as well gets none after the first three, until it is well', () => {
    const simulation = new Simulation()
    simulation.add('a', around(10))
    simulation.add('b', around(10))
    const bad = simulation.add('bad', failing)
    bad.does.pings = false
    simulation.run(300, 50)
    expect(bad.ejections.length).toBeGreaterThan(5)
    expect(bad.calls).toBeLessThanOrEqual(4)
    bad.does.call = around(10)
    bad.does.pings = true
    // The longest ejection, and the slow start.
    simulation.run(300 + 30, 50)
    simulation.shares()
    simulation.run(60, 50)
    expect(simulation.shares()['bad']).toBeGreaterThan(0.3)
    expect(bad.health.state).toBe('ready')
  })
})

describe('two of three that cannot be reached', () => {
  it('get nothing, and nothing is lost', () => {
    const simulation = new Simulation()
    simulation.add('a', around(10))
    simulation.add('b', around(10)).does.down = true
    simulation.add('c', around(10)).does.down = true
    simulation.run(60, 50)
    expect(simulation.shares()).toEqual({ a: 1, b: 0, c: 0 })
    expect([simulation.nobody, simulation.failed]).toEqual([0, 0])
  })

  it('have their share again when they are back, little at first', () => {
    const grown = [0, 0, 0, 0]
    for (let seed = 1; seed <= 4; seed++) {
      const simulation = new Simulation(seed)
      simulation.add('a', around(10))
      const b = simulation.add('b', around(10))
      b.does.down = true
      simulation.run(60, 20)
      b.does.down = false
      while (b.calls === 0) simulation.run(1, 20)
      for (const third of grown.keys()) {
        simulation.shares()
        simulation.run(10, 20)
        grown[third] = (grown[third] as number) + (simulation.shares()['b'] as number) / 4
      }
    }
    // With a part s of its weight it gets s / (1 + s) of the calls: on average 0.2, 0.35, 0.46, then half of them.
    for (const [third, wanted] of [0.2, 0.35, 0.46, 0.5].entries()) {
      expect(Math.abs((grown[third] as number) - wanted)).toBeLessThan(0.05)
    }
  })
})

describe('priority 1', () => {
  it('gets calls only while priority 0 is out', () => {
    const simulation = new Simulation()
    const [a, b] = [simulation.add('a', around(10)), simulation.add('b', around(10))]
    simulation.add('spare', around(10), { priority: 1 })
    simulation.run(30, 50)
    expect(simulation.shares()['spare']).toBe(0)
    a.does.down = true
    simulation.run(30, 50)
    expect(simulation.shares()).toEqual({ a: 0, b: 1, spare: 0 })
    b.does.down = true
    simulation.run(30, 50)
    expect(simulation.shares()).toEqual({ a: 0, b: 0, spare: 1 })
    a.does.down = false
    simulation.run(60, 50)
    simulation.shares()
    simulation.run(30, 50)
    expect(simulation.shares()).toEqual({ a: 1, b: 0, spare: 0 })
    expect(simulation.nobody).toBe(0)
  })

  it('takes over where the only one of priority 0 fails every call', () => {
    const simulation = new Simulation()
    const a = simulation.add('a', failing)
    simulation.add('spare', around(10), { priority: 1 })
    simulation.run(120, 50)
    expect(a.ejections.length).toBeGreaterThan(2)
    expect(simulation.shares()['spare']).toBeGreaterThan(0.9)
  })
})

describe('panic', () => {
  it('uses all while most are ejected', () => {
    const simulation = new Simulation()
    for (const name of ['a', 'b', 'c']) simulation.add(name, failing).does.pings = false
    simulation.add('d', around(10))
    simulation.run(5, 50)
    simulation.shares()
    simulation.run(30, 50)
    const shares = simulation.shares()
    for (const name of ['a', 'b', 'c', 'd']) expect(shares[name]).toBeGreaterThan(0.15)
    expect(simulation.nobody).toBe(0)
  })

  it('ends with what caused it', () => {
    const simulation = new Simulation()
    const all = ['a', 'b', 'c', 'd'].map(name => simulation.add(name, failing))
    simulation.run(60, 50)
    expect(simulation.nobody).toBe(0)
    for (const { does } of all) does.call = around(10)
    simulation.run(120, 50)
    simulation.failed = 0
    simulation.shares()
    simulation.run(30, 50)
    expect(simulation.failed).toBe(0)
    for (const share of Object.values(simulation.shares())) expect(Math.abs(share - 0.25)).toBeLessThan(0.05)
  })
})

describe('the budget of repeats', () => {
  it('lets no more through than its share and ten a second, while everything fails', () => {
    const random = rng(5)
    const budget = new RetryBudget(0.2)
    let now = 0
    let repeats = 0
    for (let call = 0; call < 10_000; call++) {
      now += -5 * Math.log(1 - random())
      budget.called()
      for (let repeat = 0; repeat < 2; repeat++) if (budget.tryRepeat(now)) repeats++
    }
    const most = 0.2 * 10_000 + 10 * (now / 1000 + 1)
    expect(repeats).toBeLessThanOrEqual(most)
    expect(repeats).toBeGreaterThan(0.95 * most)
  })
})
