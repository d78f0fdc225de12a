import type { Cancellation } from './cancellation.ts'

/** Waits with a time limit. The awaited work is not cancelled, and no timer outlives the wait. */

/** Settles as `work` does, or, when `ms` have passed before, with the result or exception of `late`. */
export function withTimeout<T, L>(work: Promise<T>, ms: number, late: () => L): Promise<T | L> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      try {
        resolve(late())
      } catch (error) {
        reject(error as Error)
      }
    }, ms)
    work.then(
      value => {
        clearTimeout(timer)
        resolve(value)
      },
      (error: unknown) => {
        clearTimeout(timer)
        reject(error as Error)
      },
    )
  })
}

/** Resolves when `wait` has settled or `ms` have passed, to whether it settled in time. */
export function within(wait: Promise<unknown>, ms: number): Promise<boolean> {
  return withTimeout(
    wait.then(
      () => true,
      () => true,
    ),
    ms,
    () => false,
  )
}

/**
 * Resolves after `ms`, or immediately when the call is cancelled. Each pause adds a listener, so use few pauses per
 * cancellation.
 */
export function pause(ms: number, cancellation: Cancellation): Promise<void> {
  return new Promise(resolve => {
    const timer = setTimeout(resolve, ms)
    cancellation.onCancel(() => {
      clearTimeout(timer)
      resolve()
    })
  })
}
