import { describeError, GatewayError } from '../../core/errors.ts'
import type { Logger } from '../../core/logger.ts'
import type { PageAnswer } from '../../core/page.ts'
import type { Authorizer } from '../oauth/authorization.ts'
import { loginErrorOf } from './login-errors.ts'
import { digestOf, isEqual, loginIdOf, type LoginRecord, type LoginRecords } from './login-records.ts'
import { messagePage } from './pages.ts'
import type { LoginWording } from './wording.ts'

/** The address to which an authorization server has sent a browser. */
export interface Callback {
  readonly query: URLSearchParams
  /**
   * The cookie that the browser has for a login; `undefined` where the callback is at this machine, which is the
   * browser's own.
   */
  readonly browser: ((id: string) => string | undefined) | undefined
}

/** What became of a callback. */
export interface CallbackEnd {
  readonly page: PageAnswer
  /** Why the login failed that it belongs to. */
  readonly error?: GatewayError
}

interface CallbackParts {
  readonly records: LoginRecords
  readonly authorizer: Pick<Authorizer, 'finish'>
  readonly logger: Logger
  readonly wording: LoginWording
  /** Called when the callback is accepted; the login is over when `finishCallback` resolves. */
  readonly onTaken: (id: string) => void
}

const MAX_STATE_CHARS = 1024
const NOT_VALID = 'This login is not valid'

/**
 * Completes a login by the callback of its browser. A `state` that is unknown, late, used before, or of another browser
 * changes nothing.
 */
export async function finishCallback(callback: Callback, parts: CallbackParts): Promise<CallbackEnd> {
  try {
    return await finished(callback, parts)
  } catch (caught) {
    parts.logger.error('The callback of a login could not be handled.', { cause: describeError(caught) })
    return {
      page: messagePage(
        500,
        'The login could not be completed',
        `The gateway has a problem of its own; its log has the cause. ${parts.wording.again}`,
      ),
      error: GatewayError.from(caught),
    }
  }
}

async function finished({ query, browser }: Callback, parts: CallbackParts): Promise<CallbackEnd> {
  const { records, authorizer, logger, wording } = parts
  const { again } = wording
  const states = query.getAll('state')
  const [state = ''] = states
  if (states.length !== 1 || state === '' || state.length > MAX_STATE_CHARS)
    return refused(400, `The address has no "state" of a login. ${again}`)
  const id = loginIdOf(state)
  const login = await records.get(id)
  const refusal = refusalOf(login, id, state, browser, again)
  if (refusal) {
    logger.info('A callback of a login was refused.', { server: login?.server, reason: refusal.why })
    return refusal.end
  }
  const isFree = (now: LoginRecord): boolean => refusalOf(now, id, state, browser, again) === undefined
  // This process completes it from memory. In the vault, nothing is left of it that could be used.
  const spent = (now: LoginRecord): LoginRecord => ({
    ...now,
    stage: 'taken',
    pending: { ...now.pending, verifier: '' },
  })
  const taken = await records.change(id, now => (isFree(now) ? spent(now) : undefined))
  if (!taken || !login) return refused(409, `It was completed before, or is being completed now. ${again}`)
  parts.onTaken(id)
  const { server } = taken
  try {
    await authorizer.finish(login.pending, query)
  } catch (caught) {
    const error = loginErrorOf(caught, server)
    logger.warn('A login has failed.', { server, owner: taken.owner, cause: describeError(caught) })
    await records.put(id, { ...taken, stage: 'failed', reason: error.message }).catch((failure: unknown) =>
      // The person gets the cause all the same.
      logger.debug('The end of a login could not be stored.', { server, cause: describeError(failure) }),
    )
    const page = messagePage(400, `The login to ${server} has failed`, `${error.message} ${again}`)
    return { page, error }
  }
  await records.put(id, { ...taken, stage: 'done' }).catch((error: unknown) =>
    // The tokens are saved, which other nodes notice as well.
    logger.debug('The end of a login could not be stored.', { server, cause: describeError(error) }),
  )
  const text = `The gateway can use ${server} now. You can close this page and go back to ${wording.backTo}.`
  return { page: messagePage(200, `You are logged in to ${server}`, text) }
}

interface Refusal {
  readonly why: string
  readonly end: CallbackEnd
}

/** Why a callback is refused; `undefined`: it is not. */
function refusalOf(
  login: LoginRecord | undefined,
  id: string,
  state: string,
  browser: Callback['browser'],
  again: string,
): Refusal | undefined {
  const refuse = (why: string, status: number, text: string): Refusal => ({ why, end: refused(status, text) })
  if (!login || !isEqual(login.pending.state, state))
    return refuse('unknown', 404, `No login of this gateway waits for it, or it ended long ago. ${again}`)
  if (login.stage !== 'begun')
    return refuse('used', 409, `It was completed before. Does the server still ask for a login? ${again}`)
  if (login.expiresAt <= Date.now()) return refuse('late', 410, `It was not completed in time. ${again}`)
  // The listener of this machine does not complete what a browser began at the hosted pages, and the other way round.
  if (login.hosted !== (browser !== undefined))
    return refuse('elsewhere', 404, `It was not begun at this address. ${again}`)
  if (!browser) return undefined
  const cookie = browser(id)
  if (login.browser === undefined || cookie === undefined || !isEqual(login.browser, digestOf(cookie)))
    return refuse(
      'browser',
      403,
      'It was begun in another browser. Nothing was stored. Open the link of the login in this browser, or go on in the other one.',
    )
  return undefined
}

function refused(status: number, text: string): CallbackEnd {
  return { page: messagePage(status, NOT_VALID, text) }
}
