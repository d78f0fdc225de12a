import { CallState } from '../../core/call-state.ts'
import { CallTrace } from '../../core/call-trace.ts'
import { Cancellation } from '../../core/cancellation.ts'
import { monotonicNow } from '../../core/clock.ts'
import type { Deadlines } from '../../core/deadlines.ts'
import { GatewayError } from '../../core/errors.ts'
import type { Exchange, InputRequest } from '../../core/exchange.ts'
import type { Unfinished } from '../../core/unfinished.ts'
import { UnfinishedRequests, type CallTimeout } from './unfinished-requests.ts'

/** How long a server may still send messages about a cancelled call. */
const TALK_MS = 60_000
const MAX_KEPT = 1000

const OVER = new Cancellation()
OVER.cancel('the call is over')

interface Kept {
  readonly exchange: Exchange
  readonly until: number
}

/**
 * Cancelled calls that the server may still be working on, because nothing confirms a cancellation. A message of the
 * server that does not name its call may be about one of them, so it must not be attributed to another client's call.
 * Only the owner of each call is kept.
 */
export class CancelledCalls {
  readonly #kept = new Map<number, Kept>()
  /** Exchanges of all kept calls, built on demand. */
  #exchanges: readonly Exchange[] | undefined
  readonly #unfinished: UnfinishedRequests

  constructor(deadlines: Deadlines, server: CallTimeout) {
    this.#unfinished = new UnfinishedRequests(deadlines, server)
  }

  /**
   * `id` is that of the request to the server. `exchange` is the call that later messages may be about, if any.
   * @returns the unfinished request at the server; `undefined` if it counts as ended
   */
  add(id: number, exchange: Exchange | undefined): Unfinished | undefined {
    this.#purge()
    if (exchange) {
      this.#kept.set(id, { exchange: new CancelledCall(exchange), until: monotonicNow() + TALK_MS })
      this.#exchanges = undefined
    }
    return this.#unfinished.add(id)
  }

  /** Records that the server has answered after all, or never will. */
  answered(id: number): void {
    if (this.#kept.delete(id)) this.#exchanges = undefined
    this.#unfinished.ended(id)
  }

  /** Drops everything, because the link has ended. */
  close(): void {
    this.#unfinished.close()
  }

  /** Oldest first. The same array while nothing changes. */
  exchanges(): readonly Exchange[] {
    this.#purge()
    this.#exchanges ??= Array.from(this.#kept.values(), ({ exchange }) => exchange)
    return this.#exchanges
  }

  get any(): boolean {
    this.#purge()
    return this.#kept.size > 0
  }

  #purge(): void {
    const now = monotonicNow()
    // In order of time, so the loop ends at the first one that is still kept.
    for (const [id, { until }] of this.#kept) {
      if (until > now && this.#kept.size < MAX_KEPT) return
      this.#kept.delete(id)
      this.#exchanges = undefined
    }
  }
}

/**
 * The owner of a call. Its request, connection and answer are released, because arguments are often megabytes, and a
 * minute is long.
 */
class CancelledCall implements Exchange {
  readonly request: Exchange['request']
  readonly principal: Exchange['principal']
  readonly modern: boolean
  readonly protocolVersion: string
  readonly features = ''
  readonly canBeAsked = 'never'
  readonly view: string
  readonly conversation: Exchange['conversation']
  readonly logLevel: Exchange['logLevel']
  readonly cancellation = OVER
  readonly trace = new CallTrace()
  readonly state = new CallState()
  passed = 0

  constructor({ request, principal, modern, protocolVersion, view, conversation, logLevel }: Exchange) {
    this.request = { method: request.method, params: undefined, progressToken: undefined }
    this.principal = principal
    this.modern = modern
    this.protocolVersion = protocolVersion
    this.view = view
    this.conversation = conversation
    this.logLevel = logLevel
  }

  notify(): void {
    // The call has no receiver any more.
  }

  ask({ server, method }: InputRequest): Promise<string> {
    return Promise.reject(
      new GatewayError('cannot_ask', `Server "${server}" asks for ${method}, but its call is over.`, {
        server,
      }),
    )
  }
}
