import { authenticateClient, type ClientAuthentication } from './client-authentication.ts'
import type { DpopKey } from './dpop-key.ts'
import { refusalDetail, OAuthFailure } from './failure.ts'

/** A request to a token endpoint (RFC 6749, section 3.2). */
export interface TokenRequest {
  /** How a message begins, such as `The server "x": the token request`. */
  readonly about: string
  readonly endpoint: string
  /** Parameters without those that authenticate the gateway. */
  readonly form: Readonly<Record<string, string | undefined>>
  readonly client: ClientAuthentication
  /** Binds the tokens to a key. */
  readonly dpop?: DpopKey | undefined
  readonly fetch: (url: string | URL, init?: RequestInit) => Promise<Response>
  readonly signal: AbortSignal
}

/** An answer whose form is checked. */
export interface TokenAnswer {
  readonly accessToken: string
  /** In lower case: `bearer`, `dpop`, `n_a`. */
  readonly tokenType: string
  /** `undefined`: the authorization server does not say. */
  readonly expiresInSeconds: number | undefined
  readonly refreshToken: string | undefined
  readonly scope: string | undefined
  readonly idToken: string | undefined
  readonly issuedTokenType: string | undefined
}

/** Tokens travel in headers, which servers limit to a few KiB; nothing sensible is longer. */
const MAX_TOKEN_CHARS = 16_384
const MAX_SCOPE_CHARS = 8192
/** Ten years: more is a mistake, and dates have an end. */
const MAX_SECONDS = 10 * 365 * 86_400

/** What the errors of RFC 6749, 7523, 8628, 8693, 8707 and 9449 are mended by. Others are not shown. */
const FIXES: Readonly<Record<string, (key: string) => string>> = {
  invalid_client: key => `check ${key}.clientId and what authenticates it`,
  invalid_grant: () => 'log in again, or renew what was presented',
  unauthorized_client: key => `allow this grant for the client ${key}.clientId there`,
  unsupported_grant_type: key => `set ${key}.grant to one that is supported there`,
  invalid_scope: key => `set ${key}.scopes to scopes that exist there`,
  invalid_target: key => `set ${key}.resource, to "none" if the authorization server knows no resources`,
  invalid_request: key => `check the keys of ${key} against what the authorization server expects`,
  access_denied: () => 'ask for the permission there',
  invalid_dpop_proof: () => 'check the clock of this machine',
  use_dpop_nonce: () => 'try again',
  temporarily_unavailable: () => 'try again later',
  server_error: () => 'try again later',
  authorization_pending: () => 'finish the login',
  slow_down: () => 'finish the login',
  expired_token: () => 'begin the login again',
}

const TRANSIENT = new Set(['temporarily_unavailable', 'server_error', 'authorization_pending', 'slow_down'])

/**
 * Asks a token endpoint. A refusal for the lack of a nonce (RFC 9449) is answered once.
 * @throws OAuthFailure with a sentence that can be shown; the reason of the signal
 */
export async function requestToken(request: TokenRequest): Promise<TokenAnswer> {
  const response = await send(request)
  const noted = request.dpop?.noteNonce(request.endpoint, response.headers.get('dpop-nonce'))
  const body = await json(response)
  if (noted === true && body?.['error'] === 'use_dpop_nonce') {
    const again = await send(request)
    request.dpop?.noteNonce(request.endpoint, again.headers.get('dpop-nonce'))
    return answerOf(request, again, await json(again))
  }
  return answerOf(request, response, body)
}

async function send(request: TokenRequest): Promise<Response> {
  const { endpoint, client, dpop, signal } = request
  const form = new URLSearchParams()
  for (const [name, value] of Object.entries(request.form)) if (value !== undefined) form.set(name, value)
  const headers = new Headers({
    'content-type': 'application/x-www-form-urlencoded',
    accept: 'application/json',
  })
  await authenticateClient(form, headers, client)
  if (dpop) headers.set('dpop', dpop.proof('POST', endpoint))
  try {
    return await request.fetch(endpoint, {
      method: 'POST',
      headers,
      body: form.toString(),
      redirect: 'error',
      signal,
    })
  } catch (cause) {
    if (signal.aborted || cause instanceof OAuthFailure) throw cause
    throw new OAuthFailure(`${request.about} failed. ${causeOf(cause, endpoint)}`, {
      cause,
      isTransient: isTransient(cause),
    })
  }
}

