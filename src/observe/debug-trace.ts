import { GatewayError } from '../core/errors.ts'
import {
  clientName,
  type Conversation,
  type Exchange,
  type JsonObject,
  type Outcome,
} from '../core/exchange.ts'
import { isJsonObject } from '../core/json-object.ts'
import type { Logger } from '../core/logger.ts'
import { UNSEEN } from '../core/seen-text.ts'
import { META } from '../protocol/revisions.ts'
import { endpointOf } from './endpoint.ts'

/** Clients of the modern era that have been named; when there are more, they are named anew. */
const MAX_CLIENTS = 1000
/** Characters of a name or URI. */
const MAX_NAME = 300

/** What clients do, at the log level `debug`: a line for each session, each list and each call. Made only where that level is written. */
export class DebugTrace {
  readonly #logger: Logger
  readonly #ruleOn: (exchange: Exchange) => string | undefined
  readonly #clients = new Set<string>()

  /** `ruleOn`: place of the rule about what a request names; asked where no route was found. */
  constructor(logger: Logger, ruleOn: (exchange: Exchange) => string | undefined) {
    this.#logger = logger
    this.#ruleOn = ruleOn
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

  /** A line for a request, once it is answered by `next`. */
  async request(exchange: Exchange, next: (exchange: Exchange) => Promise<Outcome>): Promise<Outcome> {
    const since = performance.now()
    if (exchange.modern) this.#named(exchange)
    try {
      const outcome = await next(exchange)
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
    const { request, trace, conversation, principal } = exchange
    const { route } = trace
    this.#logger.debug(request.method.slice(0, 100), {
      server: route?.server,
      name: shown(route ? route.own : asked(request.params?.value)),
      rule: trace.rule ?? (route ? undefined : this.#ruleOn(exchange)),
      replica: trace.replica,
      cache: trace.cache,
      client: clientOf(exchange),
      principal: principal.name,
      session: conversation?.id.slice(0, 8),
      ms: Math.round((performance.now() - since) * 10) / 10,
      outcome,
    })
  }
}

/** What a request names, as the client says it. */
function asked(params: JsonObject | undefined): unknown {
  const { name, uri, ref, taskId } = params ?? {}
  const { name: prompt, uri: template } = isJsonObject(ref) ? ref : {}
  return name ?? uri ?? taskId ?? prompt ?? template
}

function shown(name: unknown): string | undefined {
  return typeof name === 'string' ? name.slice(0, MAX_NAME).replace(UNSEEN, '') : undefined
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
