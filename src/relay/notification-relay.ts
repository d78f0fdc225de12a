import { askClient } from '../core/ask-client.ts'
import { ClientError } from '../core/client-error.ts'
import { GatewayError } from '../core/errors.ts'
import type { Cancellation } from '../core/cancellation.ts'
import {
  INPUT_METHODS,
  MCP_LOG_LEVELS,
  type Conversation,
  type Exchange,
  type HeldParams,
  type InputMethod,
  type InputRequest,
  type Json,
  type JsonObject,
  type McpLogLevel,
} from '../core/exchange.ts'
import type { Logger } from '../core/logger.ts'
import type { Principal } from '../core/principal.ts'
import type { Steps } from '../core/slices.ts'
import { unseenServer } from '../core/unseen-server.ts'
import { declaredTo } from '../protocol/capabilities.ts'
import { sharedNotification } from '../protocol/message.ts'
import type { Link } from '../upstream/link/link.ts'
import { TASK_STATUS } from '../protocol/related-task.ts'
import { toClientRequest } from '../bridge/client-request.ts'
import { LegacyTask } from '../tasks/legacy-task.ts'
import { boundedRecord } from './log-record.ts'
import { WaitingRecords } from './waiting-records.ts'
import type { TaskListeners } from './task-listeners.ts'
import type { Subscriptions } from './subscriptions.ts'

export interface NotificationRelayOptions {
  readonly logger: Logger
  readonly subscriptions: Subscriptions
  readonly taskListeners: TaskListeners
  /** Called when the server's lists may have changed. */
  readonly onListChanged: (link: Link) => void
  /** Called when the content of a resource has changed. `uri` is the server's own. */
  readonly onResourceChanged: (server: string, uri: string) => void
  /** Whether clients of a view see a server. */
  readonly sees: (view: string, server: string) => boolean
}

/** Relays notifications and requests of servers to exactly the clients they concern. */
export class NotificationRelay {
  readonly #options: NotificationRelayOptions
  readonly #conversations = new Set<Conversation>()
  readonly #logs: WaitingRecords

  constructor(options: NotificationRelayOptions) {
    this.#options = options
    this.#logs = new WaitingRecords(options.logger)
  }

  join(conversation: Conversation): void {
    this.#conversations.add(conversation)
  }

  leave(conversation: Conversation): void {
    this.#conversations.delete(conversation)
    this.#options.subscriptions.leave(conversation)
  }

  /** The open sessions. */
  get conversations(): ReadonlySet<Conversation> {
    return this.#conversations
  }