/** The guarded fetch says in its own words why it failed. */
function causeOf(cause: unknown, endpoint: string): string {
  const isFetchError = cause instanceof Error && cause.name === 'FetchError'
  return isFetchError
    ? cause.message
    : `${hostOf(endpoint)} cannot be reached. Fix: check that it is running.`
}

function isTransient(cause: unknown): boolean {
  const { failure } = cause as { failure?: unknown }
  return failure === undefined || failure === 'timeout' || failure === 'unreachable'
}

async function json(response: Response): Promise<Readonly<Record<string, unknown>> | undefined> {
  try {
    const value: unknown = JSON.parse(await response.text())
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : undefined
  } catch {
    return undefined
  }
}

function answerOf(
  request: TokenRequest,
  response: Response,
  body: Readonly<Record<string, unknown>> | undefined,
): TokenAnswer {
  const { status } = response
  const error = body?.['error']
  if (!response.ok || error !== undefined) throw refusal(request, status, body)
  const wrong = (what: string): never => {
    throw new OAuthFailure(
      `${request.about} got an answer of ${hostOf(request.endpoint)} that ${what}. Fix: check that ${request.client.key} leads to a token endpoint.`,
    )
  }
  if (!body) return wrong('is no JSON object')
  const accessToken = body['access_token']
  if (!isToken(accessToken)) return wrong('has no usable access token')
  const tokenType = body['token_type']
  if (typeof tokenType !== 'string') return wrong('does not say of which type its token is')
  const { refresh_token: refreshToken, scope, id_token: idToken, issued_token_type: issued } = body
  return {
    accessToken,
    tokenType: tokenType.toLowerCase(),
    expiresInSeconds: secondsOf(body['expires_in']),
    refreshToken: isToken(refreshToken) ? refreshToken : undefined,
    scope: typeof scope === 'string' && scope.length <= MAX_SCOPE_CHARS ? scope : undefined,
    idToken: isToken(idToken) ? idToken : undefined,
    issuedTokenType: typeof issued === 'string' ? issued : undefined,
  }
}

/** A token that a header can carry. */
function isToken(value: unknown): value is string {
  return typeof value === 'string' && value.length <= MAX_TOKEN_CHARS && /^[\x21-\x7e]+$/.test(value)
}

/** Some authorization servers write the number as a text, and some write 0 for a token without an end. */
function secondsOf(value: unknown): number | undefined {
  const seconds = typeof value === 'string' && value.trim() !== '' ? Number(value) : value
  if (typeof seconds !== 'number' || !Number.isFinite(seconds) || seconds < 1) return undefined
  return Math.min(seconds, MAX_SECONDS)
}

function refusal(
  { about, endpoint, client }: TokenRequest,
  status: number,
  body: Readonly<Record<string, unknown>> | undefined,
): OAuthFailure {
  const { error, error_description: description } = body ?? {}
  const fix = typeof error === 'string' && Object.hasOwn(FIXES, error) ? FIXES[error] : undefined
  const code = fix && (error as string)
  const isTransient = status === 429 || status >= 500 || (code !== undefined && TRANSIENT.has(code))
  const how = code ?? `status ${status}${body ? '' : ', and what came is no JSON'}`
  const mend = fix?.(client.key) ?? (isTransient ? 'try again later' : `check the keys of ${client.key}`)
  return new OAuthFailure(`${about} was refused by ${hostOf(endpoint)} (${how}). Fix: ${mend}.`, {
    code,
    detail: refusalDetail([error, description], client.clientSecret),
    isTransient,
  })
}

function hostOf(url: string): string {
  return URL.canParse(url) ? new URL(url).host : 'the token endpoint'
}
