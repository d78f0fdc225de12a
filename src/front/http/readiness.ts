import type { IncomingMessage, ServerResponse } from 'node:http'
import { json } from '../responses.ts'
import type { Authenticator } from '../authenticator.ts'
import type { Service } from '../service.ts'
import { isDirect } from './guards.ts'

/** Whether every required server is ready, with details. */
export interface ReadinessAnswer {
  readonly ready: boolean
  /** For this machine. */
  readonly inFull: readonly object[]
  /** For other callers that may use them. */
  readonly servers: readonly { readonly name: string }[]
}

/** Answers `/readyz`. The names of servers are sent only to this machine and to callers that may use them. */
export async function answerReady(
  request: IncomingMessage,
  response: ServerResponse,
  { ready, inFull, servers }: ReadinessAnswer,
  { authenticator, service }: { readonly authenticator: Authenticator; readonly service: Service },
): Promise<void> {
  const status = ready ? 200 : 503
  if (isDirect(request)) return json(response, status, { ready, servers: inFull })
  try {
    const { principal } = await authenticator.authenticate(request, '')
    for (const { name } of servers) await service.known(name, principal)
    const visible = servers.filter(({ name }) => service.viewOf(name, principal) !== undefined)
    json(response, status, { ready, servers: visible })
  } catch {
    // A load balancer sends no credentials, and needs no names.
    json(response, status, { ready })
  }
}
