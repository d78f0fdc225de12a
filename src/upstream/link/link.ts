import { monotonicNow } from '../../core/clock.ts'
import type { Deadlines } from '../../core/deadlines.ts'
import { GatewayError } from '../../core/errors.ts'
import type { Cancellation } from '../../core/cancellation.ts'
import type {
  Conversation,
  Exchange,
  Json,
  JsonObject,
  McpLogLevel,
  ServerOutcome,
} from '../../core/exchange.ts'
import type { Principal } from '../../core/principal.ts'
import { isJsonObject } from '../../core/json-object.ts'
import { IdTable } from '../../core/id-table.ts'
import type { Logger } from '../../core/logger.ts'
import type { ServerConfig } from '../../config/types.ts'
import { encodeHeaderValue } from '../../protocol/headers.ts'
import { elements, find, members, rawAt } from '../../protocol/json-text.ts'
import { notificationText, resultText } from '../../protocol/message.ts'
import { outgoingParams } from '../../protocol/params.ts'
import { META } from '../../protocol/revisions.ts'
import {
  answersCheck,
  CHECK,
  SessionProbe,
  errorRaisesDoubt,
  refusalRaisesDoubt,
  resultRaisesDoubt,
  unknownNow,
} from './session-probe.ts'
import { envelopeFor, modernEnvelope } from './envelope.ts'
import { CancelledCalls } from './cancelled-calls.ts'
import { unfailing } from './guarded.ts'
import { HangCheck, hung } from './hang.ts'
import { Junk, tooMuchJunk } from '../transport/shared/junk.ts'
import type { LinkCall, Peer, StandListener } from './link-contract.ts'
import { cancelled, closed, MAX_BATCH, protocolError, timedOut, vastBatch } from './link-errors.ts'
import { LinkLogLevel } from './log-level.ts'
import { LinkTasks } from './link-tasks.ts'
import { Pending } from './pending.ts'
import { ServerRequest, ServerRequests } from './server-requests.ts'
import type { Replica } from '../replica/replica.ts'
import { unreadAnswer } from '../transport/shared/response-id.ts'
import { UpstreamRpcError } from './rpc-error.ts'
import { soleOwner } from './sole-owner.ts'
import { LogSampler } from '../transport/shared/log-sampler.ts'
import { hasTooManyValues, TOO_MANY_VALUES } from '../transport/shared/too-many-values.ts'
import { OutgoingRequest } from '../transport/shared/outgoing-request.ts'
import type { Receiver, Transport } from '../transport/shared/transport.ts'
import { Unasked } from './unasked.ts'
import { UnderWay } from './under-way.ts'

/** Refused questions that are logged per minute. */
const LOGGED_REFUSALS = 20

/** Receives the messages of a link's server that are no answers. Implemented by the relay. */
export interface LinkListener {
  /** A notification, with the exchanges it may belong to, oldest first: that of its stream, or all in progress. */
  onNotification(link: Link, method: string, params: Json | undefined, among: readonly Exchange[]): void
  /** A request of the server. Resolves with the raw JSON of the result. @throws GatewayError */
  onRequest(
    link: Link,
    method: string,
    params: ServerRequest['params'],
    among: readonly Exchange[],
    cancellation: Cancellation,
  ): Promise<string>
  /** The link takes no new calls: its transport or its session is lost. Called once, not after `close()`. */
  onLost(link: Link, error: GatewayError): void
  /** Notifications of the server may have been missed. */
  onGap(link: Link): void
  /** Its processes use this much memory, which exceeds the limit. */
  onMemoryLimitExceeded?(link: Link, bytes: number): void
}

export interface LinkOptions {
  readonly server: ServerConfig
  readonly replica: Replica
  readonly transport: Transport
  readonly listener: LinkListener
  readonly deadlines: Deadlines
  readonly logger: Logger
  /** Raw JSON of the gateway's `clientInfo`. */
  readonly clientInfo: string
  /** Raw JSON of the client capabilities that a legacy server receives. Modern servers receive them per request. */
  readonly capabilities: string
  /** The session that the link is dedicated to, if it is dedicated to one. */
  readonly owner: Conversation | undefined
  /** Whose credentials it presents, where a server gets those of each principal. */
  readonly principal?: Principal | undefined
}

