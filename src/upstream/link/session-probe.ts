import { METHOD_NOT_FOUND, UNSUPPORTED_VERSION } from '../../core/rpc-codes.ts'
import { GatewayError } from '../../core/errors.ts'
import type { JsonObject, ServerOutcome } from '../../core/exchange.ts'
import { isJsonObject } from '../../core/json-object.ts'
import { MODERN, type Era } from '../../protocol/revisions.ts'
import { HttpStatusError } from '../transport/http/http-error.ts'

/** Methods a server may lack although it has the capability they belong to. */
const OPTIONAL = new Set(['resources/templates/list', 'completion/complete', 'ping'])

/**
 * The request by which a link checks that its server is still the same: one that each era always answers, without side
 * effects.
 */
export const CHECK: Readonly<Record<Era, string>> = { legacy: 'ping', modern: 'server/discover' }

/**
 * Whether a refusal suggests that the server has forgotten the session or has been replaced by another one. HTTP 404 in
 * answer to a session id means that by itself. Published servers answer 400 as well, and a server of the other era
 * supports neither the session nor the path of this request.
 */
export function refusalRaisesDoubt(error: GatewayError): boolean {
  const status = error.cause instanceof HttpStatusError ? error.cause.status : undefined
  if (error.code !== 'upstream_unreachable' || error.delivery !== 'not_sent') return false
  return status === 400 || status === 404 || status === 405
}

/** Whether an error may come from a server of another era: neither code is possible after the handshake. */
export function errorRaisesDoubt(method: string, code: unknown): boolean {
  return code === UNSUPPORTED_VERSION || (code === METHOD_NOT_FOUND && !OPTIONAL.has(method))
}

/** Whether a result lacks a member that every result of its era has. */
export function resultRaisesDoubt(era: Era, value: unknown): boolean {
  return era === 'modern' && !(isJsonObject(value) && typeof value.resultType === 'string')
}

/**
 * Whether the answer to `CHECK` comes from the same server. An unreachable or slow server is no evidence against it.
 */
export async function answersCheck(era: Era, answer: Promise<ServerOutcome>): Promise<boolean> {
  let outcome: ServerOutcome
  try {
    outcome = await answer
  } catch (error) {
    return !(error instanceof GatewayError && refusalRaisesDoubt(error))
  }
  if (era === 'modern') {
    const versions =
      outcome.kind === 'result' && isJsonObject(outcome.value) ? outcome.value.supportedVersions : undefined
    return Array.isArray(versions) && versions.includes(MODERN)
  }
  return outcome.kind !== 'error' || (outcome.value as JsonObject).code !== UNSUPPORTED_VERSION
}

export function unknownNow(server: string, cause: GatewayError | undefined): GatewayError {
  const message = `Server "${server}" does not know this conversation any more; it may have been restarted or replaced.`
  return new GatewayError('session_lost', message, { server, cause })
}

/** Session checks of one link. However many requests raise a doubt at once, the server is checked once. */
export class SessionProbe {
  readonly #check: (cause: GatewayError | undefined) => Promise<GatewayError | undefined>
  #checking: Promise<GatewayError | undefined> | undefined
  readonly #dispelled = new Set<string>()

  /** `check` resolves with the reason if the link is lost. */
  constructor(check: (cause: GatewayError | undefined) => Promise<GatewayError | undefined>) {
    this.#check = check
  }

  /**
   * Resolves with the reason if the link is lost: the request that raised the doubt was not executed, and may be sent
   * over another link.
   */
  settle(cause?: GatewayError): Promise<GatewayError | undefined> {
    // A check that cannot be made is no evidence.
    this.#checking ??= this.#check(cause)
      .catch(() => undefined)
      .finally(() => {
        this.#checking = undefined
      })
    return this.#checking
  }

  /** As `settle`, but a doubt that has turned out to be unfounded is not checked again. */
  async settleOnce(what: string): Promise<GatewayError | undefined> {
    if (this.#dispelled.has(what)) return undefined
    const lost = await this.settle()
    if (!lost) this.#dispelled.add(what)
    return lost
  }
}
