import { monotonicNow } from '../core/clock.ts'
import { GatewayError } from '../core/errors.ts'
import { MCP_LOG_LEVELS, type JsonObject, type McpLogLevel } from '../core/exchange.ts'
import type { Principal } from '../core/principal.ts'
import type { ListKind } from '../core/route.ts'
import { clientKindOf } from '../protocol/client-kind.ts'
import { forwardableCapabilities, knowsTasks, TASKS } from '../protocol/capabilities.ts'
import { decodeHeaderValue, NAMED_METHODS, paramHeaderMismatch } from '../protocol/headers.ts'
import { isObjectAt, rawAt, withMembers } from '../protocol/json-text.ts'
import { listChangedMethod } from '../protocol/list-changed.ts'
import { notificationText, type Incoming } from '../protocol/message.ts'
import { META, MODERN_METHODS, MODERN_VERSIONS } from '../protocol/revisions.ts'
import { Call, type Reply } from './call.ts'
import type { ListenStream } from './listen-streams.ts'
import type { Service } from './service.ts'

/**
 * The stateless era: every request is self-contained. Source: specification 2026-07-28, basic/versioning and
 * basic/transports.
 */

export type RequestHeaders = Readonly<Record<string, string | string[] | undefined>>

/** Whether a message claims to be of the modern era: its `_meta` names a protocol version. */
export function claimsModern(params: unknown): boolean {
  const meta = (params as JsonObject | null | undefined)?._meta
  return typeof meta === 'object' && meta !== null && META.protocolVersion in meta
}

interface Envelope {
  readonly protocolVersion: string
  readonly clientCapabilities: JsonObject
  readonly logLevel: McpLogLevel | undefined
}

/** @throws GatewayError `invalid_params`, `header_mismatch`, `unsupported_version` */
function envelopeOf(incoming: Incoming, headers: RequestHeaders | undefined): Envelope {
  const meta = (incoming.params?.value._meta ?? {}) as JsonObject
  const version = meta[META.protocolVersion]
  if (typeof version !== 'string')
    throw new GatewayError('invalid_params', `_meta["${META.protocolVersion}"] is missing.`)
  // A mismatch of the two versions is reported before an unsupported version.
  if (headers && headers['mcp-protocol-version'] !== version)
    throw new GatewayError(
      'header_mismatch',
      'The header MCP-Protocol-Version is missing or differs from the body.',
    )
  if (!MODERN_VERSIONS.includes(version))
    throw new GatewayError(
      'unsupported_version',
      `Protocol version ${version.slice(0, 40)} is not supported here.`,
      {
        data: { supported: MODERN_VERSIONS, requested: version },
      },
    )
  const capabilities = meta[META.clientCapabilities]
  if (typeof capabilities !== 'object' || capabilities === null || Array.isArray(capabilities))
    throw new GatewayError('invalid_params', `_meta["${META.clientCapabilities}"] is missing or no object.`)
  const level = meta[META.logLevel] as McpLogLevel | undefined
  if (level !== undefined && !MCP_LOG_LEVELS.includes(level))
    throw new GatewayError(
      'invalid_params',
      `_meta["${META.logLevel}"] must be one of ${MCP_LOG_LEVELS.join(', ')}.`,
    )
  return { protocolVersion: version, clientCapabilities: capabilities as JsonObject, logLevel: level }
}

/** @throws GatewayError `header_mismatch` */
function checkHeaders(incoming: Incoming, headers: RequestHeaders, service: Service, view: string): void {
  const { method } = incoming
  const params = incoming.params?.value ?? {}
  checkHeader('Mcp-Method', headers['mcp-method'], method)
  const key = NAMED_METHODS[method]
  if (key && typeof params[key] === 'string') checkHeader('Mcp-Name', headers['mcp-name'], params[key])
  if (method === 'tools/call' && typeof params.name === 'string') {
    const declared = service.headerParams(view, params.name)
    const problem = declared && paramHeaderMismatch(declared, params.arguments, headers)
    if (problem) throw new GatewayError('header_mismatch', problem)
  }
}