/** One MCP connection with one replica. It has its own ids and tokens, and matches answers to calls. */
export class Link implements Receiver {
  readonly server: ServerConfig
  readonly transport: Transport
  /** The replica at the other end. */
  readonly replica: Replica
  /** Its name in records: the server, the replica if there are several, the transport. */
  readonly label: string
  readonly logger: Logger
  /** The only principal that may use it and hear of it. `undefined`: any. */
  readonly principal: Principal | undefined
  /** The client capabilities that a legacy server has received. */
  capabilities: string
  #owner: Conversation | undefined
  #listener: LinkListener
  readonly #deadlines: Deadlines
  readonly #clientInfo: string
  readonly #pending = new IdTable<number, Pending>()
  readonly #questions: ServerRequests
  readonly #cancelledCalls: CancelledCalls
  readonly #underWay: UnderWay
  readonly #junk = new Junk()
  readonly #refusals = new LogSampler(LOGGED_REFUSALS, 60_000)
  readonly unasked = new Unasked()
  /** Tasks that run at the server (legacy). */
  readonly tasks = new LinkTasks()
  /** Standing requests by id, with the listener for the acknowledgement. */
  readonly #standing = new Map<number, StandListener['acknowledged']>()
  #nextId = 1
  #state: 'new' | 'open' | 'lost' | 'closed' = 'new'
  #lastUsed = monotonicNow()
  #answered = 0
  readonly #logLevel = new LinkLogLevel(this)
  #peer: Peer | undefined
  #envelope: Readonly<Record<string, string>> | undefined
  #checkId: number | undefined
  /** Whether the link was lost, whatever state it has been in since. */
  #lost = false
  readonly #doubts = new SessionProbe(async cause => {
    if (this.usable && (await this.#stillKnown()) && this.usable) return undefined
    const lost = unknownNow(this.server.name, cause)
    this.#lose(lost)
    this.#closeWhenDone()
    // A link that the gateway has closed was not lost.
    return this.#lost ? lost : undefined
  })

