import type { Dispatcher } from 'undici'

/** How long a graceful close waits for the server to take the end of its session. */
const DELETE_TIMEOUT_MS = 1000

/** Tells a server that its session is over. Resolves when the server has heard it, or does not take it in time. */
export function endSession(dispatcher: Dispatcher, path: string, headers: readonly string[]): Promise<void> {
  return new Promise(resolve => {
    const timer = setTimeout(resolve, DELETE_TIMEOUT_MS)
    const done = (): void => {
      clearTimeout(timer)
      resolve()
    }
    try {
      dispatcher.dispatch(
        { path, method: 'DELETE', headers: headers as string[] },
        {
          onRequestStart() {},
          onResponseStart() {},
          onResponseData() {},
          onResponseEnd: done,
          onResponseError: done,
        },
      )
    } catch {
      done()
    }
  })
}
