import { RequestView } from '../core/request-view.ts'
import type { EventBus } from '../core/event-bus.ts'
import type { RequestBegan, RequestEnded, SessionClosed, SessionOpened } from '../core/events.ts'
import type { JsonObject } from '../core/exchange.ts'
import { isJsonObject } from '../core/json-object.ts'
import type { Logger } from '../core/logger.ts'
import { UNSEEN } from '../core/seen-text.ts'

/** Modern clients that have been logged; beyond this number, the set is cleared and clients are logged again. */
const MAX_CLIENTS = 1000
/** Maximum characters of a name or URI. */
const MAX_NAME = 300

/**
 * Logs client activity at level `debug`: a line for each session, list and call. Created only when that level is
 * enabled.
 */
export class DebugTrace {
  readonly #logger: Logger
  readonly #clients = new Set<string>()

  constructor(logger: Logger) {
    this.#logger = logger
  }

  /** Logs the events of `events` until the returned function is called. */
  listen(events: Pick<EventBus, 'hear'>): () => void {
    const ends = [
      events.hear('session.opened', event => this.#opened(event)),
      events.hear('session.closed', event => this.#closed(event)),
      events.hear('request.began', event => this.#began(event)),
      events.hear('request.ended', event => this.#ended(event)),
    ]
    return () => ends.forEach(end => end())
  }

  /** A legacy session was opened. */
  #opened({ session, client, front, principal, protocolVersion: revision, endpoint }: SessionOpened): void {
    this.#logger.debug('A session was opened.', {
      session,
      client,
      principal: principal.name,
      era: 'legacy',
      revision,
      front,
      endpoint,
    })
  }

  #closed({ session, client }: SessionClosed): void {
    this.#logger.debug('A session was closed.', { session, client })
  }

  /** Modern clients have no session: each client is logged once. */
  #began({
    routed,
    modern,
    principal,
    protocolVersion: revision,
    view,
    client,
    endpoint,
  }: RequestBegan): void {
    if (!routed || !modern) return
    const key = `${principal.id}\n${view}\n${client}\n${revision}`
    if (this.#clients.has(key)) return
    if (this.#clients.size >= MAX_CLIENTS) this.#clients.clear()
    this.#clients.add(key)
    this.#logger.debug('A client without a session.', {
      client,
      principal: principal.name,
      era: 'modern',
      revision,
      endpoint,
    })
  }

  #ended(event: RequestEnded): void {
    if (!event.routed) return
    const { request, trace, principal } = event
    const { route } = trace
    this.#logger.debug(request.method.slice(0, 100), {
      server: route?.server,
      name: shown(route ? route.own : asked(RequestView.behind(request).params?.value)),
      rule: trace.rule ?? (route ? undefined : event.rule),
      replica: trace.replica,
      cache: trace.cache,
      client: event.client,
      principal: principal.name,
      session: event.session,
      ms: Math.round(event.durationMs * 10) / 10,
      outcome: outcomeOf(event),
    })
  }
}

/** The target of a request, as the client wrote it. */
function asked(params: JsonObject | undefined): unknown {
  const { name, uri, ref, taskId } = params ?? {}
  const { name: prompt, uri: template } = isJsonObject(ref) ? ref : {}
  return name ?? uri ?? taskId ?? prompt ?? template
}

function shown(name: unknown): string | undefined {
  return typeof name === 'string' ? name.slice(0, MAX_NAME).replace(UNSEEN, '') : undefined
}

function outcomeOf({ result, error, serverCode }: RequestEnded): string {
  if (error) return error.code
  if (result === 'server_error') return `error ${serverCode ?? ''}`.trim()
  return result === 'tool_error' ? 'isError' : 'ok'
}
