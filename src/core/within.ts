/** Resolves once `wait` has ended, whatever has come of it, or `ms` have passed; to whether it was in time. What waits for it elsewhere goes on. */
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
