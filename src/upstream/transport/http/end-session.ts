import type { Dispatcher } from 'undici'
import { within } from '../../../core/timeout.ts'

/** How long a graceful close waits for the server to accept the end of its session. */
const DELETE_TIMEOUT_MS = 1000

/** Ends the session at the server. Resolves when the server has answered, or does not answer in time. */
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
