import { GatewayError } from './core/errors.ts'
import type { Exchange, Outcome } from './core/exchange.ts'
import type { Accounts, Opening } from './front/service.ts'
import type { Audit } from './observe/audit.ts'
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

  enter(exchange: Opening, since: number): Promise<void> | undefined {
    return this.#quotas?.gate(exchange.principal)?.enter(since)
  }

  answered(exchange: Exchange, since: number, outcome: Outcome): void {
    this.#quotas?.gate(exchange.principal)?.leave()
    this.#audit?.note(exchange, since, outcome, undefined)
  }

  failed(exchange: Opening, since: number, error: GatewayError, entered: boolean): void {
    if (entered) this.#quotas?.gate(exchange.principal)?.leave()
    this.#audit?.note(exchange, since, undefined, error)
  }

  async admit(opening: Opening): Promise<void> {
    const since = performance.now()
    try {
      await this.enter(opening, since)
    } catch (caught) {
      const error = GatewayError.from(caught)
      this.failed(opening, since, error, false)
      throw error
    }
    this.#quotas?.gate(opening.principal)?.leave()
  }

  listening(exchange: Exchange, since: number): void {
    this.#audit?.note(exchange, since, NOTHING, undefined)
  }
}
