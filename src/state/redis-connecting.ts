import { setTimeout as sleep } from 'node:timers/promises'

/**
 * Resolves with the connection. A server that accepts the connection and then sends nothing counts as not reachable.
 * @throws what `connecting` rejects with, Error after `timeoutMs`, or AbortError when `closed` is aborted
 */
export async function connected(
  connecting: Promise<unknown>,
  timeoutMs: number,
  closed: AbortSignal,
): Promise<void> {
  const stop = new AbortController()
  const signal = AbortSignal.any([stop.signal, closed])
  const overdue = sleep(timeoutMs, undefined, { signal }).then(() => {
    throw new Error(`no answer in ${timeoutMs} ms`)
  })
  // Avoids an unhandled rejection of the slower promise.
  connecting.catch(() => undefined)
  overdue.catch(() => undefined)
  try {
    await Promise.race([connecting, overdue])
  } finally {
    stop.abort()
  }
}
