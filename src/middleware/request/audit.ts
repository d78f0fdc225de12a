import type { Middleware } from '../../core/compose.ts'
import { GatewayError } from '../../core/errors.ts'
import type { ClientRequest } from '../../core/client-request.ts'
import type { Audit } from '../../observe/audit.ts'
import { OPENED } from './opened.ts'

export interface AuditOptions {
  /** `undefined` where there is none. */
  readonly auditLog: Audit | undefined
}

/** A line in the audit log for every request, with what became of it. A stream has its line when it is open (`auditOpened`), a session none. */
export function audit<R extends ClientRequest>({ auditLog }: AuditOptions): Middleware<R> | undefined {
  if (!auditLog) return undefined
  return next => async request => {
    const since = performance.now()
    try {
      const outcome = await next(request)
      if (outcome !== OPENED) auditLog.note(request, since, outcome, undefined)
      return outcome
    } catch (caught) {
      const error = request.cancellation?.error ?? GatewayError.from(caught)
      auditLog.note(request, since, undefined, error)
      throw error
    }
  }
}

/** A line for a stream that was asked for at `since` (`performance.now()`), and that is open now. */
export function auditOpened({ auditLog }: AuditOptions, request: ClientRequest, since: number): void {
  auditLog?.note(request, since, OPENED, undefined)
}
