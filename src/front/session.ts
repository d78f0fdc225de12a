import { randomUUID } from 'node:crypto'
import { GatewayError } from '../core/errors.ts'
import {
  clientName,
  MCP_LOG_LEVELS,
  type Conversation,
  type ClientTransport,
  type InputRequest,
  type JsonObject,
  type McpLogLevel,
  type Outcome,
} from '../core/exchange.ts'
import { IdTable } from '../core/id-table.ts'
import { isJsonObject } from '../core/json-object.ts'
import type { Principal } from '../core/principal.ts'
import { rawAt } from '../protocol/json-text.ts'
import { notificationText, resultText, type Incoming, type Message } from '../protocol/message.ts'
import { revisionProfile } from '../protocol/revision-profile.ts'
import { LATEST_LEGACY, LEGACY_VERSIONS } from '../protocol/revisions.ts'
import { clientKindOf } from '../protocol/client-kind.ts'
import { forwardableCapabilities } from '../protocol/capabilities.ts'
import { ClientRequests } from './client-requests.ts'
import { Call, refuse, type Reply } from './call.ts'
import { Early } from './early.ts'
import { turnDown } from './admission.ts'
import type { Service } from './service.ts'

/** Maximum characters of a cancellation reason that are passed on to the server. */
const MAX_REASON = 1000

/**
 * A legacy session with one client, over any transport: its revision, its log level, its requests in flight. Source:
 * specification 2025-11-25, basic/lifecycle.
 */
export class Session implements Conversation {
  /** Unguessable. HTTP clients send it with each request. */
  readonly id = randomUUID()
  #principal: Principal
  /** Name of the view of the endpoint for every kind of client. */
  #everyones: string
  #view: string
  readonly #service: Service
  readonly #send: (text: string) => void
  readonly #open = new IdTable<string, Call>()
  readonly #asks: ClientRequests
  #protocolVersion: string | undefined
  #features = ''
  #logLevel: McpLogLevel | undefined
  #closed = false
  /** Set while `initialize` is being answered. */
  #early: Early | undefined
  #ungreeted = false
  readonly front: ClientTransport
  #client = ''

  /** `send` takes whole messages that belong to no request. */
  constructor(
    service: Service,
    principal: Principal,
    view: string,
    send: (text: string) => void,
    front: ClientTransport,
  ) {
    this.front = front
    this.#service = service
    this.#asks = new ClientRequests(() => service.asks)
    this.#principal = principal
    this.#everyones = this.#view = view
    this.#send = send
  }

  get principal(): Principal {
    return this.#principal
  }

  get client(): string {
    return this.#client
  }

  get view(): string {
    return this.#view
  }