  readonly #hangs = new HangCheck(
    () => this.#ask(this.server.health.timeoutMs),
    () => this.#onHung(),
  )

  constructor(options: LinkOptions) {
    this.server = options.server
    this.transport = options.transport
    this.replica = options.replica
    const { label } = options.replica
    this.label = `${options.server.name}${label && ` ${label}`} ${options.transport.kind}`
    this.logger = options.logger
    this.principal = options.principal
    this.#listener = options.listener
    this.#deadlines = options.deadlines
    this.#cancelledCalls = new CancelledCalls(options.deadlines, options.server)
    this.#underWay = new UnderWay(this.#pending, this.#cancelledCalls)
    this.#clientInfo = options.clientInfo
    this.#questions = new ServerRequests(options.server)
    this.capabilities = options.capabilities
    this.#owner = options.owner
  }

  get owner(): Conversation | undefined {
    return this.#owner
  }

  /** Hands over a link that has not been used yet. */
  adopt(listener: LinkListener, owner: Conversation | undefined): void {
    this.#listener = listener
    this.#owner = owner
    this.#lastUsed = monotonicNow()
  }

  /** Makes the link shared: it has no owner any more. */
  share(capabilities: string): void {
    this.#owner = undefined
    this.capabilities = capabilities
  }

  /** Available after the handshake. */
  get peer(): Peer {
    if (!this.#peer)
      throw new GatewayError('internal', `The link to "${this.server.name}" has not shaken hands yet.`)
    return this.#peer
  }

  get usable(): boolean {
    return this.#state === 'open'
  }

  /** Number of requests that wait for an answer. Standing requests, such as a listen stream, do not count. */
  get inFlight(): number {
    return this.#pending.size - this.#standing.size
  }

  /** Whether requests are in flight, and all of them are lists that the gateway fetches for itself. */
  get onlyLists(): boolean {
    const [...requests] = this.#pending.values()
    return this.inFlight > 0 && requests.every(({ id, isOwnList }) => isOwnList || this.#standing.has(id))
  }

  /** Number of client calls that were answered, with a result or an error. */
  get answered(): number {
    return this.#answered
  }

  /** When a call last began or ended, in milliseconds of `monotonicNow()`. */
  get lastUsed(): number {
    return this.#lastUsed
  }

  /** Marks the handshake as done. */
  establish(peer: Peer): void {
    this.#peer = peer
    if (peer.era === 'modern') this.#envelope = modernEnvelope(this.#clientInfo)
    if (this.#state === 'new') this.#state = 'open'
  }

  /** Raw `_meta` members of every request to a modern server. Also used by the probe. */
  get modernEnvelope(): Readonly<Record<string, string>> {
    return this.#envelope ?? modernEnvelope(this.#clientInfo)
  }

  get clientInfo(): string {
    return this.#clientInfo
  }

  /** Relays a client's call. Resolves with the server's answer. Rejects with a `GatewayError`, also on cancellation. */
  call(exchange: Exchange, call: LinkCall): Promise<ServerOutcome> {
    if (this.unasked.any && exchange.canBeAsked === 'now')
      return this.unasked.put(exchange).then(() => this.call(exchange, call))
    const id = this.#nextId++
    const request = exchange.request
    const envelope = this.#envelope && envelopeFor(exchange, this.#envelope, this.server.roots)
    let params: string | undefined
    try {
      params = outgoingParams(request.params, {
        target: call.change.target,
        ref: call.change.ref,
        progressToken: request.progressToken === undefined ? undefined : id,
        envelope,
      })
    } catch (error) {
      return Promise.reject(error as GatewayError)
    }
    let headers = call.headers
    if (envelope && call.change.target)
      headers = { ...headers, 'mcp-name': encodeHeaderValue(call.change.target.value) }
    if (!this.#envelope && exchange.logLevel !== undefined) this.wantLogLevel(exchange.logLevel)
    const timeoutMs = call.timeoutMs ?? this.server.timeoutMs
    return this.#send(id, call.method, params, timeoutMs, exchange, headers, call)
  }

  /** A request of the gateway itself. `params` is raw JSON; a modern server's envelope and `capabilities` are added. */
  async request(
    method: string,
    params: string | undefined,
    timeoutMs: number,
    capabilities?: string,
    name?: string,
  ): Promise<Json<JsonObject>> {
    let text = params
    const headers = this.#envelope && name !== undefined ? { 'mcp-name': encodeHeaderValue(name) } : undefined
    if (this.#envelope) {
      const value = params === undefined ? {} : (JSON.parse(params) as JsonObject)
      const envelope = capabilities
        ? { ...this.#envelope, [META.clientCapabilities]: capabilities }
        : this.#envelope
      text = outgoingParams({ text: params ?? '{}', value }, { envelope })
    }
    const outcome = await this.#send(this.#nextId++, method, text, timeoutMs, undefined, headers)
    if (outcome.kind === 'result' && isJsonObject(outcome.value))
      return { text: outcome.text, value: outcome.value }
    if (outcome.kind === 'error') throw new UpstreamRpcError(this.server.name, method, outcome)
    throw new GatewayError(
      'upstream_protocol',
      `Server "${this.server.name}" answered ${method} with a result that is no object.`,
      {
        server: this.server.name,
        delivery: 'answered',
      },
    )
  }

  /** Whether the server may still be working on a cancelled call. */
  get hasCancelledCalls(): boolean {
    return this.#cancelledCalls.any
  }

  /**
   * Opens a request that stays open as long as the server keeps it: a listen stream. The returned function ends it.
   * `params` is raw JSON, to which the envelope is added; `capabilities` is raw JSON of the declared capabilities.
   */
  stand(method: string, params: string, listener: StandListener, capabilities = '{}'): () => void {
    const id = this.#nextId++
    const value = JSON.parse(params) as JsonObject
    const envelope = { ...this.modernEnvelope, [META.clientCapabilities]: capabilities }
    const text = outgoingParams({ text: params, value }, { envelope })
    const end = (error: GatewayError | undefined): void => {
      if (this.#standing.delete(id)) listener.ended(error)
    }
    this.#standing.set(id, acknowledgement => listener.acknowledged(acknowledgement))
    this.#send(id, method, text, 0, undefined, undefined).then(
      () => end(undefined),
      (error: unknown) => end(GatewayError.from(error, this.server.name)),
    )
    return () => {
      if (this.#standing.delete(id) && this.#take(id)) this.#cancelUpstream(id, 'no longer listening')
    }
  }

  /** Ends the server's requests for this exchange, which is no call of this link itself: a task has ended. */
  endQuestions(exchange: Exchange): void {
    this.#questions.ended(exchange)
  }

  notify(method: string, params: string | undefined): void {
    if (this.#state === 'closed') return
    this.transport.send({ text: notificationText(method, params), id: undefined, method })
  }

  /** Makes the server log at least as verbosely as `level`. */
  wantLogLevel(level: McpLogLevel): void {
    if (this.#peer?.era === 'legacy' && isJsonObject(this.#peer.capabilities.logging))
      this.#logLevel.want(level)
  }

  /** Every exchange that waits for an answer on this link. */
  exchanges(): readonly Exchange[] {
    return this.#underWay.pending
  }

  /** Fails the requests in flight and closes the transport. Idempotent. */
  async close(reason?: GatewayError): Promise<void> {
    if (this.#state !== 'closed') {
      this.#state = 'closed'
      // Whatever the reason is, the lists can be fetched over another link.
      for (const { id, isOwnList } of this.#pending.values())
        if (isOwnList) this.#take(id)?.reject(closed(this.server.name, 'not_sent'))
      this.#failAll(reason ?? closed(this.server.name, 'unknown'))
    }
    await this.transport.close()
  }

  /** Called when the deadline of request `id` has passed. */
  expire(id: number): void {
    const waiting = this.#pending.get(id)
    if (waiting?.exchange && this.#questions.concern(waiting.exchange)) {
      // A client is being asked. The time that the user takes does not count as the server's.
      this.#deadlines.set(waiting, waiting.timeoutMs)
      return
    }
    const unreadMs = waiting?.unreadMs(this.transport) ?? 0
    if (waiting && unreadMs > 0) return this.#deadlines.set(waiting, unreadMs)
    const worthWaiting = waiting?.call?.worthWaiting
    if (!waiting || !worthWaiting) return this.#timeOut(id)
    this.#deadlines.set(waiting, waiting.timeoutMs)
    void worthWaiting().then(worth => {
      if (!worth) this.#timeOut(id)
    })
  }

  #timeOut(id: number): void {
    const pending = this.#take(id)
    if (!pending) return
    this.#giveUp(pending, 'timeout', timedOut(this.server.name, pending))
    // Not for the gateway's own requests: a busy server may answer no ping, and may still answer the call.
    if (pending.exchange && this.transport.traits.process && this.usable) this.#hangs.timedOut()
  }

  #onHung(): void {
    if (!this.usable) return
    this.onClose(hung(this.server.name, CHECK[this.peer.era], this.server.health.timeoutMs))
    void this.transport.close(true)
  }

  #onJunk(what: string, text: string): void {
    const { log, held, tooMuch } = this.#junk.note(text.length)
    if (log)
      this.logger.warn(what, {
        start: text.slice(0, 200),
        bytes: text.length,
        ...(held > 0 && { ignoredBefore: held }),
      })
    if (!tooMuch || this.#state === 'closed') return
    this.onClose(tooMuchJunk(this.server.name))
    void this.transport.close(true)
  }

  // Receiver

  ownerOf(id: number | undefined): string | undefined {
    return id === undefined ? soleOwner(this.exchanges()) : this.#pending.get(id)?.exchange?.principal.id
  }

  waits(id: number): boolean {
    return this.#pending.has(id)
  }

  /** The method of a pending request of the gateway itself with this id. */
  ownRequest(id: number): string | undefined {
    const pending = this.#pending.get(id)
    return pending && !pending.exchange && !this.#standing.has(id) ? pending.method : undefined
  }

  onMessage(text: string, stream: number | undefined): void {
    if (hasTooManyValues(text)) return this.#onUnread(TOO_MANY_VALUES, text, stream)
    let value: unknown
    try {
      value = JSON.parse(text)
    } catch {
      return this.#onUnread('a message that is not valid JSON', text, stream)
    }
    if (Array.isArray(value)) {
      if (value.length > MAX_BATCH) return this.#onVastBatch(value.length, stream)
      const spans = elements(text)
      value.forEach((item, index) => {
        const span = spans[index]
        if (span) this.#onValue(text.slice(span.start, span.end), item, stream)
      })
    } else this.#onValue(text, value, stream)
  }

  /** `what` completes "sent". A message that cannot be attributed must not leave its call hanging. */
  #onUnread(what: string, text: string, stream: number | undefined): void {
    const request = stream ?? unreadAnswer(text, this.#pending)
    // An answer with that many values is no junk.
    if (request === undefined || what !== TOO_MANY_VALUES) this.#onJunk(`The server sent ${what}.`, text)
    if (request !== undefined) this.onFailure(request, protocolError(this.server.name, what))
  }

  /** The gateway sends no batches, so no answer is lost if a batch cannot be attributed to a call. */
  #onVastBatch(count: number, stream: number | undefined): void {
    const error = vastBatch(this.server.name, count)
    if (stream !== undefined) return this.onFailure(stream, error)
    this.logger.warn('The server sent too large a batch; the connection is closed.', { messages: count })
    this.onClose(error)
    void this.transport.close(true)
  }

  onFailure(id: number, error: GatewayError): void {
    const pending = this.#take(id)
    if (!pending) this.#cancelledCalls.answered(id)
    if (pending && id !== this.#checkId && this.#peer && refusalRaisesDoubt(error))
      void this.#doubts.settle(error).then(lost => pending.reject(lost ?? error))
    else pending?.reject(error)
    this.#closeWhenDone()
  }

  onGap(): void {
    if (this.#state === 'open') this.#listener.onGap(this)
  }

  onMemoryLimitExceeded(bytes: number): void {
    this.#listener.onMemoryLimitExceeded?.(this, bytes)
  }

  onSessionLost(): void {
    this.#lose(
      new GatewayError('session_lost', `Server "${this.server.name}" has forgotten the session.`, {
        server: this.server.name,
      }),
    )
    this.#closeWhenDone()
  }

  onClose(error: GatewayError): void {
    this.#lose(error)
    if (this.#state === 'closed') return
    this.#state = 'closed'
    this.#failAll(error)
  }

  #onValue(text: string, value: unknown, stream: number | undefined): void {
    if (!isJsonObject(value)) {
      this.#onJunk('The server sent JSON that is no message.', text)
      return
    }
    if (typeof value.method === 'string') {
      const params =
        'params' in value ? { text: rawAt(text, 'params') ?? '{}', value: value.params } : undefined
      if ('id' in value)
        void unfailing(
          this.logger,
          this.#onRequest(rawAt(text, 'id') ?? 'null', value.method, params, stream),
        )
      else this.#onNotification(value.method, params, stream)
      return
    }
    const id = value.id
    if (typeof id !== 'number') {
      // A message that is no valid answer fails the request on whose stream it came, and that error reports it.
      if (stream === undefined || 'result' in value || 'error' in value)
        this.#onJunk('The server sent an answer without a known id.', text)
      // On a request's own stream, an error without an id can only be about that request.
      if (stream !== undefined && 'error' in value && (id === null || id === undefined))
        this.#answer(stream, text, value)
      return
    }
    this.#answer(id, text, value)
  }

  #answer(id: number, text: string, value: JsonObject): void {
    const pending = this.#take(id)
    if (!pending) {
      this.#cancelledCalls.answered(id)
      this.logger.debug('An answer came for a call that is no longer waiting; dropped.', { id })
      return
    }
    if (pending.exchange) this.#answered++
    const list = members(text)
    const error = find(list, 'error')
    const result = find(list, 'result')
    const era = this.#peer?.era
    if (result && !error) {
      const outcome: ServerOutcome = {
        kind: 'result',
        text: text.slice(result.start, result.end),
        value: value.result,
        modern: era === 'modern' && !resultRaisesDoubt(era, value.result),
      }
      pending.call?.onAnswer?.(outcome, id)
      pending.resolve(outcome)
      if (era === 'modern' && !outcome.modern) void this.#doubts.settleOnce('resultType')
    } else if (error && isJsonObject(value.error)) {
      const outcome: ServerOutcome = {
        kind: 'error',
        text: text.slice(error.start, error.end),
        value: value.error,
      }
      const { code } = value.error
      if (era && id !== this.#checkId && errorRaisesDoubt(pending.method, code))
        void this.#doubts
          .settleOnce(`${pending.method} ${String(code)}`)
          .then(lost => (lost ? pending.reject(lost) : pending.resolve(outcome)))
      else pending.resolve(outcome)
    } else pending.reject(protocolError(this.server.name, 'an answer with neither a result nor an error'))
    this.#closeWhenDone()
  }

  #onNotification(method: string, params: Json | undefined, stream: number | undefined): void {
    if (method === 'notifications/progress') {
      const token = isJsonObject(params?.value) ? params.value.progressToken : undefined
      if (typeof token !== 'number' || !params) return
      const pending = this.#pending.get(token)
      const exchange = pending ? pending.exchange : this.tasks.progress(token)
      if (exchange?.request.progressToken === undefined) return
      const extension = pending?.progressed()
      if (pending && extension !== undefined) this.#deadlines.set(pending, extension)
      const member = find(members(params.text), 'progressToken')
      if (member)
        exchange.notify(
          method,
          params.text.slice(0, member.start) + exchange.request.progressToken + params.text.slice(member.end),
        )
      return
    }
    if (method === 'notifications/cancelled') {
      const id = params && rawAt(params.text, 'requestId')
      if (id !== undefined) this.#questions.withdraw(id)
      return
    }
    if (method === 'notifications/subscriptions/acknowledged') {
      const id = stream ?? (params && Number(rawAt(params.text, '_meta', META.subscriptionId)))
      if (id !== undefined) this.#standing.get(id)?.(params)
      return
    }
    const task = this.#taskOf(method, params)
    if (task && !task.exchange && stream === undefined) {
      this.logger.debug('A notification is about a task that no client has here; dropped.', { method })
      return
    }
    this.#listener.onNotification(this, method, params, this.#among(stream, task))
  }

  async #onRequest(id: string, method: string, params: Json | undefined, stream?: number): Promise<void> {
    if (method === 'ping') return this.#respond(resultText(id, '{}'))
    const task = this.#taskOf(method, params)
    const among = this.#among(stream, task)
    const asked = new ServerRequest(id, params)
    const answering = this.#questions.answer(
      asked,
      among === this.#underWay.all ? this.exchanges() : among,
      cancellation => this.#listener.onRequest(this, method, asked.params, among, cancellation),
      error => this.#onRefused(method, among, error),
    )
    // Not awaited, because the waiting frame would keep the message in memory.
    return answering.then(answer => this.#respond(answer))
  }

  #respond(text: string | undefined): void {
    if (text !== undefined && this.#state !== 'closed')
      this.transport.send({ text, id: undefined, method: undefined })
  }

  /** A modern client is informed which capability its call needs (2026-07-28). A legacy client is not. */
  #onRefused(method: string, among: readonly Exchange[], error: GatewayError): void {
    const { passes, held } = this.#refusals.next()
    if (passes)
      this.logger.info('A question of the server was refused.', {
        method: method.slice(0, 100),
        reason: error.message,
        ...(held > 0 && { refusedBefore: held }),
      })
    const [exchange] = among
    if (error.code !== 'missing_capability' || among.length !== 1 || !exchange?.modern) return
    for (const pending of this.#pending.values()) {
      if (pending.exchange === exchange && this.#take(pending.id)) this.#giveUp(pending, error.message, error)
    }
  }

  #taskOf(method: string, params: Json | undefined): ReturnType<LinkTasks['about']> {
    return this.#envelope ? undefined : this.tasks.about(method, params?.value)
  }

  /** A message about a task belongs to the exchange of the task only, whatever else is in flight. */
  #among(stream: number | undefined, task: ReturnType<LinkTasks['about']>): readonly Exchange[] {
    if (task?.exchange) return [task.exchange]
    if (task && stream === undefined) return []
    const own = stream === undefined ? undefined : this.#pending.get(stream)
    if (own?.exchange) return [own.exchange]
    // A message on the stream of the gateway's own request may be about any call.
    return stream === undefined || own ? this.#underWay.all : []
  }

  #send(
    id: number,
    method: string,
    params: string | undefined,
    timeoutMs: number,
    exchange: Exchange | undefined,
    headers: Readonly<Record<string, string>> | undefined,
    call?: LinkCall,
  ): Promise<ServerOutcome> {
    return new Promise((resolve, reject) => {
      if (this.#state === 'lost' || this.#state === 'closed') {
        reject(closed(this.server.name, 'not_sent'))
        return
      }
      if (exchange && exchange.cancellation.reason !== undefined)
        return reject(cancelled(this.server.name, 'not_sent'))
      const pending = new Pending(this, id, method, timeoutMs, exchange, resolve, reject, call)
      this.#pending.set(id, pending)
      this.#underWay.changed()
      this.#lastUsed = monotonicNow()
      this.#deadlines.set(pending, timeoutMs, this.#lastUsed)
      exchange?.cancellation.onCancel(reason => {
        if (!this.#take(id)) return
        this.#giveUp(pending, reason, cancelled(this.server.name))
        this.#closeWhenDone()
      })
      this.transport.send(new OutgoingRequest(id, method, params, headers))
    })
  }

  #giveUp({ id, exchange, reject }: Pending, reason: string, error: GatewayError): void {
    // A message on a session's own link belongs to that session in any case.
    if (this.#cancelUpstream(id, reason) && exchange)
      error.unfinished = this.#cancelledCalls.add(id, this.owner ? undefined : exchange)
    reject(error)
  }

  /** Sends the cancellation. @returns whether the server may have received the request */
  #cancelUpstream(id: number, reason: string): boolean {
    if (this.transport.abandon(id)) return false
    // In the modern era a request is cancelled by closing its own stream. Otherwise there is a notification.
    if (this.#peer?.era !== 'modern' || this.transport.traits.attribution === 'none')
      this.notify('notifications/cancelled', JSON.stringify({ requestId: id, reason }))
    return true
  }

  #take(id: number): Pending | undefined {
    const pending = this.#pending.take(id)
    if (!pending) return undefined
    this.#underWay.changed()
    this.#deadlines.remove(pending)
    this.#lastUsed = monotonicNow()
    if (pending.exchange) this.#questions.ended(pending.exchange)
    return pending
  }

  #failAll(error: GatewayError): void {
    this.#questions.close()
    this.#cancelledCalls.close()
    for (const { id } of this.#pending.values()) this.#take(id)?.reject(error)
  }

  #lose(error: GatewayError): void {
    if (this.#state === 'lost' || this.#state === 'closed') return
    const established = this.#state === 'open'
    this.#state = 'lost'
    this.#lost = true
    if (established) this.#listener.onLost(this, error)
  }

  /** Checks whether the server still has this session. */
  #stillKnown(): Promise<boolean> {
    this.#checkId = this.#nextId
    return answersCheck(this.peer.era, this.#ask(this.server.listTimeoutMs))
  }

  #ask(timeoutMs: number): Promise<ServerOutcome> {
    const envelope = this.#envelope
    const params = envelope && outgoingParams({ text: '{}', value: {} }, { envelope })
    return this.#send(this.#nextId++, CHECK[this.peer.era], params, timeoutMs, undefined, undefined)
  }

  #closeWhenDone(): void {
    if (this.#state === 'lost' && this.#pending.size === 0) void this.close()
  }
}