function checkHeader(name: string, sent: string | string[] | undefined, expected: string): void {
  if (sent === undefined) throw new GatewayError('header_mismatch', `The header ${name} is missing.`)
  const decoded = typeof sent === 'string' ? decodeHeaderValue(sent) : undefined
  if (decoded !== expected)
    throw new GatewayError('header_mismatch', `The header ${name} differs from the body.`)
}

export interface ModernRequest {
  readonly id: string
  readonly incoming: Incoming
  readonly principal: Principal
  readonly view: string
  /** HTTP headers to compare with the body. `undefined` on other transports. */
  readonly headers: RequestHeaders | undefined
}

/**
 * Accepts a modern request as a call. The caller then runs it or, for `subscriptions/listen`, passes it to `listen`.
 * @throws GatewayError when the request is refused before it is accepted
 */
export function acceptModern(service: Service, request: ModernRequest, reply: Reply): Call {
  const { incoming } = request
  const envelope = envelopeOf(incoming, request.headers)
  if (!MODERN_METHODS.has(incoming.method))
    throw new GatewayError(
      'unknown_method',
      `The method ${incoming.method.slice(0, 100)} does not exist in revision ${envelope.protocolVersion}.`,
    )
  if (incoming.method === 'subscriptions/listen') service.listens.checkRoom(request.principal.id)
  const features = forwardableCapabilities(envelope.clientCapabilities, envelope.protocolVersion)
  const view = service.viewFor(request.view, clientKindOf(true, features))
  if (request.headers) checkHeaders(incoming, request.headers, service, view)
  if (
    incoming.method === 'subscriptions/listen' &&
    !knowsTasks(features) &&
    listOf(incoming, 'taskIds').length > 0
  )
    throw new GatewayError('missing_capability', 'The client has not declared the tasks extension.', {
      data: { requiredCapabilities: { extensions: { [TASKS]: {} } } },
    })
  // Member by member, because a spread with further members costs more than the rest of this function.
  const context = {
    protocolVersion: envelope.protocolVersion,
    logLevel: envelope.logLevel,
    features,
    principal: request.principal,
    modern: true,
    view,
    conversation: undefined,
  }
  return new Call(request.id, incoming, context, reply)
}

const LISTENABLE: Readonly<Record<string, ListKind[]>> = {
  toolsListChanged: ['tools'],
  resourcesListChanged: ['resources', 'resourceTemplates'],
  promptsListChanged: ['prompts'],
}
/** Strings in a member of the filter of `subscriptions/listen`. */
function listOf(incoming: Incoming, key: 'resourceSubscriptions' | 'taskIds'): string[] {
  const list = (incoming.params?.value.notifications as JsonObject | null | undefined)?.[key]
  return Array.isArray(list) ? list.filter(item => typeof item === 'string') : []
}

/** What servers have agreed to report. */
interface Heard {
  readonly resourceSubscriptions: readonly string[]
  readonly taskIds: readonly string[]
}
const NOTHING: Heard = { resourceSubscriptions: [], taskIds: [] }

/** A listen stream as its front holds it. */
export interface HeldListenStream {
  /** Ends it with a result. Idempotent. */
  end(): void
  /** Sets other rights and another view. From now on its notifications follow the view of its endpoint. */
  become(principal: Principal, view: string): void
  /** Ends it with an error. Idempotent. */
  fail(error: GatewayError): void
}

/**
 * Serves `subscriptions/listen` until it is cancelled: acknowledges the supported part of the filter, then sends the
 * requested notifications, tagged with the request's id. If a limit refuses it, the answer is that error. `onOver` is
 * called once it is over, unless it was cancelled.
 */
