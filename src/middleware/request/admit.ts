import type { Handler, Middleware } from '../../core/compose.ts'
import type { Outcome } from '../../core/exchange.ts'
import type { ClientRequest } from '../../core/client-request.ts'
import type { AdmissionGate } from '../../quota/admission-gate.ts'
import type { QuotaOptions } from '../rate-limit.ts'
import { storeWait } from '../store-wait.ts'

/** Rates and concurrency limits of the caller, for every request. @throws GatewayError `rate_limited` */
export function admit<R extends ClientRequest>({ quotas }: QuotaOptions): Middleware<R> | undefined {
  if (!quotas) return undefined
  return next => request => {
    const gate = quotas.gate(request.principal)
    if (!gate) return next(request)
    const entering = gate.enter()
    return entering || gate.hasLeases ? inside(gate, entering, next, request) : next(request)
  }
}

async function inside<R extends ClientRequest>(
  gate: AdmissionGate,
  entering: Promise<void> | undefined,
  next: Handler<R>,
  request: R,
): Promise<Outcome> {
  if (entering) await storeWait(entering, request.trace)
  try {
    return await next(request)
  } finally {
    gate.leave()
  }
}
