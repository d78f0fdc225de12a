import type { Dispatcher } from 'undici'
import { within } from '../../../core/timeout.ts'

/** How long a graceful close waits for the server to take the end of its session. */
const DELETE_TIMEOUT_MS = 1000

/** Tells a server that its session is over. Resolves when the server has heard it, or does not take it in time. */
export async function endSession(
  dispatcher: Dispatcher,
  path: string,
  headers: readonly string[],
): Promise<void> {
  const heard = new Promise<void>((resolve, reject) => {
    dispatcher.dispatch(
      { path, method: 'DELETE', headers: headers as string[] },
      {
        onRequestStart() {},
        onResponseStart() {},
        onResponseData() {},
        onResponseEnd: () => resolve(),
        onResponseError: (_, error) => reject(error),
      },
    )
  })
  await within(heard, DELETE_TIMEOUT_MS)
}
