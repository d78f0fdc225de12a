import type { EventBus } from '../../core/event-bus.ts'
import type { AttemptEnded, RequestEnded } from '../../core/events.ts'
import type { Principal } from '../../core/principal.ts'
import { RequestView } from '../../core/request-view.ts'
import { TraceView, type RouteFacts, type TraceFacts } from '../../core/trace-view.ts'
import { sampledTraceOf } from '../trace-parent.ts'
import { methodLabel } from '../method-label.ts'
import type { AllSeries } from './all-series.ts'

/** The methods whose target is of a list, so that its name is a label. URIs and task ids are without number. */
const NAMED: Readonly<Record<string, 'tool' | 'prompt' | undefined>> = {
  'tools/call': 'tool',
  'prompts/get': 'prompt',
}

/** Of a stage of a request that goes to no server. */
const NO_PLACE = -1

/** The places of what the calls of one thing by one client count. */
interface CallPlaces {
  readonly method: string
  /** Of those that succeed. There is none before the first one. */
  ok: { readonly requests: number; readonly operations: number } | undefined
  readonly bytesIn: number
  readonly bytesOut: number
  readonly queue: number
  readonly upstream: number
  readonly gateway: number
}

/** The places of one client: of listed things, and of everything else by method and server. */
interface ClientPlaces {
  readonly byRoute: WeakMap<RouteFacts, CallPlaces>
  readonly byServer: Map<string, CallPlaces>
}

interface AttemptPlaces {
  readonly method: string
  readonly replica: string
  readonly attempts: number
}

/**
 * Counts requests and attempts. The places of a listed thing are looked up once for each client, because its route is
 * the same object from call to call.
 */
export class RequestMetrics {
  readonly #series: AllSeries
  readonly #clients = new WeakMap<Principal, ClientPlaces>()
  readonly #attempts = new WeakMap<RouteFacts, AttemptPlaces>()

  constructor(series: AllSeries) {
    this.#series = series
  }

  /** Counts what `events` report, until the returned function is called. */
  listen(events: Pick<EventBus, 'hear'>): () => void {
    const ends = [
      events.hear('request.ended', event => this.#ended(event)),
      events.hear('attempt.ended', event => this.#attemptEnded(event)),
    ]
    return () => ends.forEach(end => end())
  }

  #ended(event: RequestEnded): void {
    const trace = TraceView.behind(event.trace)
    const { route } = trace
    const { method, params } = RequestView.behind(event.request)
    const places = this.#placesOf(event.principal, method, route)
    const series = this.#series
    const { result } = event
    const { requests, operations: operation } =
      result === 'ok'
        ? (places.ok ??= {
            requests: requestPlace(series, event.principal, method, route, 'ok', ''),
            operations: operationPlace(series, method, route, ''),
          })
        : {
            requests: requestPlace(series, event.principal, method, route, result, codeOf(event)),
            operations: operationPlace(series, method, route, errorTypeOf(event)),
          }
    const seconds = event.durationMs / 1000
    series.requests.add(requests)
    series.operations.observe(operation, seconds)
    series.bytesIn.add(places.bytesIn, event.bytesIn)
    series.bytesOut.add(places.bytesOut, event.bytesOut)
    if (route) this.#stages(event, trace, route, places)
    const traceId = sampledTraceOf(params?.value._meta)
    if (traceId !== undefined)
      series.operations.exemplify(operation, { traceId, value: seconds, time: event.time / 1000 })
  }

  #stages(
    { durationMs, result }: RequestEnded,
    trace: TraceFacts,
    route: RouteFacts,
    places: CallPlaces,
  ): void {
    const { stages, coalesced, fallbacks, failovers } = this.#series
    const { waitedMs, storeMs, linkMs, upstreamMs, sentAt, endedAt } = trace
    const clientMs = sentAt > 0 ? Math.max(0, endedAt - sentAt - upstreamMs) : 0
    stages.observe(places.queue, waitedMs / 1000)
    if (sentAt > 0) stages.observe(places.upstream, upstreamMs / 1000)
    if (storeMs > 0) stages.observe(stages.at('store', route.server), storeMs / 1000)
    if (linkMs > 0) stages.observe(stages.at('link', route.server), linkMs / 1000)
    // Less is the time between the last attempt and its report.
    if (clientMs > 1) stages.observe(stages.at('client', route.server), clientMs / 1000)
    const rest = durationMs - waitedMs - storeMs - linkMs - upstreamMs - clientMs
    stages.observe(places.gateway, Math.max(0, rest) / 1000)
    if (trace.cache === 'coalesced') coalesced.add(coalesced.at(route.server))
    if (trace.fallbackFrom !== undefined) fallbacks.add(fallbacks.at(trace.fallbackFrom))
    if (result !== 'failed' && trace.repeats > 0) failovers.add(failovers.at(route.server))
  }

