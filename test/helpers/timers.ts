import { createHook } from 'node:async_hooks'

/**
 * Knows each timer of this process and where it was set. Counting them is not enough: the test runner sets and clears its own all the time.
 */

interface SetTimer {
  /** Grows with each timer set. */
  readonly order: number
  readonly timer: WeakRef<NodeJS.Timeout>
  /** The innermost frame that is not of Node itself. */
  readonly place: string
}

const RUNNER = /node_modules\/(?:vitest|@vitest|tinypool|birpc)\//

const running = new Map<number, SetTimer>()
let latest = 0

const hook = createHook({
  init(id, type, _trigger, resource) {
    if (type !== 'Timeout') return
    const frames = new Error('set').stack?.split('\n').slice(1) ?? []
    const place = frames.find(frame => !/node:|helpers\/timers\.ts/.test(frame))?.trim() ?? 'an unknown place'
    if (RUNNER.test(place)) return
    running.set(id, { order: ++latest, timer: new WeakRef(resource as NodeJS.Timeout), place })
  },
  destroy(id) {
    running.delete(id)
  },
})

/** A mark in time, for `timersSince`. From the first one on, timers are watched. */
export function markTimers(): number {
  hook.enable()
  return latest
}

/** Where the timers were set that are still running, keep the process alive, and are younger than `mark`. */
export function timersSince(mark: number): string[] {
  return [...running.values()]
    .filter(({ order, timer }) => order > mark && timer.deref()?.hasRef() === true)
    .map(({ place }) => place.replace(/^at /, ''))
}
