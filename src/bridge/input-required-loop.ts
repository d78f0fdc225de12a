import { replicaIdOf } from '../core/call-state.ts'
import { repeating, type CallMiddleware } from '../core/compose.ts'
import { MISSING_CAPABILITY, URL_ELICITATION_REQUIRED } from '../core/rpc-codes.ts'
import { GatewayError } from '../core/errors.ts'
import type { Exchange, Json, JsonObject, Outcome, ServerResult, ServerError } from '../core/exchange.ts'
import { isJsonObject } from '../core/json-object.ts'
import { pause } from '../core/timeout.ts'
import { elements, rawAt, withMembers } from '../protocol/json-text.ts'
import { labelled, labelledRequests } from './client-request.ts'
import { checkCount } from './input-requests.ts'
import { sealState } from './request-state.ts'
import type { Seal } from '../state/seal.ts'
import { answeredHere, askAll, type AskingServer } from './ask-client.ts'
import { withChangedParams } from './suspend.ts'

/** Pause between rounds without a question, in which the server only requires another call. */
const PACE_MS = 250

export interface InputRequiredLoopOptions {
  readonly seal: Seal
  /** The configuration of a server. */
  readonly serverOf: (server: string) => AskingServer
  /** Maximum number of rounds of questions in one call. */
  readonly maxRounds: number
  /** How long a client may take to answer. */
  readonly answerTimeoutMs: number
}

/**
 * Handles `input_required` answers of modern servers. For a legacy client the gateway asks, and repeats the call with
 * the answers. A modern client gets the questions itself, with the server's state sealed. The client is not asked what
 * the configuration answers.
 */
export function inputRequiredLoop(options: InputRequiredLoopOptions): CallMiddleware {
  const { serverOf, maxRounds } = options
  return repeating(next => async (exchange, route) => {
    let outcome = await next(exchange, route)
    if (outcome.kind === 'error') return await afterError(options, exchange, route.server, outcome)
    if (!needsInput(outcome)) return outcome
    const server = serverOf(route.server)
    for (let round = 1; needsInput(outcome); round++) {
      const answered = answeredHere(server, outcome.value as JsonObject)
      if (exchange.modern && !satisfied(outcome, answered))
        return await sealedFor(options, exchange, server, outcome, answered)
      if (round > maxRounds)
        throw new GatewayError(
          'upstream_protocol',
          `Server "${route.server}" asked for input ${maxRounds} times without an end. Raise "gateway.asks.maxRounds" if the call needs more.`,
          { server: route.server, delivery: 'answered' },
        )
      const answers = await askAll(exchange, server, asking(outcome), { answered })
      if (answers === undefined) await pause(PACE_MS, exchange.cancellation)
      if (exchange.cancellation.reason !== undefined)
        throw new GatewayError('cancelled', 'The request was cancelled.', { server: route.server })
      const retry = withChangedParams(exchange, {
        inputResponses: answers,
        requestState: rawAt(outcome.text, 'requestState'),
      })
      outcome = await next(retry, route)
    }
    return outcome
  })
}

function needsInput(outcome: Outcome): outcome is ServerResult {
  return (
    outcome.kind === 'result' &&
    outcome.modern &&
    (outcome.value as JsonObject | null)?.resultType === 'input_required'
  )
}

/** Whether something was asked, and all of it is answered. */
function satisfied(outcome: ServerResult, answered: Readonly<Record<string, string>>): boolean {
  const count = Object.keys(answered).length
  return count > 0 && count === Object.keys((outcome.value as JsonObject).inputRequests as JsonObject).length
}

function asking({ text, value }: ServerResult): Json<JsonObject> {
  return { text, value: value as JsonObject }
}

/**
 * The answer for a modern client: the server's questions without the answered ones, whose answers are added to the
 * retry.
 */
async function sealedFor(
  { seal, answerTimeoutMs }: InputRequiredLoopOptions,
  exchange: Exchange,
  server: AskingServer,
  outcome: ServerResult,
  answered: Readonly<Record<string, string>>,
): Promise<Outcome> {
  const held = {
    kind: 'server',
    server: server.name,
    replica: replicaIdOf(exchange.state),
    state: rawAt(outcome.text, 'requestState'),
    answered,
  } as const
  const state = await sealState(seal, exchange, held, answerTimeoutMs)
  const changes: Record<string, string> = { requestState: JSON.stringify(state) }
  const requests = labelledRequests(server, asking(outcome), Object.keys(answered))
  if (requests !== undefined) changes.inputRequests = requests
  return { ...outcome, text: withMembers(outcome.text, changes) }
}

async function afterError(
  { seal, answerTimeoutMs, serverOf }: InputRequiredLoopOptions,
  exchange: Exchange,
  server: string,
  outcome: ServerError,
): Promise<Outcome> {
  const { code, data } = outcome.value as { code?: unknown; data?: JsonObject }
  const listed: readonly unknown[] = Array.isArray(data?.elicitations) ? data.elicitations : []
  const asked = listed.flatMap((value, at) => (isJsonObject(value) ? { value, at } : []))
  // An error without a question is handled like other errors.
  if (exchange.modern && code === URL_ELICITATION_REQUIRED && asked.length > 0) {
    checkCount(serverOf(server), asked.length)
    const text = rawAt(outcome.text, 'data', 'elicitations') ?? '[]'
    const spans = elements(text)
    const requests = asked.map(({ value, at }, index) => {
      const { start, end } = spans[at] as (typeof spans)[number]
      const params = withMembers(text.slice(start, end), {
        mode: '"url"',
        elicitationId: undefined,
        ...(typeof value.message === 'string' && {
          message: JSON.stringify(labelled(server, value.message)),
        }),
      })
      return `"elicitation-${index + 1}":{"method":"elicitation/create","params":${params}}`
    })
    const state = await sealState(seal, exchange, { kind: 'again' }, answerTimeoutMs)
    return {
      kind: 'question',
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
