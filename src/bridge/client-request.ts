import { randomUUID } from 'node:crypto'
import { GatewayError } from '../core/errors.ts'
import { seenText } from '../core/seen-text.ts'
import type { Exchange, InputRequest, Json, JsonObject } from '../core/exchange.ts'
import { isJsonObject } from '../core/json-object.ts'
import { rawAt, withMembers } from '../protocol/json-text.ts'
import { elicitationAt, revisionProfile, samplingAt } from '../protocol/revision-profile.ts'
import { LATEST_LEGACY } from '../protocol/revisions.ts'
import { inputRequestsOf, type Asker } from './input-requests.ts'

/**
 * Builds the request to a client from a request of a server: only with capabilities that the client has declared, and
 * with the server's name shown, because the client sees only the gateway.
 * @throws GatewayError `missing_capability` when the client has not declared what is needed
 */
export function toClientRequest(
  request: InputRequest,
  params: Json | undefined,
  client: Pick<Exchange, 'features' | 'modern'> & { readonly protocolVersion: string | undefined },
): InputRequest {
  const features = (client.features === '' ? {} : JSON.parse(client.features)) as Record<
    string,
    JsonObject | undefined
  >
  const value = (params?.value ?? {}) as JsonObject
  const missing = missingFeature(request.method, value, features)
  const level = revisionProfile(client.protocolVersion ?? LATEST_LEGACY)
  if (missing !== undefined)
    throw new GatewayError(
      'missing_capability',
      `Server "${request.server}" asks for ${request.method}, but the client has not declared ${missing}.`,
      {
        server: request.server,
        data: { requiredCapabilities: nested(missing) },
      },
    )
  if (!params || request.method === 'roots/list') return request
  if (!isJsonObject(params.value))
    throw new GatewayError(
      'cannot_ask',
      `Server "${request.server}" asks for ${request.method} with "params" that are no object.`,
      { server: request.server, delivery: 'answered' },
    )
  const changes: Record<string, string | undefined> = {}
  // The gateway never declares that clients answer with a task (2025-11-25), so the task would not be followed.
  if (value.task !== undefined) changes.task = undefined
  if (request.method === 'elicitation/create') {
    if (typeof value.message === 'string')
      changes.message = JSON.stringify(labelled(request.server, value.message))
    // Since 2026-07-28 there is no such id, but older clients require one.
    if (value.mode === 'url' && !client.modern && value.elicitationId === undefined)
      changes.elicitationId = JSON.stringify(randomUUID())
    if (client.modern && 'elicitationId' in value) changes.elicitationId = undefined
  } else if (value.includeContext === 'thisServer' || value.includeContext === 'allServers') {
    // Behind a gateway "this server" would mean all servers.
    changes.includeContext = '"none"'
  }
  let { text } = params
  // A client that declares tools in sampling supports their content as well.
  const newer = request.method === 'sampling/createMessage' && features.sampling?.tools !== undefined
  if (level && !newer)
    text =
      request.method === 'sampling/createMessage'
        ? samplingAt(level, params, request.server)
        : elicitationAt(params, request.server)
  if (Object.keys(changes).length > 0) text = withMembers(text, changes)
  return text === params.text ? request : { ...request, params: text }
}

/**
 * White space before the apparent beginning of a label. Where it contains a line break, the label would be on a line of
 * its own.
 */
const BEFORE_A_LABEL = /(?<!\s)\s+(?=[[\uff3b\u3010])/g
/** Maximum length of a question's text. Each line of it may get a label. */
const MAX_MESSAGE_CHARS = 100_000

/**
 * The text of a question with the name of its server. Line breaks stay. A line that begins like a label gets the true
 * label as well, so that no server can impersonate another.
 * @throws GatewayError `cannot_ask` for a text of more than `MAX_MESSAGE_CHARS`
 */
export function labelled(server: string, message: string): string {
  if (message.length > MAX_MESSAGE_CHARS)
    throw new GatewayError(
      'cannot_ask',
      `Server "${server}" asks with a message of ${message.length} characters; at most ${MAX_MESSAGE_CHARS} are shown.`,
      { server, delivery: 'answered' },
    )
  const label = `[${server}] `
  return (
    label + seenText(message).replace(BEFORE_A_LABEL, space => (/[\n\r]/.test(space) ? space + label : space))
  )
}

/**
 * Raw `inputRequests` of a modern server for its modern client: without the questions named in `without`, and with
 * labelled texts. `undefined`: there are none.
 * @throws GatewayError `upstream_protocol` for more than the server's `maxQuestions`, `cannot_ask` for a text that is
 * too long
 */
export function labelledRequests(
  server: Asker,
  asking: Json<JsonObject>,
  without: readonly string[] = [],
): string | undefined {
  const requests = rawAt(asking.text, 'inputRequests')
  if (requests === undefined || !isJsonObject(asking.value.inputRequests)) return undefined
  const changes: Record<string, string | undefined> = Object.create(null) as Record<string, undefined>
  for (const [key, { text, value }] of inputRequestsOf(server, asking)) {
    if (!isJsonObject(value) || value.method !== 'elicitation/create' || !isJsonObject(value.params)) continue
    const { message } = value.params
    const params = rawAt(text, 'params')
    if (typeof message !== 'string' || params === undefined) continue
    const changed = withMembers(params, { message: JSON.stringify(labelled(server.name, message)) })
    changes[key] = withMembers(text, { params: changed })
  }
  for (const key of without) changes[key] = undefined
  return withMembers(requests, changes)
}

/** Converts `a.b` to `{a: {b: {}}}`. */
function nested(path: string): JsonObject {
  return path.split('.').reduceRight<JsonObject>((inner, key) => ({ [key]: inner }), {})
}

function missingFeature(
  method: InputRequest['method'],
  params: JsonObject,
  features: Record<string, JsonObject | undefined>,
): string | undefined {
  if (method === 'roots/list') return features.roots ? undefined : 'roots'
  if (method === 'sampling/createMessage') {
    if (!features.sampling) return 'sampling'
    return (params.tools !== undefined || params.toolChoice !== undefined) && !features.sampling.tools
      ? 'sampling.tools'
      : undefined
  }
  if (!features.elicitation) return 'elicitation'
  // An empty capability means forms, as before URLs were introduced.
  const forms = features.elicitation.form !== undefined || features.elicitation.url === undefined
  if (params.mode === 'url') return features.elicitation.url ? undefined : 'elicitation.url'
  return forms ? undefined : 'elicitation.form'
}
