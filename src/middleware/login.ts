import { randomUUID } from 'node:crypto'
import { toClientRequest } from '../bridge/client-request.ts'
import { askClient } from '../core/ask-client.ts'
import { Cancellation } from '../core/cancellation.ts'
import { repeating, type CallHandler, type CallMiddleware } from '../core/compose.ts'
import { CLOCK } from '../core/clock.ts'
import { GatewayError, type ErrorCode } from '../core/errors.ts'
import type { Exchange, InputRequest, JsonObject, Outcome } from '../core/exchange.ts'
import { isJsonObject } from '../core/json-object.ts'
import type { Principal } from '../core/principal.ts'
import type { Route } from '../core/route.ts'
import type { PendingLogin } from '../credentials/login/pending-login.ts'
import { textResult } from '../protocol/text-result.ts'

/** What calls need of the logins of a gateway. */
export interface CallLogins {
  /** Whether the gateway may have to log in at a server. */
  readonly mayLogIn: (server: string) => boolean
  /**
   * The login of a server for a caller: the one under way, or a new one.
   * @throws GatewayError that says why there is none
   */
  readonly beginLogin: (server: string, principal: Principal) => Promise<PendingLogin>
  /** Lists a server again for the client of a request. @throws GatewayError when that fails */
  readonly listNow: (server: string, exchange: Exchange) => Promise<void>
}

export interface LoginOptions {
  readonly logins: CallLogins
  /** Raw JSON of the gateway's own `serverInfo`. */
  readonly serverInfo: string
}

/**
 * Has a person log in where a server needs it, and makes the call again. A client that can show an address to its user
 * is asked, and the call waits for the login; any other client gets the address in an error. Calls join the login that
 * is under way. Also answers the tool by which a client logs in at a server that was never listed.
 */
export function login(options: LoginOptions): CallMiddleware {
  const { mayLogIn } = options.logins
  return repeating(next => (exchange, route) => {
    if (route.isLogin === true) return answerLoginTool(options, exchange, route)
    if (!mayLogIn(route.server)) return next(exchange, route)
    return next(exchange, route).catch((error: unknown) => afterLogin(options, next, exchange, route, error))
  })
}

/**
 * Logins within one call: the server may ask for another one after the first, for more permissions or because its
 * authorization server has moved.
 */
const MAX_LOGINS = 2

/** Makes a call again that failed for want of a login, once its person has logged in. */
async function afterLogin(
  options: LoginOptions,
  next: CallHandler,
  exchange: Exchange,
  route: Route,
  error: unknown,
): Promise<Outcome> {
  let failure = error
  for (let logins = 0; logins < MAX_LOGINS && asksForLogin(failure); logins++) {
    // Nothing is asked for a call that is over.
    if (exchange.cancellation.reason !== undefined) throw cancelled(route.server)
    await loggedIn(options, exchange, route.server)
    try {
      return await next(exchange, route)
    } catch (caught) {
      failure = caught
    }
  }
  throw failure
}

async function answerLoginTool(options: LoginOptions, exchange: Exchange, route: Route): Promise<Outcome> {
  const { server } = route
  const { serverInfo } = options
  const say = (text: string): Outcome => textResult(text, { modern: exchange.modern, serverInfo })
  for (let logins = 0; ; logins++) {
    try {
      await options.logins.listNow(server, exchange)
      return say(`The gateway is logged in to server "${server}". Its tools are listed now.`)
    } catch (error) {
      if (logins === MAX_LOGINS || !asksForLogin(error)) throw error
    }
    try {
      await loggedIn(options, exchange, server)
    } catch (error) {
      // The address is what the tool is called for.
      if (error instanceof GatewayError && error.link !== undefined)
        return say(`${error.message} ${error.link}`)
      throw error
    }
  }
}

function asksForLogin(error: unknown): boolean {
  return error instanceof GatewayError && error.code === 'needs_login'
}

