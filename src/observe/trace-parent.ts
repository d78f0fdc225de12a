import { isJsonObject } from '../core/json-object.ts'

/** W3C Trace Context: version, trace id, parent id, flags. */
const TRACEPARENT = /^([\da-f]{2})-([\da-f]{32})-([\da-f]{16})-([\da-f]{2})(?:-|$)/
const NO_TRACE = '0'.repeat(32)
const NO_SPAN = '0'.repeat(16)
const SAMPLED = 1

export interface TraceParent {
  readonly traceId: string
  readonly spanId: string
  readonly sampled: boolean
}

/** What the client of a request says of its trace (`_meta.traceparent`); `undefined` for none, or an invalid one. */
export function traceParentOf(meta: unknown): TraceParent | undefined {
  const parent = isJsonObject(meta) ? meta['traceparent'] : undefined
  if (typeof parent !== 'string') return undefined
  const [, version, traceId = NO_TRACE, spanId = NO_SPAN, flags = '0'] = TRACEPARENT.exec(parent) ?? []
  if (version === 'ff' || traceId === NO_TRACE || spanId === NO_SPAN) return undefined
  return { traceId, spanId, sampled: (Number.parseInt(flags, 16) & SAMPLED) === SAMPLED }
}

/** The trace of a request that its client samples. */
export function sampledTraceOf(meta: unknown): string | undefined {
  const parent = traceParentOf(meta)
  return parent?.sampled === true ? parent.traceId : undefined
}
