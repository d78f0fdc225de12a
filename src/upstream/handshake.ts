import { GatewayError } from '../core/errors.ts'
import type { Json, JsonObject } from '../core/exchange.ts'
import { cachingOf } from '../protocol/caching.ts'
import { rawAt } from '../protocol/json-text.ts'
import { LATEST_LEGACY, LEGACY_VERSIONS, META, MODERN, type Era } from '../protocol/revisions.ts'
import { refusalRaisesDoubt } from './doubt.ts'
import type { Link } from './link.ts'
import { UpstreamRpcError } from './rpc-error.ts'
import { HttpStatusError } from './http-refusal.ts'

/** A stdio server that has said nothing for so long is offered `initialize` as well. */
const QUIET_MS = 1500
/** How long a server that answered `server/discover` may take to refuse the `initialize` that crossed it. */
const CROSSING_MS = 2000
/** How long an HTTP server may take to answer the probe before it is taken for a legacy one that swallows what it does not know. */
const PROBE_TIMEOUT_MS = 10_000
const UNSUPPORTED_VERSION = -32022

/**
 * Finds out which era the server speaks and agrees on a revision with it.
 *
 * A server is asked `server/discover` first, unless it is known to be legacy. Only a valid answer, or the error that lists supported versions,
 * is evidence of the modern era; any other error means `initialize`. On stdio a silent server may be slow or old, so both questions
 * are asked of the same process and the answers decide. One that is known to be legacy and refuses `initialize` is asked the other question, too.
 *
 * @returns the era, and whether it was decided by evidence worth remembering.
 * @throws GatewayError naming the server, the cause and the fix
 */
export async function shakeHands(
  link: Link,
  known: Era | undefined,
): Promise<{ era: Era; certain: boolean }> {
  const { server, transport } = link
  if (known !== 'legacy' && transport.kind !== 'sse') {
    transport.use(MODERN)
    const timeoutMs =
      transport.kind === 'stdio' ? server.startTimeoutMs : Math.min(PROBE_TIMEOUT_MS, server.startTimeoutMs)
    const discovery = discover(link, timeoutMs)
    if (transport.kind === 'stdio') {
      const first = await inTime(discovery, QUIET_MS)
      if (first === undefined) return await raceWithInitialize(link, discovery)
    }
    const found = await discovery
    if (found) {
      establishModern(link, found)
      return { era: 'modern', certain: true }
    }
  }
  transport.use(undefined)
  try {
    establishLegacy(link, await initialize(link))
  } catch (error) {
    if (known !== 'legacy' || transport.kind === 'sse' || !mayBeModern(error)) throw error
    // What is known is out of date.
    transport.use(MODERN)
    const found = await discover(link, server.startTimeoutMs).catch(() => undefined)
    if (!found) throw error
    establishModern(link, found)
    return { era: 'modern', certain: true }
  }
  return { era: 'legacy', certain: true }
}

/** Whether a server that does not take `initialize` may be one that has no such method. */
function mayBeModern(error: unknown): boolean {
  return error instanceof GatewayError && (error.code === 'upstream_protocol' || refusalRaisesDoubt(error))
}

/** Both questions are on their way. A server that answers `initialize` has entered a legacy conversation, whatever else it can. */
async function raceWithInitialize(
  link: Link,
  discovery: Promise<Json<JsonObject> | undefined>,
): Promise<{ era: Era; certain: boolean }> {
  const initialization = initialize(link).then(
    result => ({ result }),
    (error: unknown) => ({ error }),
  )
  const discovered = discovery.catch(() => undefined)
  const first = await Promise.race([discovered.then(found => found && 'modern'), initialization])
  const settled = first === 'modern' ? await inTime(initialization, CROSSING_MS) : await initialization
  if (settled && 'result' in settled) {
    establishLegacy(link, settled.result)
    return { era: 'legacy', certain: first !== 'modern' }
  }
  const found = await discovered
  if (found) {
    link.transport.use(MODERN)
    establishModern(link, found)
    return { era: 'modern', certain: true }
  }
  throw settled
    ? settled.error
    : new GatewayError('upstream_timeout', `Server "${link.server.name}" did not answer.`, {
        server: link.server.name,
      })
}