  #attemptEnded({ trace: view, method, server, replica, name, error, durationMs }: AttemptEnded): void {
    const { attempts } = this.#series
    const trace = TraceView.behind(view)
    const { route } = trace
    let place: number
    if (error) {
      place = attempts.at(...operationLabels(method, name, String(error.kind.rpc), server), replica)
    } else {
      const known = route && this.#attempts.get(route)
      if (known?.replica === replica && known.method === method) place = known.attempts
      else {
        place = attempts.at(...operationLabels(method, name, '', server), replica)
        if (route && NAMED[method]) this.#attempts.set(route, { method, replica, attempts: place })
      }
    }
    attempts.observe(place, durationMs / 1000)
  }

  #placesOf(principal: Principal, method: string, route: RouteFacts | undefined): CallPlaces {
    let client = this.#clients.get(principal)
    if (!client) this.#clients.set(principal, (client = { byRoute: new WeakMap(), byServer: new Map() }))
    if (route && NAMED[method] !== undefined) {
      const known = client.byRoute.get(route)
      if (known?.method === method) return known
      const places = placesOf(this.#series, principal, method, route)
      client.byRoute.set(route, places)
      return places
    }
    const label = methodLabel(method)
    const key = `${label} ${route?.server ?? ''}`
    let places = client.byServer.get(key)
    if (!places) client.byServer.set(key, (places = placesOf(this.#series, principal, label, route)))
    return places
  }
}

function placesOf(
  series: AllSeries,
  principal: Principal,
  method: string,
  route: RouteFacts | undefined,
): CallPlaces {
  const client = clientOf(principal)
  const server = route?.server ?? ''
  const stage = (name: string): number => (route ? series.stages.at(name, server) : NO_PLACE)
  return {
    method,
    ok: undefined,
    bytesIn: series.bytesIn.at(client, server),
    bytesOut: series.bytesOut.at(client, server),
    queue: stage('queue'),
    upstream: stage('upstream'),
    gateway: stage('gateway'),
  }
}

function requestPlace(
  { requests }: AllSeries,
  principal: Principal,
  method: string,
  route: RouteFacts | undefined,
  result: string,
  code: string,
): number {
  const name = NAMED[method] === undefined ? '' : (route?.own ?? '')
  return requests.at(clientOf(principal), route?.server ?? '', methodLabel(method), name, result, code)
}

function operationPlace(
  { operations }: AllSeries,
  method: string,
  route: RouteFacts | undefined,
  errorType: string,
): number {
  return operations.at(...operationLabels(method, route?.own ?? '', errorType, route?.server ?? ''))
}

function operationLabels(method: string, name: string, errorType: string, server: string): string[] {
  const kind = NAMED[method]
  return [methodLabel(method), kind === 'tool' ? name : '', kind === 'prompt' ? name : '', errorType, server]
}

/** Principals of tokens are named by their issuer, so that there may be very many. */
function clientOf({ client, name }: Principal): string {
  return client ?? name
}

function codeOf({ error, result, serverCode }: RequestEnded): string {
  if (error) return error.code
  return result === 'server_error' && serverCode !== undefined ? String(serverCode) : ''
}

function errorTypeOf({ error, result, serverCode }: RequestEnded): string {
  if (result === 'tool_error') return 'tool_error'
  return String(error?.kind.rpc ?? serverCode ?? '_OTHER')
}
