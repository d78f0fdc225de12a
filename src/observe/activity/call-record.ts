import type { RequestEnded } from '../../core/events.ts'
import { isJsonObject } from '../../core/json-object.ts'
import { RequestView } from '../../core/request-view.ts'
import { UNSEEN } from '../../core/seen-text.ts'
import { TraceView } from '../../core/trace-view.ts'
import { redact } from '../redact.ts'
import { traceParentOf } from '../trace-parent.ts'

/** Where the time of a call went. */
export const CALL_STAGES = ['queue', 'store', 'link', 'upstream', 'client', 'gateway'] as const
export type CallStage = (typeof CALL_STAGES)[number]

/** A request that has ended, as it is shown. It holds neither arguments nor results. */
export interface CallRecord {
  /** Number since the start of the gateway. */
  readonly nth: number
  /** When it arrived; Unix milliseconds. */
  readonly time: number
  readonly client: string
  /** What the client calls itself. */
  readonly application: string
  readonly era: 'legacy' | 'modern'
  readonly method: string
  readonly server: string
  /** The server's own name of the tool or prompt, or the URI; what was asked for where there is no such thing. */
  readonly name: string
  readonly result: RequestEnded['result']
  /** Code of the error: of the gateway, or a number of the server. */
  readonly code: string | undefined
  readonly errorId: string | undefined
  readonly durationMs: number
  readonly stages: Readonly<Record<CallStage, number>>
  readonly cache: string | undefined
  readonly replica: string | undefined
  readonly repeats: number
  readonly fallbackFrom: string | undefined
  readonly rule: string | undefined
  readonly bytesIn: number
  readonly bytesOut: number
  /** W3C trace id of its client. */
  readonly traceId: string | undefined
}

const MAX_TEXT = 200

/** What is kept of a call: values and short texts, and nothing that holds its parameters or its result. */
export interface KeptCall extends Omit<CallRecord, 'era' | 'code' | 'stages'> {
  readonly modern: boolean
  readonly code: string | number | undefined
  readonly waitedMs: number
  readonly storeMs: number
  readonly linkMs: number
  readonly upstreamMs: number
  readonly clientMs: number
}

export function keptCallOf(event: RequestEnded, nth: number): KeptCall {
  const trace = TraceView.behind(event.trace)
  const { method, params } = RequestView.behind(event.request)
  const { route, sentAt, endedAt, upstreamMs } = trace
  const { principal, error, durationMs } = event
  return {
    nth,
    time: event.time - durationMs,
    client: kept(principal.client ?? principal.name),
    application: kept(event.client),
    modern: event.modern,
    method: kept(method),
    server: route?.server ?? '',
    name: kept(route?.own ?? askedIn(params?.value)),
    result: event.result,
    code: error?.code ?? event.serverCode,
    errorId: error?.errorId,
    durationMs,
    waitedMs: trace.waitedMs,
    storeMs: trace.storeMs,
    linkMs: trace.linkMs,
    upstreamMs,
    clientMs: sentAt > 0 ? Math.max(0, endedAt - sentAt - upstreamMs) : 0,
    cache: trace.cache,
    replica: trace.replica,
    repeats: trace.repeats,
    fallbackFrom: trace.fallbackFrom,
    rule: trace.rule,
    bytesIn: event.bytesIn,
    bytesOut: event.bytesOut,
    traceId: traceParentOf(params?.value._meta)?.traceId,
  }
}

export function callRecordOf(call: KeptCall): CallRecord {
  const { modern, waitedMs, storeMs, linkMs, upstreamMs, clientMs, ...rest } = call
  const { durationMs } = call
  const gateway = Math.max(0, durationMs - waitedMs - storeMs - linkMs - upstreamMs - clientMs)
  return {
    ...rest,
    time: Math.round(call.time),
    client: shown(call.client),
    application: shown(call.application),
    era: modern ? 'modern' : 'legacy',
    method: shown(call.method),
    name: shown(redact(call.name)),
    code: call.code?.toString(),
    durationMs: tenths(durationMs),
    stages: {
      queue: tenths(waitedMs),
      store: tenths(storeMs),
      link: tenths(linkMs),
      upstream: tenths(upstreamMs),
      client: tenths(clientMs),
      gateway: tenths(gateway),
    },
  }
}

/** The stage that took the most. */
export function longestStage({ stages }: Pick<CallRecord, 'stages'>): CallStage {
  return CALL_STAGES.reduce((longest, stage) => (stages[stage] > stages[longest] ? stage : longest))
}

function askedIn(params: unknown): string {
  if (!isJsonObject(params)) return ''
  const { name, uri } = params
  return typeof name === 'string' ? name : typeof uri === 'string' ? uri : ''
}

/** A short text is kept as it is. Of a long one, a copy of its beginning: a part would keep the whole in memory. */
function kept(text: string): string {
  return text.length <= MAX_TEXT ? text : Buffer.from(`${text.slice(0, MAX_TEXT - 1)}…`).toString()
}

function shown(text: string): string {
  return text.replace(UNSEEN, ' ')
}

function tenths(ms: number): number {
  return Math.round(ms * 10) / 10
}
