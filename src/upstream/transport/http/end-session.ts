import type { Dispatcher } from 'undici'
import { within } from '../../../core/timeout.ts'
import { challengeOf, type AuthorizedRequests, type CredentialChallenge } from './authorized-requests.ts'
import type { Headers } from './sse-requests.ts'

/** How long a graceful close waits for the server to accept the end of its session. */
const DELETE_TIMEOUT_MS = 1000

/**
 * Ends the session at the server. Resolves when the server has answered, or does not answer in time. `headers` are
 * those without credentials.
 */
export async function endSession(
  dispatcher: Dispatcher,
  url: string,
  headers: readonly string[],
  authorized: AuthorizedRequests | undefined,
): Promise<void> {
  const ended = authorized
    ? endAuthorized(dispatcher, url, headers, authorized)
    : remove(dispatcher, url, headers)
  await within(ended, DELETE_TIMEOUT_MS)
}

async function endAuthorized(
  dispatcher: Dispatcher,
  url: string,
  base: readonly string[],
  authorized: AuthorizedRequests,
): Promise<void> {
  for (const repeated of [false, true]) {
    const { headers, sent } = await authorized.present('DELETE', url, base)
    const challenge = await remove(dispatcher, url, headers, given => authorized.answered(given))
    if (!challenge || (await authorized.refused(challenge, sent, repeated)) !== true) return
  }
}

/** Resolves with what the server says about the credentials. */
function remove(
  dispatcher: Dispatcher,
  url: string,
  headers: readonly string[],
  answered?: (headers: Headers) => void,
): Promise<CredentialChallenge | undefined> {
  const { pathname, search } = new URL(url)
  let challenge: CredentialChallenge | undefined
  return new Promise((resolve, reject) => {
    dispatcher.dispatch(
      { path: pathname + search, method: 'DELETE', headers: headers as string[] },
      {
        onRequestStart() {},
        onResponseStart(_, status, given) {
          answered?.(given)
          challenge = challengeOf(status, given)
        },
        onResponseData() {},
        onResponseEnd: () => resolve(challenge),
        onResponseError: (_, error) => reject(error),
      },
    )
  })
}
