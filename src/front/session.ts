import { randomUUID } from 'node:crypto'
import { GatewayError } from '../core/errors.ts'
import {
  clientName,
  LOG_LEVELS,
  type Conversation,
  type Front,
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
import { kindOf } from '../protocol/client-kind.ts'
import { forwardableCapabilities } from '../protocol/capabilities.ts'
import { ClientRequests } from './client-requests.ts'
import { Call, refuse, type Reply } from './call.ts'
import { Early } from './early.ts'
import { turnDown } from './admission.ts'
import type { Service } from './service.ts'

/** Characters of the reason for a cancellation that go on to the server. */
const MAX_REASON = 1000

/**
 * A legacy conversation with one client, whatever carries it: its revision, its log level, its requests in flight. Source: specification 2025-11-25,
 * basic/lifecycle.
 */
export class Session implements Conversation {
  /** Unguessable; HTTP clients show it to continue. */
  readonly id = randomUUID()
  #principal: Principal
  /** Of the endpoint, for whichever client. */
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
  /** While `initialize` is being answered. */
  #early: Early | undefined
  #ungreeted = false
  readonly front: Front
  #client = ''

  /** `send` takes whole messages that belong to no request. */
  constructor(
    service: Service,
    principal: Principal,
    view: string,
    send: (text: string) => void,
    front: Front,
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

  /** The client has come with other rights of the same identity. */
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

  /** While `initialize` is being answered to a client that has asked for nothing else meanwhile. */
  get ungreeted(): boolean {
    return this.#ungreeted
  }

  /** Requests that wait for their answer. */
  get inFlight(): number {
    return this.#open.size
  }

  notify(method: string, params: string | undefined, message?: string): void {
    if (this.#closed || this.#protocolVersion === undefined) return
    const text = message ?? notificationText(method, params)
    if (this.#early) this.#early.add(text)
    else this.#send(text)
  }

  /** Takes a request; the answer goes to `reply`. */
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

  /** Takes the client's answer to something it was asked. */
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

  /** Answers everything that is in flight with `error`. */
  stop(error: GatewayError): void {
    for (const call of this.#open.values()) call.stop(error, this.#service.serverInfo)
  }

  /** The client will answer nothing of what it was asked, nor of what it still would be. */
  deafen(): void {
    this.#asks.close()
  }

  /** Cancels what is in flight and leaves. Idempotent. */
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

  /** Answers `initialize`, once what servers say of themselves is known or is not waited for any more. */
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
    return this.#service.viewFor(this.#everyones, kindOf(false, this.#features))
  }

  /** Raw result of what concerns only the conversation, `undefined` for everything else. */
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
      if (!LOG_LEVELS.includes(level))
        throw new GatewayError('invalid_params', `"level" must be one of ${LOG_LEVELS.join(', ')}.`)
      this.#logLevel = level
      return '{}'
    }
    return undefined
  }

  /** Agrees on all that later messages of the client rely on, however late the answer is. */
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

/** @throws GatewayError `invalid_request` for a session whose revision has no batches any more (2025-06-18, changelog) */
export function refuseBatches({ protocolVersion }: Session): void {
  if (protocolVersion === undefined || revisionProfile(protocolVersion)?.batches) return
  throw new GatewayError(
    'invalid_request',
    `Revision ${protocolVersion} has no batches; send one message at a time.`,
  )
}