/** The result of `server/discover`, or `undefined` when the server is not modern. Rejects only when nothing can be concluded. */
async function discover(link: Link, timeoutMs: number, again = false): Promise<Json<JsonObject> | undefined> {
  const envelope = Object.entries(link.modernEnvelope).map(
    ([key, value]) => `${JSON.stringify(key)}:${value}`,
  )
  try {
    const result = await link.request('server/discover', `{"_meta":{${envelope.join(',')}}}`, timeoutMs)
    const versions = result.value.supportedVersions
    return Array.isArray(versions) && versions.includes(MODERN) ? result : undefined
  } catch (error) {
    if (error instanceof UpstreamRpcError) {
      const supported = error.rpcCode === UNSUPPORTED_VERSION ? supportedIn(error) : []
      // It may have been starting: the revision it refused is one it says it knows.
      if (supported.includes(MODERN) && !again) return await discover(link, timeoutMs, true)
      if (supported.length > 0 && !supported.some(version => LEGACY_VERSIONS.includes(version)))
        throw new GatewayError('upstream_protocol', noCommonVersion(link.server.name, supported), {
          server: link.server.name,
          cause: error,
        })
      return undefined
    }
    const status =
      error instanceof GatewayError && error.cause instanceof HttpStatusError ? error.cause.status : undefined
    // A server that does not know such a request refuses it; one that is down, overloaded or wants credentials says nothing about its era.
    if (
      status !== undefined &&
      status >= 400 &&
      status < 500 &&
      status !== 401 &&
      status !== 403 &&
      status !== 408 &&
      status !== 429
    )
      return undefined
    if (
      error instanceof GatewayError &&
      (error.code === 'upstream_protocol' || error.code === 'upstream_timeout')
    )
      return undefined
    throw error
  }
}

/** What a server that refuses a version says it supports instead; empty when it says nothing of use. */
function supportedIn(error: UpstreamRpcError): string[] {
  const supported = (error.data as { supported?: unknown } | undefined)?.supported
  return Array.isArray(supported) ? supported.map(String) : []
}

function noCommonVersion(server: string, supported: readonly string[]): string {
  if (supported.includes(MODERN))
    return `Server "${server}" refuses revision ${MODERN}, which it lists as supported.`
  return `Server "${server}" supports only ${supported.join(', ')}; the gateway speaks ${MODERN} and ${LATEST_LEGACY} or older.`
}

async function initialize(link: Link): Promise<Json<JsonObject>> {
  const params = `{"protocolVersion":"${LATEST_LEGACY}","capabilities":${link.capabilities},"clientInfo":${link.clientInfo}}`
  try {
    return await link.request('initialize', params, link.server.startTimeoutMs)
  } catch (error) {
    if (error instanceof UpstreamRpcError)
      throw new GatewayError(
        'upstream_protocol',
        `Server "${link.server.name}" refused to initialize: ${error.message}`,
        {
          server: link.server.name,
          cause: error,
        },
      )
    throw error
  }
}

function establishLegacy(link: Link, result: Json<JsonObject>): void {
  const version = result.value.protocolVersion
  if (typeof version !== 'string' || !LEGACY_VERSIONS.includes(version))
    throw new GatewayError(
      'upstream_protocol',
      `Server "${link.server.name}" answered initialize with protocol version ${JSON.stringify(version)}, which the gateway does not speak.`,
      { server: link.server.name },
    )
  link.transport.use(version)
  link.establish({
    era: 'legacy',
    protocolVersion: version,
    capabilities: objectOr(result.value.capabilities),
    instructions: typeof result.value.instructions === 'string' ? result.value.instructions : undefined,
    serverInfo: rawAt(result.text, 'serverInfo') ?? '{}',
  })
  link.notify('notifications/initialized', undefined)
  link.transport.listen()
}

function establishModern(link: Link, result: Json<JsonObject>): void {
  link.establish({
    era: 'modern',
    protocolVersion: MODERN,
    capabilities: objectOr(result.value.capabilities),
    instructions: typeof result.value.instructions === 'string' ? result.value.instructions : undefined,
    serverInfo: rawAt(result.text, '_meta', META.serverInfo) ?? rawAt(result.text, 'serverInfo') ?? '{}',
    caching: cachingOf(result.value),
  })
}

function objectOr(value: unknown): JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as JsonObject) : {}
}

/** What `promise` resolves with, `undefined` when that takes longer than `ms`. */
async function inTime<T>(promise: Promise<T>, ms: number): Promise<T | undefined> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<undefined>(resolve => {
    timer = setTimeout(resolve, ms, undefined)
  })
  try {
    return await Promise.race([promise, late])
  } finally {
    clearTimeout(timer)
  }
}
