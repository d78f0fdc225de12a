import { GatewayError } from '../core/errors.ts'
import type { Exchange, Outcome } from '../core/exchange.ts'
import type { Opening } from '../front/service.ts'
import type { Audit } from '../observe/audit.ts'
import type { DebugTrace } from '../observe/debug-trace.ts'
import type { AdmissionGate } from '../quota/admission-gate.ts'
import type { Quotas } from '../quota/quotas.ts'
import type { Router } from './router.ts'

/** What a listen stream has been answered with when it has only begun. */
const NOTHING: Outcome = { kind: 'ready', text: '' }

/** What every request has to pass, whatever it is about, and its line in the audit log. */
export class RequestChain {
  readonly #router: Router
  readonly #quotas: Quotas | undefined
  readonly #audit: Audit | undefined
  readonly #trace: DebugTrace | undefined

  constructor(
    router: Router,
    quotas: Quotas | undefined,
    audit: Audit | undefined,
    trace: DebugTrace | undefined,
  ) {
    this.#router = router
    this.#quotas = quotas
    this.#audit = audit
    this.#trace = trace
  }

  handle(exchange: Exchange): Promise<Outcome> {
    return this.#trace ? this.#trace.request(exchange, this.#traced(exchange)) : this.#handle(exchange)
  }

  /** Whatever fails at once fails later. */
  async #traced(exchange: Exchange): Promise<Outcome> {
    return await this.#handle(exchange)
  }

  #handle(exchange: Exchange): Promise<Outcome> {
    const gate = this.#quotas?.gate(exchange.principal)
    return this.#audit || gate ? this.#accountFor(exchange, gate) : this.#router.handle(exchange)
  }

  /** What is open for hours is counted when it is opened and keeps no place. @throws GatewayError `rate_limited` */
  admit(opening: Opening): Promise<void> | undefined {
    const gate = this.#quotas?.gate(opening.principal)
    return gate && this.#passThrough(gate, opening)
  }

  /** Counts and notes what was refused before it could become a request: a limit that it exceeds is what answers it. */
  refused(opening: Opening, error: GatewayError): Promise<GatewayError> | undefined {
    const gate = this.#quotas?.gate(opening.principal)
    if (gate) return this.#refused(gate, opening, error)
    this.#audit?.note(opening, performance.now(), undefined, error)
    return undefined
  }

  async #refused(gate: AdmissionGate, opening: Opening, error: GatewayError): Promise<GatewayError> {
    const since = performance.now()
    let answer = error
    try {
      await gate.enter(since)
      gate.leave()
    } catch (caught) {
      answer = GatewayError.from(caught)
    }
    this.#audit?.note(opening, since, undefined, answer)
    return answer
  }

  /** A listen stream that began at `since` (`performance.now()`) is open. */
  listening(exchange: Exchange, since: number): void {
    this.#audit?.note(exchange, since, NOTHING, undefined)
  }

  async #passThrough(gate: AdmissionGate, opening: Opening): Promise<void> {
    const since = performance.now()
    try {
      await gate.enter(since)
    } catch (caught) {
      this.#audit?.note(opening, since, undefined, GatewayError.from(caught))
      throw caught
    }
    gate.leave()
  }

  /** One frame for both, since they are on the way of every call. */
  async #accountFor(exchange: Exchange, gate: AdmissionGate | undefined): Promise<Outcome> {
    const since = performance.now()
    let inside = false
    try {
      const entering = gate?.enter(since)
      if (entering) await entering
      inside = true
      const outcome = await this.#router.handle(exchange)
      this.#audit?.note(exchange, since, outcome, undefined)
      return outcome
    } catch (caught) {
      const error = exchange.cancellation.error ?? GatewayError.from(caught)
      this.#audit?.note(exchange, since, undefined, error)
      throw error
    } finally {
      if (inside) gate?.leave()
    }
  }
}
