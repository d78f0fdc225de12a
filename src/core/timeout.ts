import type { Cancellation } from './cancellation.ts'

/** Waiting that ends. What waits elsewhere for the same thing goes on, and no timer outlives the wait. */

/** What `work` comes to, or what `late` returns or throws once `ms` have passed before. */
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

/** Resolves once `wait` has ended, whatever has come of it, or `ms` have passed; to whether it was in time. */
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

/** Resolves after `ms`, or at once when the call is cancelled. Each pause adds a listener, so the pauses of one cancellation are few. */
export function pause(ms: number, cancellation: Cancellation): Promise<void> {
  return new Promise(resolve => {
    const timer = setTimeout(resolve, ms)
    cancellation.onCancel(() => {
      clearTimeout(timer)
      resolve()
    })
  })
}
