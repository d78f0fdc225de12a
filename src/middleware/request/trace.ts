import type { RequestMiddleware } from '../../core/compose.ts'
import type { DebugTrace } from '../../observe/debug-trace.ts'

export interface TraceOptions {
  /** `undefined` where the log does not show it. */
  readonly debugTrace: DebugTrace | undefined
}

/** Says in the log, at its level `debug`, what became of every request. */
export function trace({ debugTrace }: TraceOptions): RequestMiddleware | undefined {
  if (!debugTrace) return undefined
  return next => request => debugTrace.request(request, next)
}
