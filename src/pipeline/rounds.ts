import type { Middleware } from '../core/compose.ts'
import { Cancellation } from '../core/cancellation.ts'
import { GatewayError } from '../core/errors.ts'
import {
  INPUT_METHODS,
  type Exchange,
  type InputMethod,
  type JsonObject,
  type Outcome,
} from '../core/exchange.ts'
import { rawAt, withMembers } from '../protocol/json-text.ts'
import { presented } from '../relay/ask.ts'
import { sealState } from '../relay/request-state.ts'
import type { Seal } from '../relay/seal.ts'
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
      const answers = await askAll(exchange, route.server, outcome)
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

/** Raw JSON of the answers by key, `undefined` when nothing was asked. */
async function askAll(exchange: Exchange, server: string, outcome: Result): Promise<string | undefined> {
  const requests = (outcome.value as JsonObject).inputRequests
  if (typeof requests !== 'object' || requests === null || Object.keys(requests).length === 0)
    return undefined
  const cancellation = new Cancellation()
  exchange.cancellation.onCancel(reason => cancellation.cancel(reason))
  try {
    const answers = await Promise.all(
      Object.entries(requests).map(async ([key, value]) => {
        const { method, params } = (value ?? {}) as { method?: InputMethod; params?: unknown }
        if (method === undefined || !INPUT_METHODS.includes(method))
          throw new GatewayError(
            'cannot_ask',
            `Server "${server}" asks for ${String(method).slice(0, 100)}, which the gateway does not know.`,
            { server },
          )
        const text = rawAt(outcome.text, 'inputRequests', key, 'params')
        const request = { method, params: text, server, cancellation }
        const answer = await exchange.ask(
          presented(request, text === undefined ? undefined : { text, value: params }, exchange),
        )
        return `${JSON.stringify(key)}:${answer}`
      }),
    )
    return `{${answers.join(',')}}`
  } finally {
    // One refusal ends the round; the other questions are then pointless.
    cancellation.cancel('no longer needed')
  }
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