export function listen(
  service: Service,
  request: ModernRequest,
  call: Call,
  reply: Reply,
  onOver?: () => void,
): HeldListenStream {
  const wanted = (request.incoming.params?.value.notifications ?? {}) as JsonObject
  const honoured: JsonObject = {}
  const kinds = new Set<ListKind>()
  for (const key of Object.keys(LISTENABLE)) {
    if (wanted[key] !== true) continue
    honoured[key] = true
    for (const kind of LISTENABLE[key] ?? []) kinds.add(kind)
  }
  const since = performance.now()
  const { maxResources, acknowledgeTimeoutMs } = service.listens.limits
  const meta = { [META.subscriptionId]: request.id }
  const tagged = (params = '{}'): string => {
    const given = rawAt(params, '_meta') ?? '{}'
    // A `_meta` of a server that is no object means nothing to a client, and is replaced.
    return withMembers(params, { _meta: withMembers(isObjectAt(given) ? given : '{}', meta) })
  }
  let open = true
  // Notifications wait for the acknowledgement.
  let early: string[] | undefined = []
  const send = (text: string): void => {
    if (early) early.push(text)
    else if (open) void reply.notify(text)
  }
  let { principal, view } = call
  let stopHearing = (): void => undefined
  let patience: NodeJS.Timeout | undefined
  const stream: ListenStream & HeldListenStream = {
    holder: principal.id,
    busy: true,
    lastSeen: monotonicNow(),
    get principal() {
      return principal
    },
    get view() {
      return view
    },
    notify: (method, params) => send(notificationText(method, tagged(params))),
    listsChanged: changed => {
      // Resources and templates share one notification.
      const methods = new Set(changed.filter(kind => kinds.has(kind)).map(listChangedMethod))
      for (const method of methods) stream.notify(method, undefined)
    },
    become: (other, everyones) => {
      principal = other
      const seen = service.viewFor(everyones, clientKindOf(true, call.features))
      if (seen === view) return
      view = seen
      stopHearing()
      stopHearing = service.onListChanged(view, stream.listsChanged)
    },
    end: () => end(),
    fail: error => refused(error),
  }
  const acknowledge = (heard: Heard): void => {
    if (!open) return
    if (heard.resourceSubscriptions.length > 0) honoured.resourceSubscriptions = heard.resourceSubscriptions
    if (heard.taskIds.length > 0) honoured.taskIds = heard.taskIds
    void reply.notify(
      notificationText(
        'notifications/subscriptions/acknowledged',
        `{"notifications":${JSON.stringify(honoured)},"_meta":{"${META.subscriptionId}":${request.id}}}`,
      ),
    )
    service.listens.acknowledged(stream, call.principal, call.view)
    service.listening(call, since)
    const waiting = early ?? []
    early = undefined
    for (const text of waiting) send(text)
  }
  const leave = (): void => {
    clearTimeout(patience)
    service.listens.closed(stream)
    stopHearing()
    service.unsubscribe(stream)
  }
  const end = (): void => {
    if (!open) return
    open = false
    leave()
    if (call.cancellation.reason !== undefined) return reply.drop()
    reply.answer(
      `{"jsonrpc":"2.0","id":${request.id},"result":{"resultType":"complete","_meta":{"${META.subscriptionId}":${request.id}}}}`,
      '',
      '',
    )
    onOver?.()
  }
  service.listens.opened(stream)
  stopHearing = service.onListChanged(view, stream.listsChanged)
  const uris = listOf(request.incoming, 'resourceSubscriptions').slice(0, maxResources)
  const taskIds = listOf(request.incoming, 'taskIds').slice(0, maxResources)
  const begin = (): void => {
    if (!open) return
    service.listens.admitted(stream)
    if (uris.length === 0 && taskIds.length === 0) return acknowledge(NOTHING)
    // A server that does not answer must not keep other notifications from the client.
    patience = setTimeout(() => acknowledge(NOTHING), acknowledgeTimeoutMs)
    const none = (): string[] => []
    void Promise.all([
      uris.length > 0 ? service.subscribe(call, uris, stream).catch(none) : [],
      taskIds.length > 0 ? service.listenToTasks(call, taskIds, stream).catch(none) : [],
    ]).then(([resourceSubscriptions, tasks]) => {
      clearTimeout(patience)
      // A stream that has ended in the meantime is already unsubscribed and must stay so.
      if (open && early) acknowledge({ resourceSubscriptions, taskIds: tasks })
      else service.unsubscribe(stream)
    })
  }
  const refused = (caught: unknown): void => {
    if (!open) return
    open = false
    leave()
    call.fail(GatewayError.from(caught), service.serverInfo)
    onOver?.()
  }
  service.admit(call).then(begin).catch(refused)
  call.cancellation.onCancel(end)
  return stream
}
