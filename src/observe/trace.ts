import { GatewayError } from '../core/errors.ts'
import { clientName, type Conversation, type Exchange, type Outcome } from '../core/exchange.ts'
import { isJsonObject } from '../core/json-object.ts'
import type { Logger } from '../core/logger.ts'
import { META } from '../protocol/revisions.ts'
import { endpointOf } from './endpoint.ts'

/** Clients of the modern era that have been named; when there are more, they are named anew. */
const MAX_CLIENTS = 1000

/** What clients do, at the log level `debug`: a line for each session, each list and each call. Made only where that level is written. */
export class Trace {
  readonly #logger: Logger
  readonly #clients = new Set<string>()

  constructor(logger: Logger) {
    this.#logger = logger
  }

  /** A legacy session has been agreed on. */
  opened({ id, client, front, principal, protocolVersion: revision, view }: Conversation): void {
    this.#logger.debug('A session was opened.', {
      session: id.slice(0, 8),
      client,
      principal: principal.name,
      era: 'legacy',
      revision,
      front,
      endpoint: endpointOf(view),
    })
  }

  closed({ id, client }: Conversation): void {
    this.#logger.debug('A session was closed.', { session: id.slice(0, 8), client })
  }

  /** `since` as `performance.now()` says it. */
  async request(exchange: Exchange, answering: Promise<Outcome>): Promise<Outcome> {
    const since = performance.now()
    if (exchange.modern) this.#named(exchange)
    try {
      const outcome = await answering
      this.#line(exchange, since, outcomeOf(outcome))
      return outcome
    } catch (caught) {
      this.#line(exchange, since, GatewayError.from(caught).code)
      throw caught
    }
  }

  /** Clients of the modern era have no session: each is named once. */
  #named(exchange: Exchange): void {
    const { principal, protocolVersion: revision, view } = exchange
    const client = clientOf(exchange)
    const key = `${principal.id}\n${view}\n${client}\n${revision}`
    if (this.#clients.has(key)) return
    if (this.#clients.size >= MAX_CLIENTS) this.#clients.clear()
    this.#clients.add(key)
    this.#logger.debug('A client without a session.', {
      client,
      principal: principal.name,
      era: 'modern',
      revision,
      endpoint: endpointOf(view),
    })
  }

  #line(exchange: Exchange, since: number, outcome: string): void {
    const { request, record, conversation } = exchange
    const { route } = record
    this.#logger.debug(request.method.slice(0, 100), {
      server: route?.server,
      name: route?.own.slice(0, 300),
      replica: record.replica,
      cache: record.cache,
      client: clientOf(exchange),
      session: conversation?.id.slice(0, 8),
      ms: Math.round((performance.now() - since) * 10) / 10,
      outcome,
    })
  }
}

function clientOf({ conversation, request }: Exchange): string {
  if (conversation) return conversation.client ?? ''
  const meta = request.params?.value._meta
  return clientName(isJsonObject(meta) ? meta[META.clientInfo] : undefined)
}

function outcomeOf(outcome: Outcome): string {
  if (outcome.kind === 'error')
    return `error ${isJsonObject(outcome.value) ? String(outcome.value.code) : ''}`.trim()
  return outcome.kind === 'result' && isJsonObject(outcome.value) && outcome.value.isError === true
    ? 'isError'
    : 'ok'
}
