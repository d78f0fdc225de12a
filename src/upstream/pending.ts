import type { Deadline } from '../core/deadlines.ts'
import type { GatewayError } from '../core/errors.ts'
import type { Exchange, Outcome } from '../core/exchange.ts'

/** A request that waits for its answer on a link. */
export class Pending implements Deadline {
  place: number | undefined
  due: number | undefined
  readonly link: Expiring
  readonly id: number
  readonly method: string
  readonly timeoutMs: number
  readonly exchange: Exchange | undefined
  readonly resolve: (outcome: Outcome) => void
  readonly reject: (error: GatewayError) => void

  constructor(
    link: Expiring,
    id: number,
    method: string,
    timeoutMs: number,
    exchange: Exchange | undefined,
    resolve: (outcome: Outcome) => void,
    reject: (error: GatewayError) => void,
  ) {
    this.link = link
    this.id = id
    this.method = method
    this.timeoutMs = timeoutMs
    this.exchange = exchange
    this.resolve = resolve
    this.reject = reject
  }

  expire(): void {
    this.link.expire(this.id)
  }
}

/** What is told when the time of a request has passed. */
interface Expiring {
  expire(id: number): void
}

/** The setting of a server that bounds how long a request may take. */
export function limitOf({ exchange, method }: Pending): string {
  if (exchange) return 'timeout'
  return method === 'initialize' || method === 'server/discover' ? 'startTimeout' : 'listTimeout'
}