  onNotification(link: Link, method: string, params: Json | undefined, among: readonly Exchange[]): void {
    switch (method) {
      case 'notifications/message':
        if (params) this.#log(link, params, among)
        return
      case 'notifications/tools/list_changed':
      case 'notifications/resources/list_changed':
      case 'notifications/prompts/list_changed':
        this.#options.onListChanged(link)
        return
      case 'notifications/resources/updated':
        if (params) this.#updated(link, params)
        return
      case 'notifications/tasks':
        if (params) this.#options.taskListeners.updated(link, params)
        return
      case TASK_STATUS: {
        // The owner of the task decides, not the stream of the notification or other calls in flight.
        const task = among.find(exchange => exchange instanceof LegacyTask)
        if (task) task.notify(method, params?.text)
        else this.#options.logger.debug('A task is not known here; dropped.', { server: link.server.name })
        return
      }
      default:
        // An unknown notification still belongs to the call on whose stream it came.
        if (among.length === 1) among[0]?.notify(method, params?.text)
        else if (this.#seenByOwner(link)) link.owner?.notify(method, params?.text)
        else
          this.#options.logger.debug('A notification belongs to no single call; dropped.', {
            server: link.server.name,
            method,
          })
    }
  }

  /** Whether the link is of one session, which may still use the server. */
  #seenByOwner({ owner, server }: Link): boolean {
    return owner !== undefined && this.#options.sees(owner.view, server.name)
  }

  #updated(link: Link, params: Json): void {
    const { uri } = (params.value ?? {}) as JsonObject
    // First, because a client may read as soon as it gets the notification.
    if (typeof uri === 'string') this.#options.onResourceChanged(link.server.name, uri)
    this.#options.subscriptions.updated(link, params)
  }

  /**
   * A question goes to the call on whose stream it came. If that is unknown, it goes to one of the calls that can be
   * asked, provided that all calls it may be about are of one client. On a link of one session it goes to that session,
   * while this sees the server. The client is not asked what the configuration answers.
   */
  async onRequest(
    link: Link,
    method: string,
    params: HeldParams | undefined,
    among: readonly Exchange[],
    cancellation: Cancellation,
  ): Promise<string> {
    if (!INPUT_METHODS.includes(method as InputMethod))
      throw new GatewayError('unknown_method', `The gateway does not answer ${method.slice(0, 100)}.`)
    if (method === 'roots/list' && link.server.roots) return JSON.stringify({ roots: link.server.roots })
    for (const { state } of among) state.markAsked()
    const shown = (client: Parameters<typeof toClientRequest>[2]): InputRequest => {
      const { name } = link.server
      const request = { method: method as InputMethod, params: params?.text, server: name, cancellation }
      return letGoOnceSent(toClientRequest(request, params, client), params)
    }
    const calls = link.owner || areOneClients(among) ? among : []
    for (let call = likeliest(calls); call; call = likeliest(calls)) {
      try {
        return await askClient(call, shown(call))
      } catch (error) {
        // The call is over, but the server still waits: the question was for another call.
        const answered = error instanceof ClientError
        if (answered || params?.gone || call.canBeAsked !== 'never' || cancellation.reason !== undefined)
          throw error
      }
    }
    // None of them can be asked. A client that lacks the needed capability gets an error.
    const latest = calls.at(-1)
    if (latest && !link.owner) shown(latest)
    if (link.owner) {
      // Its client has cancelled it, or may not use its tool any more.
      if (among.length === 0 && link.tasks.about(method, params?.value))
        throw new GatewayError('cannot_ask', 'The task is gone.', { server: link.server.name })
      if (!this.#seenByOwner(link)) throw unseenServer(link.server.name)
      return await link.owner.ask(
        shown({
          features: link.capabilities,
          modern: false,
          protocolVersion: link.owner.protocolVersion,
        }),
      )
    }
    // Roots belong to the client, whatever it calls.
    if (method === 'roots/list' && link.capabilities.includes('"roots"'))
      return await link.unasked.wait(async call => await askClient(call, shown(call)), cancellation)
    throw new GatewayError('cannot_ask', `${method} cannot be attributed to one request of one client.`)
  }

  /**
   * A log record goes to the call on whose stream it came. Without one it goes to the sessions that see the server,
   * unless calls of several sessions are in flight: the owner of a record is never guessed. If calls of one client are
   * in flight, and only one of them can carry a notification now, that one carries it.
   */
  #log(link: Link, params: Json, candidates: readonly Exchange[]): void {
    const server = link.server.name
    const level = (params.value as JsonObject | null)?.level as McpLogLevel
    if (!MCP_LOG_LEVELS.includes(level)) return
    const { text } = boundedRecord(params)
    const among = candidates.length > 1 ? theOneOpen(candidates) : candidates
    const [exchange] = among
    if (exchange && among.length === 1) {
      if (wants(exchange.logLevel, level, exchange.modern)) exchange.notify('notifications/message', text)
      return
    }
    if (exchange) {
      const { conversation } = exchange
      if (conversation && among.every(other => other.conversation === conversation)) {
        if (wants(conversation.logLevel, level, false)) conversation.notify('notifications/message', text)
      } else this.#options.logger.debug('A log record belongs to one of several calls; dropped.', { server })
      return
    }
    const { owner } = link
    if (owner) {
      if (wants(owner.logLevel, level, false) && this.#seenByOwner(link))
        owner.notify('notifications/message', text)
      return
    }
    if (link.principal) return this.#logTo(link, link.principal, level, text)
    // A link that declares capabilities of clients belongs to these clients, and they have no session.
    if (link.capabilities !== declaredTo('', link.server.roots)) return
    this.#logs.tell(server, text, () => this.#logToAll(server, level, text))
  }

  /** Tells the sessions of a principal what its link says. */
  #logTo(link: Link, { id }: Principal, level: McpLogLevel, text: string): void {
    for (const conversation of this.#conversations)
      if (
        conversation.principal.id === id &&
        wants(conversation.logLevel, level, false) &&
        this.#options.sees(conversation.view, link.server.name)
      )
        conversation.notify('notifications/message', text)
  }

  *#logToAll(server: string, level: McpLogLevel, text: string): Steps<void> {
    const message = sharedNotification('notifications/message', text)
    for (const conversation of this.#conversations) {
      if (wants(conversation.logLevel, level, false) && this.#options.sees(conversation.view, server))
        conversation.notify('notifications/message', text, message)
      yield
    }
  }
}

/** The request to a client, whose text is released once it is sent. */
function letGoOnceSent(request: InputRequest, params: HeldParams | undefined): InputRequest {
  params?.keepText()
  const asked: { -readonly [K in keyof InputRequest]: InputRequest[K] } = { ...request }
  asked.sent = () => {
    asked.params = undefined
    params?.letGo()
  }
  return asked
}

/** Whether a question about any of these calls reaches the same client, through whichever of them it is sent. */
function areOneClients(calls: readonly Exchange[]): boolean {
  const [first] = calls
  return calls.every(
    ({ conversation, principal }) =>
      conversation === first?.conversation && principal.id === first?.principal.id,
  )
}

/** If all calls are of one client, and all but one are suspended or over: that one. All of them otherwise. */
function theOneOpen(calls: readonly Exchange[]): readonly Exchange[] {
  const open = calls.filter(({ canBeAsked }) => canBeAsked === 'now')
  return open.length === 1 && areOneClients(calls) ? open : calls
}

/**
 * The call of one client to which a question is put: one that can be asked at once before a suspended one, a tool call
 * before others, the newest before older ones.
 */
function likeliest(calls: readonly Exchange[]): Exchange | undefined {
  let best: Exchange | undefined
  let bestRank = 0
  for (const call of calls) {
    const { canBeAsked } = call
    if (canBeAsked === 'never') continue
    const rank = (canBeAsked === 'now' ? 3 : 1) + (call.request.method === 'tools/call' ? 1 : 0)
    if (rank >= bestRank) [best, bestRank] = [call, rank]
  }
  return best
}

/** Without a level, a legacy client gets what the server sends by default. A modern client has to set one. */
function wants(wanted: McpLogLevel | undefined, level: McpLogLevel, modern: boolean): boolean {
  if (wanted === undefined) return !modern
  return MCP_LOG_LEVELS.indexOf(level) >= MCP_LOG_LEVELS.indexOf(wanted)
}
