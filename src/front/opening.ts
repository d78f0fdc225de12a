import type { ServerResponse } from 'node:http'
import { GatewayError } from '../core/errors.ts'
import { CallRecord } from '../core/exchange.ts'
import type { Principal } from '../core/principal.ts'
import type { Incoming } from '../protocol/message.ts'
import { refuseStream } from './answers.ts'
import type { Credential } from './authenticator.ts'
import type { Opening, Service } from './service.ts'

/** What opens a session or a stream of the legacy era is a request like others: it counts for the limits of whoever sends it. */

interface Place {
  readonly view: string
  readonly credential: Credential
}

/** Counts an `initialize`; resolves with the error that answers it when a limit refuses it. */
export async function admitSession(
  service: Service,
  { view, credential }: Place,
  { method, params }: Incoming,
): Promise<GatewayError | undefined> {
  try {
    await service.admit(opening(credential.principal, view, { method, params, progressToken: undefined }))
    return undefined
  } catch (caught) {
    return GatewayError.from(caught)
  }
}

/** Counts a stream that carries no answer. `false`: it was refused, with status 429, or its client has left meanwhile. */
export async function admitStream(
  service: Service,
  { view, credential }: Place,
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

function opening(principal: Principal, view: string, request: Opening['request']): Opening {
  return { principal, view, modern: false, request, record: new CallRecord() }
}
