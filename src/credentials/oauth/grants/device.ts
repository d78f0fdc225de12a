import { setTimeout as pause } from 'node:timers/promises'
import { authenticateClient, authenticationOf } from '../client-authentication.ts'
import { refusalDetail, OAuthFailure } from '../failure.ts'
import type { GrantContext } from '../grant.ts'
import { requestToken } from '../token-request.ts'
import type { TokenSet } from '../token-set.ts'
import { aboutGrant, granted, scopeText, tokenEndpointOf } from './granted.ts'

/** A login by a code that a person types in on another device (RFC 8628). */
export interface DeviceLogin {
  readonly verificationUri: string
  /** The same with the code in it, where the authorization server has such a link. */
  readonly completeUri: string | undefined
  readonly userCode: string
  readonly expiresInSeconds: number
  /** Resolves when a person has agreed. Rejects with an `OAuthFailure`, or the reason of the signal. */
  readonly tokens: Promise<TokenSet>
}

export const DEVICE_CODE = 'urn:ietf:params:oauth:grant-type:device_code'
/** RFC 8628: where the authorization server does not say, and how much slower after a `slow_down`. */
const INTERVAL_SECONDS = 5
const MAX_INTERVAL_SECONDS = 60
const MAX_SECONDS = 30 * 60

/** @throws OAuthFailure; its message names the fix where the authorization server has no device login */
export async function beginDevice(context: GrantContext): Promise<DeviceLogin> {
  const { oauth, metadata, registration, resource, scopes, fetch, signal } = context
  const endpoint = metadata.device_authorization_endpoint
  const about = `The server "${context.server.name}": the device login`
  if (endpoint === undefined)
    throw new OAuthFailure(`${about} is not offered by its authorization server. Fix: log in with a browser.`)
  const form = new URLSearchParams({ ...oauth.extraParams })
  for (const [name, value] of Object.entries({ scope: scopeText(scopes), resource }))
    if (value !== undefined) form.set(name, value)
  const headers = new Headers({
    'content-type': 'application/x-www-form-urlencoded',
    accept: 'application/json',
  })
  await authenticateClient(form, headers, authenticationOf(context))
  const started = performance.now()
  const device = await deviceOf(
    { about, secret: registration.clientSecret },
    () => fetch(endpoint, { method: 'POST', headers, body: form.toString(), redirect: 'error', signal }),
    signal,
  )
  const tokens = poll(context, device, started)
  // It may fail before it is awaited.
  tokens.catch(() => undefined)
  const { verificationUri, completeUri, userCode, expiresInSeconds } = device
  return { verificationUri, completeUri, userCode, expiresInSeconds, tokens }
}

interface Device {
  readonly deviceCode: string
  readonly userCode: string
  readonly verificationUri: string
  readonly completeUri: string | undefined
  readonly expiresInSeconds: number
  readonly intervalSeconds: number
}

async function deviceOf(
  { about, secret }: { readonly about: string; readonly secret: string | undefined },
  ask: () => Promise<Response>,
  signal: AbortSignal,
): Promise<Device> {
  let status: number | undefined
  let answer: unknown
  try {
    const response = await ask()
    status = response.status
    answer = JSON.parse(await response.text())
  } catch (cause) {
    if (signal.aborted) throw cause
    const said = cause instanceof Error && cause.name === 'FetchError' ? ` ${cause.message}` : ''
    if (status === undefined)
      throw new OAuthFailure(`${about} could not begin.${said}`, { cause, isTransient: true })
  }
  const { device_code: deviceCode, user_code: userCode, ...rest } = (answer ?? {}) as Record<string, unknown>
  const link = rest['verification_uri'] ?? rest['verification_url']
  const complete = rest['verification_uri_complete']
  const isUsable =
    status === 200 &&
    isShort(deviceCode, 4096) &&
    isShort(userCode, 64) &&
    isShort(link, 2048) &&
    isLink(link)
  if (!isUsable) {
    const { error, error_description: description } = (answer ?? {}) as Record<string, unknown>
    const isUnknown = error === 'invalid_client' || error === 'unauthorized_client'
    const fix = isUnknown
      ? 'allow the device login for the client oauth.clientId there'
      : 'log in with a browser'
    throw new OAuthFailure(
      `${about} was refused by its authorization server (status ${status}). Fix: ${fix}.`,
      {
        code: isUnknown ? error : undefined,
        detail: refusalDetail([error, description], secret),
        isTransient: (status ?? 0) >= 500,
      },
    )
  }
  return {
    deviceCode,
    userCode,
    verificationUri: link,
    completeUri: isShort(complete, 2048) && isLink(complete) ? complete : undefined,
    expiresInSeconds: within(rest['expires_in'], MAX_SECONDS, MAX_SECONDS),
    intervalSeconds: within(rest['interval'], INTERVAL_SECONDS, MAX_INTERVAL_SECONDS),
  }
}

/** Asks until a person has decided, or the code has ended. */
async function poll(context: GrantContext, device: Device, started: number): Promise<TokenSet> {
  const { dpop, fetch, signal } = context
  const ends = started + device.expiresInSeconds * 1000
  let seconds = device.intervalSeconds
  for (;;) {
    if (performance.now() + seconds * 1000 > ends) {
      const message = `The server "${context.server.name}": the code of the device login has ended. Fix: begin the login again.`
      throw new OAuthFailure(message, { code: 'expired_token' })
    }
    await pause(seconds * 1000, undefined, { signal, ref: false })
    try {
      const answer = await requestToken({
        about: aboutGrant(context),
        endpoint: tokenEndpointOf(context),
        form: { grant_type: DEVICE_CODE, device_code: device.deviceCode },
        client: authenticationOf(context),
        dpop,
        fetch,
        signal,
      })
      return granted(context, answer)
    } catch (error) {
      if (!(error instanceof OAuthFailure) || !error.isTransient) throw error
      if (error.code === 'slow_down') seconds += INTERVAL_SECONDS
      // The network, or the server, needs a rest.
      else if (error.code !== 'authorization_pending') seconds *= 2
      seconds = Math.min(seconds, MAX_INTERVAL_SECONDS)
    }
  }
}

function isShort(value: unknown, max: number): value is string {
  return typeof value === 'string' && value.length <= max && /^[\x21-\x7e]+$/.test(value)
}

/** A page that a person may be sent to. */
function isLink(value: string): boolean {
  return URL.canParse(value) && /^https?:$/.test(new URL(value).protocol)
}

function within(value: unknown, otherwise: number, most: number): number {
  return typeof value === 'number' && value > 0 ? Math.min(value, most) : otherwise
}
