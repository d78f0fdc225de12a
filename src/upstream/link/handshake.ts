import { UNSUPPORTED_VERSION } from '../../core/rpc-codes.ts'
import { GatewayError } from '../../core/errors.ts'
import type { Json, JsonObject } from '../../core/exchange.ts'
import { withTimeout } from '../../core/timeout.ts'
import { cachingOf } from '../../protocol/caching.ts'
import { rawAt } from '../../protocol/json-text.ts'
import { LATEST_LEGACY, LEGACY_VERSIONS, META, MODERN, type Era } from '../../protocol/revisions.ts'
import type { Spoken } from '../../protocol/spoken.ts'
import { refusalRaisesDoubt } from './session-probe.ts'
import { introductionOf } from './introduction.ts'
import type { Link } from './link.ts'
import { UpstreamRpcError } from './rpc-error.ts'
import { HttpStatusError } from '../transport/http/http-error.ts'

/** A process that has been silent this long is sent `initialize` as well. */
const QUIET_MS = 1500
/** How long a server that answered `server/discover` may take to refuse the `initialize` sent in the meantime. */
const CROSSING_MS = 2000
/**
 * How long a server may take to answer a probe. Afterwards it counts as a server of the other era that ignores unknown
 * messages.
 */
const PROBE_TIMEOUT_MS = 10_000

/** What an attempt has detected so far, used if it fails. */
export interface Heard {
  /** The server has answered `server/discover`. */
  discovered: boolean
}

/** The process has answered as a modern server and accepts no legacy session any more. A new process may. */
export class TooLate extends Error {}

/**
 * Negotiates an era and a revision with a server: the wanted era if the server supports it, otherwise the other one.
 *
 * A server of unknown eras is first sent `server/discover`, whichever era is wanted, since only a valid answer, or the
 * error that lists supported versions, is evidence of the modern era; any other error leads to `initialize`. A modern
 * server is sent `initialize` as well if the legacy era is wanted. On stdio some servers accept only the first of the
 * two requests, so a refusal of the second is no evidence. Known eras save the request that would be refused or is not
 * needed. On stdio a silent server may be slow or old, so both requests are sent to the same process and the answers
 * decide. If a server refuses a known era, the other request is sent, too.
 *
 * @returns the detected eras
 * @throws GatewayError naming the server, the cause and the fix; `TooLate`
 */
export async function shakeHands(link: Link, wish: Era, spoken: Spoken, heard: Heard): Promise<Spoken> {
  const { transport } = link
  const { process, eras } = transport.traits
  if (!eras.includes('modern')) {
    establishLegacy(link, await initialize(link))
    return LEGACY_ONLY
  }
  if (greetsFirst(wish, spoken)) {
    transport.use(undefined)
    try {
      establishLegacy(link, await initialize(link, spoken.modern === true))
      return { legacy: true }
    } catch (error) {
      if (!mayBeModern(error, spoken)) throw error
      // The known eras are outdated, or the server supports the other era only.
      transport.use(MODERN)
      const found = await discover(link, link.server.startTimeoutMs).catch(() => undefined)
      if (!found) throw error
      establishModern(link, found)
      return MODERN_ONLY
    }
  }
  transport.use(MODERN)
  const discovery = discover(link, probeTimeoutMs(link))
  if (process && spoken.modern !== true) {
    const first = await withTimeout(discovery, QUIET_MS, () => undefined)
    if (first === undefined) return await raceWithInitialize(link, discovery, wish)
  }
  const found = await discovery
  if (!found) {
    transport.use(undefined)
    establishLegacy(link, await initialize(link))
    return LEGACY_ONLY
  }
  heard.discovered = true
  if (wish === 'modern' || spoken.legacy === false) {
    establishModern(link, found)
    return { modern: true }
  }
  transport.use(undefined)
  try {
    establishLegacy(link, await initialize(link, true))
    return { legacy: true, modern: true }
  } catch (error) {
    if (!mayBeModern(error, { modern: true })) throw error
    if (process) throw new TooLate()
    transport.use(MODERN)
    establishModern(link, found)
    return MODERN_ONLY
  }
}

const LEGACY_ONLY: Spoken = { legacy: true, modern: false }
const MODERN_ONLY: Spoken = { legacy: false, modern: true }