  /** Continues with other rights of the same identity. */
  become(principal: Principal, view: string): void {
    if (principal === this.#principal && view === this.#everyones) return
    const before = this.#view
    this.#principal = principal
    this.#everyones = view
    this.#view = this.#ownView()
    if (this.#view !== before && !this.#closed && this.#protocolVersion !== undefined)
      this.#service.moved(this, before)
  }

  /** `undefined` until the client has initialized. */
  get protocolVersion(): string | undefined {
    return this.#protocolVersion
  }

  get logLevel(): McpLogLevel | undefined {
    return this.#logLevel
  }

  /** Whether `initialize` is being answered, and the client has sent no other request in the meantime. */
  get ungreeted(): boolean {
    return this.#ungreeted
  }

  /** Number of unanswered requests. */
  get inFlight(): number {
    return this.#open.size
  }

  notify(method: string, params: string | undefined, message?: string): void {
    if (this.#closed || this.#protocolVersion === undefined) return
    const text = message ?? notificationText(method, params)
    if (this.#early) this.#early.add(text)
    else this.#send(text)
  }

  /** Takes a request. The answer goes to `reply`. */
  request(id: string, incoming: Incoming, reply: Reply): void {
    try {
      const answer = this.#answerHere(incoming)
      if (answer !== undefined) {
        reply.answer(resultText(id, answer), '', '')
        return
      }
      if (this.#open.has(id))
        throw new GatewayError('invalid_request', `A request with id ${id} is still in flight.`)
    } catch (error) {
      turnDown(this.#service, this, incoming, GatewayError.from(error), answer => refuse(reply, id, answer))
      return
    }
    const call = new Call(
      id,
      incoming,
      {
        principal: this.principal,
        modern: false,
        protocolVersion: this.#protocolVersion as string,
        features: this.#features,
        view: this.view,
        conversation: this,
        logLevel: this.#logLevel,
        ask: (request, to) => this.#asks.ask(request, text => to.notify(text)),
      },
      reply,
    )
    if (incoming.method === 'initialize') this.#greet(id, call, reply)
    else {
      this.#ungreeted = false
      void this.#run(id, call, this.#service)
    }
  }

  ask(request: InputRequest): Promise<string> {
    return this.#asks.ask(request, text => {
      if (this.#closed) return false
      if (this.#early) return this.#early.add(text)
      this.#send(text)
      return true
    })
  }

  /** Takes the client's answer to a request of the gateway. */
  response(message: Message): void {
    this.#asks.answer(message)
  }

  notification(incoming: Incoming): void {
    if (incoming.method === 'notifications/roots/list_changed') this.#service.rootsChanged(this)
    if (incoming.method !== 'notifications/cancelled' || !incoming.params) return
    const id = rawAt(incoming.params.text, 'requestId')
    const reason = incoming.params.value.reason
    if (id !== undefined)
      this.#open
        .get(id)
        ?.cancellation.cancel(
          typeof reason === 'string' ? reason.slice(0, MAX_REASON) : 'the client cancelled',
        )
  }

  /** Answers everything in flight with `error`. */
  stop(error: GatewayError): void {
    for (const call of this.#open.values()) call.stop(error, this.#service.serverInfo)
  }

  /** Ends all requests to the client, and refuses further ones, because the client can answer none of them. */
  deafen(): void {
    this.#asks.close()
  }

  /** Cancels everything in flight and unregisters the session. Idempotent. */
  close(): void {
    if (this.#closed) return
    this.#closed = true
    for (const call of this.#open.values()) call.cancellation.cancel('the session ended')
    this.#asks.close()
    if (this.#protocolVersion !== undefined) this.#service.leave(this)
  }

  async #run(id: string, call: Call, handler: Pick<Service, 'handle'>): Promise<void> {
    this.#open.set(id, call)
    await call.run(this.#service, handler)
    this.#open.take(id)
  }

  /** Answers `initialize` once the instructions of servers are available or the wait for them is over. */
  #greet(id: string, call: Call, reply: Reply): void {
    const soon = this.#service.introduced(call)
    if (!soon) return reply.answer(resultText(id, this.#introduction()), '', '')
    const early = (this.#early = new Early())
    this.#ungreeted = true
    const handle = async (): Promise<Outcome> => {
      await soon
      this.#ungreeted = false
      return { kind: 'own', text: this.#introduction() }
    }
    void this.#run(id, call, { handle }).then(() => {
      this.#early = undefined
      for (const text of this.#closed ? [] : early.texts) this.#send(text)
    })
  }

  #ownView(): string {
    if (this.#protocolVersion === undefined) return this.#everyones
    return this.#service.viewFor(this.#everyones, clientKindOf(false, this.#features))
  }

  /** Raw result of a request that concerns only the session. `undefined` for every other request. */
  #answerHere({ method, params }: Incoming): string | undefined {
    if (method === 'ping') return '{}'
    if (method === 'initialize') {
      this.#initialize(params?.value ?? {})
      return undefined
    }
    if (this.#protocolVersion === undefined)
      throw new GatewayError('invalid_request', `Send "initialize" before "${method.slice(0, 100)}".`)
    if (method === 'logging/setLevel') {
      const level = params?.value.level as McpLogLevel
      if (!MCP_LOG_LEVELS.includes(level))
        throw new GatewayError('invalid_params', `"level" must be one of ${MCP_LOG_LEVELS.join(', ')}.`)
      this.#logLevel = level
      return '{}'
    }
    return undefined
  }

  /** Negotiates at once everything that later messages of the client depend on, even if the answer is late. */
  #initialize(params: JsonObject): void {
    if (this.#protocolVersion !== undefined)
      throw new GatewayError('invalid_request', 'This session is initialized already.')
    const asked = params.protocolVersion
    if (typeof asked !== 'string')
      throw new GatewayError('invalid_params', '"protocolVersion" must be a string.')
    const revision = LEGACY_VERSIONS.includes(asked) ? asked : LATEST_LEGACY
    this.#features = isJsonObject(params.capabilities)
      ? forwardableCapabilities(params.capabilities, revision)
      : ''
    this.#protocolVersion = revision
    this.#view = this.#ownView()
    this.#client = clientName(params.clientInfo)
    this.#service.join(this)
  }

  #introduction(): string {
    const version = this.#protocolVersion as string
    const instructions = this.#service.instructions(this.view)
    const parts = [
      `"protocolVersion":"${version}"`,
      `"capabilities":${JSON.stringify(this.#service.capabilities(this.view, version))}`,
      `"serverInfo":${this.#service.serverInfo}`,
    ]
    if (instructions !== undefined) parts.push(`"instructions":${JSON.stringify(instructions)}`)
    return `{${parts.join(',')}}`
  }
}

/** @throws GatewayError `invalid_request` for a session whose revision has no batches (since 2025-06-18, changelog) */
export function refuseBatches({ protocolVersion }: Session): void {
  if (protocolVersion === undefined || revisionProfile(protocolVersion)?.batches) return
  throw new GatewayError(
    'invalid_request',
    `Revision ${protocolVersion} has no batches; send one message at a time.`,
  )
}