/**
 * Resolves when the login is completed.
 * @throws GatewayError `needs_login`, with the address for a client that cannot show it; `cancelled`
 */
async function loggedIn({ logins }: LoginOptions, exchange: Exchange, server: string): Promise<void> {
  const pending = await logins.beginLogin(server, exchange.principal)
  if (exchange.cancellation.reason !== undefined) throw cancelled(server)
  if (!canShow(exchange)) throw withLink(server, pending)
  const elicitationId = randomUUID()
  const question = new Cancellation()
  exchange.cancellation.onCancel(reason => question.cancel(reason))
  try {
    const answer = askClient(exchange, questionOf(exchange, server, pending, elicitationId, question))
    const end = await new Promise<'done' | 'decline' | 'cancel'>((resolve, reject) => {
      pending.done.then(() => resolve('done'), reject)
      answer.then(text => {
        const action = actionOf(text)
        // The address is open now, and the login goes on in the browser.
        if (action !== 'accept') resolve(action)
      }, reject)
      exchange.cancellation.onCancel(() => reject(cancelled(server)))
    })
    if (end !== 'done') throw declined(server, end)
  } catch (error) {
    if (exchange.cancellation.reason !== undefined) throw cancelled(server)
    if (error instanceof GatewayError && NOT_SHOWN.has(error.code)) throw withLink(server, pending)
    throw error
  } finally {
    // Modern clients have no such notification.
    if (!exchange.modern)
      exchange.notify('notifications/elicitation/complete', JSON.stringify({ elicitationId }))
    question.cancel('the login is over')
  }
}

/** Failures to ask: such a client gets the address in an error after all. */
const NOT_SHOWN: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'cannot_ask',
  'missing_capability',
  'overloaded',
  'forbidden',
])

/** Whether the client can show an address to its user during this request. */
function canShow({ features, canBeAsked }: Exchange): boolean {
  if (canBeAsked === 'never' || features === '') return false
  const { elicitation } = JSON.parse(features) as { readonly elicitation?: { readonly url?: unknown } }
  return isJsonObject(elicitation?.url)
}

function questionOf(
  exchange: Exchange,
  server: string,
  { url, code }: PendingLogin,
  elicitationId: string,
  cancellation: Cancellation,
): InputRequest {
  const enter = code === undefined ? '' : ` and enter the code ${code}`
  const message = `This server needs a login. Open the address${enter}, and log in there; the call then goes on by itself.`
  const value = { mode: 'url', message, url, elicitationId }
  const params = JSON.stringify(value)
  const request = { method: 'elicitation/create', params, server, cancellation } as const
  return toClientRequest(request, { text: params, value }, exchange)
}

/** What the user has decided. An answer without an action is none. */
function actionOf(text: string): 'accept' | 'decline' | 'cancel' {
  const { action } = JSON.parse(text) as JsonObject
  return action === 'accept' || action === 'decline' ? action : 'cancel'
}

/** The error for a client that cannot show an address: a model or a person reads it. */
function withLink(server: string, { url, code, expiresAt }: PendingLogin): GatewayError {
  const minutes = Math.max(1, Math.round((expiresAt - CLOCK.wall()) / 60_000))
  const enter = code === undefined ? '' : `enter the code ${code}, `
  return new GatewayError(
    'needs_login',
    `Server "${server}" needs a login. Ask the user to open the following link in a browser, ${enter}log in there, and then make this call again. The link is valid for ${minutes} minutes:`,
    { server, link: url },
  )
}

function declined(server: string, how: 'decline' | 'cancel'): GatewayError {
  const what = how === 'decline' ? 'declined' : 'did not go on with'
  return new GatewayError(
    'needs_login',
    `Server "${server}" needs a login, which the user ${what}. Make the call again to be asked again.`,
    { server },
  )
}

function cancelled(server: string): GatewayError {
  return new GatewayError('cancelled', 'The request was cancelled.', { server })
}
