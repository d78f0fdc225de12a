import { createHash, randomUUID } from 'node:crypto'
import { endpointOf } from '../core/endpoint.ts'
import type { ReplicaId } from '../core/call-state.ts'
import { monotonicNow } from '../core/clock.ts'
import { GatewayError } from '../core/errors.ts'
import type { Exchange } from '../core/exchange.ts'
import { canonical } from '../core/canonical.ts'
import type { Seal } from '../state/seal.ts'

/** Methods whose calls may require input of the client (specification 2026-07-28, "input required"). */
export const INPUT_CALLS: ReadonlySet<string> = new Set(['tools/call', 'prompts/get', 'resources/read'])

/** Content of a `requestState` of the gateway. */
export type RequestState =
  /** A suspended call of this process, at a legacy server. */
  | { readonly kind: 'suspended'; readonly call: string; readonly round: number }
  /**
   * State of a modern server, as raw JSON; `undefined` if it sent none. `answered`: by key, answers that the client was
   * not asked for, as raw JSON.
   */
  | {
      readonly kind: 'server'
      readonly server: string
      /** The replica that asked. */
      readonly replica: ReplicaId | undefined
      readonly state: string | undefined
      readonly answered: Readonly<Record<string, string>>
    }
  /** Nothing is suspended: the call is simply repeated. */
  | { readonly kind: 'again' }

interface Bound {
  readonly principal: string
  /** By the wall clock, for other processes that can read it. */
  readonly expires: number
  /** The process that sealed it, and its expiry there by a clock that cannot be set. */
  readonly by: string
  readonly until: number
  readonly digest: string
  readonly state: RequestState
}

const PURPOSE = 'requestState'
const PROCESS = randomUUID()

/**
 * Seals state for the client of `exchange`: bound to its principal, to this very request, and to the time allowed for
 * the answer.
 */
export function sealState(
  seal: Seal,
  exchange: Exchange,
  state: RequestState,
  answerTimeoutMs: number,
): Promise<string> {
  const bound: Bound = {
    principal: exchange.principal.id,
    expires: Date.now() + answerTimeoutMs,
    by: PROCESS,
    until: monotonicNow() + answerTimeoutMs,
    digest: digestOf(exchange),
    state,
  }
  return seal.seal(PURPOSE, bound)
}

/**
 * @throws GatewayError `invalid_params` for state that was changed, has expired, or belongs to another client or
 * request
 */
export async function openState(seal: Seal, exchange: Exchange, text: string): Promise<RequestState> {
  const bound = (await seal.open(PURPOSE, text)) as Bound | undefined
  // The state of another client is answered like invalid state, so that only its owner can find out that it exists.
  if (bound?.principal !== exchange.principal.id)
    throw new GatewayError(
      'invalid_params',
      '"requestState" was not given out here to this client, or has been changed.',
    )
  if (bound.digest !== digestOf(exchange))
    throw new GatewayError('invalid_params', '"requestState" belongs to another request.')
  if (bound.by === PROCESS ? bound.until < monotonicNow() : bound.expires < Date.now())
    throw new GatewayError('invalid_params', '"requestState" has expired; make the call again without it.')
  return bound.state
}

/**
 * Digest of a request. Equal for its retries, independent of the order of members, and also when a reload has given the
 * client another view: what it may do is decided again.
 */
function digestOf(exchange: Exchange): string {
  const { method, params } = exchange.request
  const { inputResponses: _responses, requestState: _state, _meta, ...rest } = params?.value ?? {}
  return createHash('sha256')
    .update(`${method}\n${endpointOf(exchange.view)}\n${canonical(rest)}`)
    .digest('base64url')
}
