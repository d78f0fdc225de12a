import type { IncomingMessage, ServerResponse } from 'node:http'
import { json } from '../responses.ts'
import type { Authenticator } from '../authenticator.ts'
import type { Service } from '../service.ts'
import { isDirect } from './guards.ts'

/** Whether every required server is there, and what to say of it. */
export interface ReadinessAnswer {
  readonly ready: boolean
  /** For this machine. */
  readonly inFull: readonly object[]
  /** For callers elsewhere who may use them. */
  readonly servers: readonly { readonly name: string }[]
}

/** Answers `/readyz`. The names of servers are for this machine, and for callers who may use them. */
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
    // A load balancer shows no credentials, and needs no names.
    json(response, status, { ready })
  }
}
