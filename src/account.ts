import { GatewayError } from './core/errors.ts'
import type { Exchange, Outcome } from './core/exchange.ts'
import type { Accounts, Opening } from './front/service.ts'
import type { Audit } from './observe/audit.ts'
import type { Gate } from './quota/gate.ts'
import type { Quotas } from './quota/quotas.ts'

/** What a listen stream has been answered with when it has only begun. */
const NOTHING: Outcome = { kind: 'ready', text: '' }

/** What every request has to pass, whatever it is about, and its line in the audit log. */
export class Account implements Accounts {
  readonly #quotas: Quotas | undefined
  readonly #audit: Audit | undefined

  constructor(quotas: Quotas | undefined, audit: Audit | undefined) {
    this.#quotas = quotas
    this.#audit = audit
  }

  enter(request: Opening, since: number): Promise<void> | undefined {
    return this.#gateOf(request)?.enter(since)
  }

  answered(exchange: Exchange, since: number, outcome: Outcome): void {
    this.#gateOf(exchange)?.leave()
    this.#audit?.note(exchange, since, outcome, undefined)
  }

  failed(request: Opening, since: number, error: GatewayError, entered: boolean): void {
    if (entered) this.#gateOf(request)?.leave()
    this.#audit?.note(request, since, undefined, error)
  }

  /** What is open for hours is counted when it is opened and keeps no place. */
  admit(opening: Opening): Promise<void> | undefined {
    const gate = this.#gateOf(opening)
    return gate && this.#passThrough(gate, opening)
  }

  listening(exchange: Exchange, since: number): void {
    this.#audit?.note(exchange, since, NOTHING, undefined)
  }

  #gateOf({ principal }: Opening): Gate | undefined {
    return this.#quotas?.gate(principal)
  }

  async #passThrough(gate: Gate, opening: Opening): Promise<void> {
    const since = performance.now()
    try {
      await gate.enter(since)
    } catch (caught) {
      this.#audit?.note(opening, since, undefined, GatewayError.from(caught))
      throw caught
    }
    gate.leave()
  }
}