/** Whether `initialize` is sent first. */
function greetsFirst(wish: Era, { legacy, modern }: Spoken): boolean {
  if (wish === 'modern') return modern === false
  return legacy !== false && (legacy === true || modern !== undefined)
}

/** A process may take as long as its start may take, because it may be starting. */
function probeTimeoutMs({ server, transport }: Link): number {
  return transport.traits.process ? server.startTimeoutMs : Math.min(PROBE_TIMEOUT_MS, server.startTimeoutMs)
}

/**
 * Whether a server that refuses `initialize` may lack the method. A server that is known to be modern may also ignore
 * it.
 */
function mayBeModern(error: unknown, { modern }: Spoken): boolean {
  if (!(error instanceof GatewayError)) return false
  if (error.code === 'upstream_timeout') return modern === true
  return error.code === 'upstream_protocol' || refusalRaisesDoubt(error)
}

/**
 * Sends both requests at once. A server that answers `initialize` has entered a legacy session, whatever else it
 * supports.
 */
async function raceWithInitialize(
  link: Link,
  discovery: Promise<Json<JsonObject> | undefined>,
  wish: Era,
): Promise<Spoken> {
  const initialization = initialize(link).then(
    result => ({ result }),
    (error: unknown) => ({ error }),
  )
  const discovered = discovery.catch(() => undefined)
  const first = await Promise.race([discovered.then(found => found && 'modern'), initialization])
  const settled =
    first === 'modern'
      ? await withTimeout(initialization, CROSSING_MS, () => undefined)
      : await initialization
  if (settled && 'result' in settled) {
    establishLegacy(link, settled.result)
    return first === 'modern' ? { legacy: true, modern: true } : LEGACY_ONLY
  }
  const found = await discovered
  if (found) {
    if (wish === 'legacy') throw new TooLate()
    link.transport.use(MODERN)
    establishModern(link, found)
    return { modern: true }
  }
  throw settled
    ? settled.error
    : new GatewayError('upstream_timeout', `Server "${link.server.name}" did not answer.`, {
        server: link.server.name,
      })
}

/**
 * The result of `server/discover`. `undefined`: the server is not modern. Rejects only when neither can be concluded.
 */
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
      // The server may have been starting: the revision it refused is one that it lists as supported.
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
    // A server without this method refuses it. A server that is down, overloaded or requires credentials gives no
    // evidence of its era.
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

/** The versions that a server lists when it refuses one. Empty if it lists none. */
function supportedIn(error: UpstreamRpcError): string[] {
  const supported = (error.data as { supported?: unknown } | undefined)?.supported
  return Array.isArray(supported) ? supported.filter(version => typeof version === 'string') : []
}

function noCommonVersion(server: string, supported: readonly string[]): string {
  if (supported.includes(MODERN))
    return `Server "${server}" refuses revision ${MODERN}, which it lists as supported.`
  return `Server "${server}" supports only ${supported.join(', ').slice(0, 200)}; the gateway speaks ${MODERN} and ${LATEST_LEGACY} or older.`
}

/** `probing`: the server is modern, so it may lack the method, or may ignore it. */
async function initialize(link: Link, probing = false): Promise<Json<JsonObject>> {
  const params = `{"protocolVersion":"${LATEST_LEGACY}","capabilities":${link.capabilities},"clientInfo":${link.clientInfo}}`
  try {
    const { startTimeoutMs } = link.server
    return await link.request(
      'initialize',
      params,
      probing ? Math.min(PROBE_TIMEOUT_MS, startTimeoutMs) : startTimeoutMs,
    )
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
      `Server "${link.server.name}" answered initialize with protocol version ${shown(version)}, which the gateway does not speak.`,
      { server: link.server.name },
    )
  link.transport.use(version)
  link.establish({
    era: 'legacy',
    protocolVersion: version,
    ...introductionOf(link.server.name, result),
  })
  link.notify('notifications/initialized', undefined)
  link.transport.listen()
}

/** The revision that a server sent, shortened for a message. */
function shown(version: unknown): string {
  return typeof version === 'string' ? JSON.stringify(version.slice(0, 40)) : `of type ${typeof version}`
}

function establishModern(link: Link, result: Json<JsonObject>): void {
  link.establish({
    era: 'modern',
    protocolVersion: MODERN,
    ...introductionOf(link.server.name, result, rawAt(result.text, '_meta', META.serverInfo)),
    caching: cachingOf(result.value),
  })
}
