import { GatewayError } from '../core/errors.ts'
import type { CredentialRefusal } from '../core/upstream-credentials.ts'

type List = readonly string[]

/** What a refusal of headers depends on, wherever they come from. */
export interface RefusedHeaders {
  readonly server: string
  /** Those of now. */
  readonly headers: () => List | Promise<List>
  /** Gets others. Resolves to why there are none, where that is known. `undefined`: nothing can be done. */
  readonly renew?: (() => Promise<string | undefined>) | undefined
  /** What the error says after the name of the server. */
  readonly why: (after: {
    readonly status: number
    readonly renewed: boolean
    readonly failure?: string
  }) => string
}

/** Another try is worth it with headers that have changed in the meantime, or, after a 401, with those got anew. */
export async function afterRefusal(
  { status, sent }: CredentialRefusal,
  { server, headers, renew, why }: RefusedHeaders,
): Promise<true | GatewayError> {
  try {
    if ((await headers()) !== sent) return true
    const renewed = status === 401 && renew !== undefined
    const failure = renewed ? await renew() : undefined
    if (renewed && (await headers()) !== sent) return true
    const said = why({ status, renewed, ...(failure !== undefined && { failure }) })
    return refusedBy(server, said)
  } catch (error) {
    return GatewayError.from(error, server)
  }
}

/** The error of credentials that cannot be had, or that a server does not accept. `why` is safe to show. */
export function refusedBy(server: string, why: string): GatewayError {
  return new GatewayError('upstream_unauthorized', `Server "${server}" ${why}`, { server })
}
