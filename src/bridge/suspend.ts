import type { CallHandler, CallMiddleware } from '../core/compose.ts'
import { GatewayError } from '../core/errors.ts'
import type { Exchange, Json, JsonObject, Outcome } from '../core/exchange.ts'
import { isJsonObject } from '../core/json-object.ts'
import type { Route } from '../core/route.ts'
import { isReplicaId, type ReplicaId } from '../core/call-state.ts'
import { rawAt, withMembers } from '../protocol/json-text.ts'
import { WithParams } from '../core/derived-exchange.ts'
import type { SuspendedCalls } from './suspended-calls.ts'
import { INPUT_CALLS, openState } from './request-state.ts'
import type { Seal } from '../state/seal.ts'

export interface SuspendOptions {
  readonly suspendedCalls: SuspendedCalls
  readonly seal: Seal
  /** Whether a replica of a server is still at its location. */
  readonly hasReplica: (server: string, replica: ReplicaId) => Promise<boolean>
}

/**
 * Handles calls of modern clients that can be asked: requests of a legacy server suspend them, and retries with answers
 * resume them. State of a modern server is returned to it unchanged.
 */
export function suspend(options: SuspendOptions): CallMiddleware {
  const { suspendedCalls } = options
  return next => (exchange, route) => {
    const { method, params } = exchange.request
    if (!exchange.modern || !INPUT_CALLS.has(method)) return next(exchange, route)
    const given = params?.value.requestState
    if (given !== undefined) return resumed(options, next, exchange, route, given)
    return exchange.features === ''
      ? next(exchange, route)
      : suspendedCalls.start(exchange, call => next(call, route))
  }
}

/** Continues with a retry that carries sealed state. */
async function resumed(
  { suspendedCalls, seal, hasReplica }: SuspendOptions,
  next: CallHandler,
  exchange: Exchange,
  route: Route,
  given: unknown,
): Promise<Outcome> {
  const { params } = exchange.request
  if (typeof given !== 'string') throw new GatewayError('invalid_params', '"requestState" must be a string.')
  const state = await openState(seal, exchange, given)
  if (state.kind === 'suspended') return await suspendedCalls.resume(state.call, state.round, exchange)
  if (state.kind !== 'server' && state.kind !== 'again')
    throw new GatewayError(
      'invalid_params',
      '"requestState" was given out by another version of the gateway. Make the call again without it; it may have been run in part.',
    )
  if (state.kind === 'server' && state.server !== route.server)
    throw new GatewayError('invalid_params', '"requestState" belongs to another server.')
  if (state.kind === 'server') {
    const { replica } = state
    // What one server has said about a call is not for another server that has its name now.
    if (!isReplicaId(replica) || !(await hasReplica(route.server, replica)))
      throw new GatewayError(
        'invalid_params',
        `"requestState" belongs to a server that is not there any more: "${route.server}" is at another location. Make the call again without it; it may have been run in part.`,
      )
    exchange.state.stick(replica)
  }
  const changes =
    state.kind === 'server'
      ? { requestState: state.state, ...responses(params, state.answered) }
      : { requestState: undefined, inputResponses: undefined }
  const restored = withChangedParams(exchange, changes)
  return await suspendedCalls.start(restored, call => next(call, route))
}

/** The answers of the client, together with those it was not asked for. */
function responses(
  params: Json<JsonObject> | undefined,
  answered: Readonly<Record<string, string>>,
): { inputResponses?: string } {
  if (Object.keys(answered).length === 0) return {}
  const given = isJsonObject(params?.value.inputResponses) && rawAt(params.text, 'inputResponses')
  return { inputResponses: withMembers(given || '{}', answered) }
}

/** The exchange with some members of its parameters replaced by raw JSON, or removed. */
export function withChangedParams(
  exchange: Exchange,
  changes: Readonly<Record<string, string | undefined>>,
): Exchange {
  const text = withMembers(exchange.request.params?.text ?? '{}', changes)
  return new WithParams(exchange, { text, value: JSON.parse(text) as Record<string, unknown> })
}
