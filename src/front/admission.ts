import type { ServerResponse } from 'node:http'
import { GatewayError } from '../core/errors.ts'
import { CallTrace } from '../core/call-trace.ts'
import type { Opening } from '../core/client-request.ts'
import { HttpError } from '../core/http-error.ts'
import type { Principal } from '../core/principal.ts'
import type { Incoming } from '../protocol/message.ts'
import { refuseStream } from './responses.ts'
import type { Credential } from './authenticator.ts'
import type { Service } from './service.ts'

/**
 * Admission of requests that open a legacy session or stream. They count for the limits of their sender like other
 * requests.
 */

interface Access {
  readonly view: string
  readonly credential: Credential
}

/** Counts an `initialize`. Resolves with the error to answer when a limit refuses it. */
export async function admitSession(
  service: Service,
  { view, credential }: Access,
  { method, params }: Incoming,
): Promise<GatewayError | undefined> {
  try {
    await service.admit(opening(credential.principal, view, { method, params, progressToken: undefined }))
    return undefined
  } catch (caught) {
    return GatewayError.from(caught)
  }
}

/**
 * Counts a stream that carries no answer. `false`: it was refused with status 429, or the client has disconnected in
 * the meantime.
 */
export async function admitStream(
  service: Service,
  { view, credential }: Access,
  response: ServerResponse,
): Promise<boolean> {
  const request = { method: 'GET', params: undefined, progressToken: undefined }
  try {
    await service.admit(opening(credential.principal, view, request))
    return !response.destroyed
  } catch (caught) {
    refuseStream(response, GatewayError.from(caught))
    return false
  }
}

/** The members of a request that could be read. */
export type PartialRequest = Partial<Pick<Incoming, 'method' | 'params'>> & { readonly modern?: boolean }

/** Counts and records a request that was refused before it became a call, then hands on the error that answers it. */
export function turnDown(
  service: Service,
  { principal, view }: Pick<Opening, 'principal' | 'view'>,
  { method = 'POST', params, modern = false }: PartialRequest,
  error: GatewayError,
  answer: (error: GatewayError) => void,
): void {
  const request = { method, params, progressToken: undefined }
  const refused = { ...opening(principal, view, request), modern, refusal: error }
  void service.admit(refused).catch((caught: unknown) => answer(GatewayError.from(caught)))
}

/**
 * As `turnDown`, over HTTP, for a body that is no message or has no session. Rejects with the error that answers it.
 */
export async function turnDownPost(service: Service, access: Access, caught: unknown): Promise<never> {
  if (caught instanceof GatewayError && caught.code === 'cancelled') throw caught
  const error =
    caught instanceof HttpError
      ? new GatewayError(caught.status === 413 ? 'too_large' : 'invalid_request', caught.message)
      : GatewayError.from(caught)
  const asked = { principal: access.credential.principal, view: access.view }
  await new Promise<void>((resolve, reject) =>
    turnDown(service, asked, {}, error, answer => {
      if (answer === error) resolve()
      else reject(tooMany(answer))
    }),
  )
  throw caught
}

function tooMany({ message, retryAfterMs = 1000 }: GatewayError): HttpError {
  return new HttpError(429, message, { 'retry-after': String(Math.ceil(retryAfterMs / 1000)) })
}

function opening(principal: Principal, view: string, request: Opening['request']): Opening {
  return { principal, view, modern: false, request, trace: new CallTrace(), passed: 0 }
}
