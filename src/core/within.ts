/**
 * Resolves when `wait` has settled or `ms` have passed, to whether it settled in time. `wait` itself is not cancelled.
 */
export function within(wait: Promise<unknown>, ms: number): Promise<boolean> {
  return new Promise(resolve => {
    const timer = setTimeout(resolve, ms, false)
    const end = (): void => {
      clearTimeout(timer)
      resolve(true)
    }
    wait.then(end, end)
  })
}
