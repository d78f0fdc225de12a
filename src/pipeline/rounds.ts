import type { Middleware } from '../core/compose.ts'
import { GatewayError } from '../core/errors.ts'
import type { Exchange, JsonObject, Outcome } from '../core/exchange.ts'
import { rawAt, withMembers } from '../protocol/json-text.ts'
import { sealState } from '../relay/request-state.ts'
import type { Seal } from '../relay/seal.ts'
import { askAll } from './ask-all.ts'
import { withChanges } from './park.ts'

/** A server that is not satisfied after so many rounds will not be. */
export const MAX_ROUNDS = 8
/** Between rounds in which nothing is asked: the server only wants to be called again. */
const PACE_MS = 250
/** Revision 2025-11-25: the client has to visit a URL first. */
const URL_ELICITATION_REQUIRED = -32042
/** Revision 2026-07-28: the client lacks a capability the call needs. */
const MISSING_CAPABILITY = -32021

/**
 * A modern server that needs input answers `input_required`. For a legacy client the gateway asks, and calls again with the answers; a modern
 * client gets the questions itself, with the server's state sealed.
 */
export function rounds(seal: Seal): Middleware {
  return next => async (exchange, route) => {
    let outcome = await next(exchange, route)
    if (outcome.kind === 'error') return await afterError(seal, exchange, route.server, outcome)
    if (!needsInput(outcome)) return outcome
    if (exchange.modern) return await sealedFor(seal, exchange, route.server, outcome)
    for (let round = 1; needsInput(outcome); round++) {
      if (round > MAX_ROUNDS)
        throw new GatewayError(
          'upstream_protocol',
          `Server "${route.server}" asked for input ${MAX_ROUNDS} times without an end.`,
          { server: route.server, delivery: 'answered' },
        )
      const answers = await askAll(exchange, route.server, {
        text: outcome.text,
        value: outcome.value as JsonObject,
      })
      if (answers === undefined) await new Promise(resolve => setTimeout(resolve, PACE_MS))
      if (exchange.cancellation.reason !== undefined)
        throw new GatewayError('cancelled', 'The request was cancelled.', { server: route.server })
      const retry = withChanges(exchange, {
        inputResponses: answers,
        requestState: rawAt(outcome.text, 'requestState'),
      })
      outcome = await next(retry, route)
    }
    return outcome
  }
}

type Result = Extract<Outcome, { kind: 'result' }>

function needsInput(outcome: Outcome): outcome is Result {
  return (
    outcome.kind === 'result' &&
    outcome.modern &&
    (outcome.value as JsonObject | null)?.resultType === 'input_required'
  )
}

async function sealedFor(seal: Seal, exchange: Exchange, server: string, outcome: Result): Promise<Outcome> {
  const state = await sealState(seal, exchange, {
    kind: 'server',
    server,
    state: rawAt(outcome.text, 'requestState'),
  })
  return { ...outcome, text: withMembers(outcome.text, { requestState: JSON.stringify(state) }) }
}

async function afterError(
  seal: Seal,
  exchange: Exchange,
  server: string,
  outcome: Extract<Outcome, { kind: 'error' }>,
): Promise<Outcome> {
  const { code, data } = outcome.value as { code?: unknown; data?: JsonObject }
  if (exchange.modern && code === URL_ELICITATION_REQUIRED && Array.isArray(data?.elicitations)) {
    const requests = (data.elicitations as JsonObject[]).map((elicitation, index) => {
      const { elicitationId: _, ...params } = elicitation
      return `"elicitation-${index + 1}":{"method":"elicitation/create","params":${JSON.stringify({ mode: 'url', ...params })}}`
    })
    const state = await sealState(seal, exchange, { kind: 'again' })
    return {
      kind: 'ready',
      text: `{"resultType":"input_required","inputRequests":{${requests.join(',')}},"requestState":"${state}"}`,
    }
  }
  if (!exchange.modern && code === MISSING_CAPABILITY) {
    const missing = Object.keys((data?.requiredCapabilities ?? {}) as JsonObject).join(', ') || 'a capability'
    throw new GatewayError(
      'cannot_ask',
      `Server "${server}" needs ${missing} of the client, which this client does not have.`,
      { server, delivery: 'answered' },
    )
  }
  return outcome
}
