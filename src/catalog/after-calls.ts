import { monotonicNow } from '../core/clock.ts'
import type { Exchange } from '../core/exchange.ts'
import { attemptKey } from './attempt.ts'
import { Changes } from './changes.ts'
import type { ServerSnapshot } from './snapshot.ts'

/**
 * A list request of a client waits only for servers that the client has called within this time. A server may report a
 * changed list after the answer to the call that changed it.
 */
const WITHIN_MS = 2000

/**
 * Token bucket of listings for one server and one kind of client: the size of the burst. One more listing is allowed
 * each second.
 */
const BURST = 5
const ONE_MORE_MS = 1000

/** Capabilities that have a `listChanged` member. */
const FEATURES = ['tools', 'resources', 'prompts'] as const

/** Maximum number of clients whose last calls are recorded. The client recorded first is dropped for a new one. */
const MAX_CLIENTS = 5000

export interface AfterCallsOptions {
  readonly snapshot: (server: string) => ServerSnapshot | undefined
  /** Lists a server again for a client, after the listing of it that is running. Never rejects. */
  readonly list: (server: string, exchange: Exchange) => Promise<void>
}

/**
 * Servers that a client has just called. A server may report changed lists only after it has answered the call that
 * changed them. A client that lists within two seconds of the call therefore gets what the server lists by then.
 */
export class AfterCalls {
  readonly #options: AfterCallsOptions
  /** Client → server → time at which its last call was answered. */
  readonly #calls = new Map<string, Map<string, number>>()
  /** Listing key → time of the last such listing, and time from which the whole burst is available again. */
  readonly #listings = new Map<string, { at: number; fullAt: number }>()
  readonly #running = new Changes()

  constructor(options: AfterCallsOptions) {
    this.#options = options
  }

  /** Records that a server has answered a call of this client, or has failed to. */
  called(exchange: Exchange, server: string): void {
    if (exchange.request.method !== 'tools/call' || !tellsOfChanges(this.#options.snapshot(server))) return
    const client = clientOf(exchange)
    let calls = this.#calls.get(client)
    if (!calls) {
      if (this.#calls.size >= MAX_CLIENTS)
        for (const oldest of this.#calls.keys()) {
          this.#calls.delete(oldest)
          break
        }
      this.#calls.set(client, (calls = new Map()))
    }
    calls.set(server, monotonicNow())
  }

  /**
   * Resolves when the servers that this client has just called are listed, after at most 1.5 s. `undefined`: there is
   * nothing to wait for.
   */
  listed(exchange: Exchange, servers: ReadonlySet<string>): Promise<unknown> | undefined {
    const client = clientOf(exchange)
    const calls = this.#calls.get(client)
    if (!calls) return undefined
    const now = monotonicNow()
    const keys = new Set<string>()
    for (const [server, at] of calls) {
      if (now - at > WITHIN_MS) calls.delete(server)
      else if (servers.has(server)) {
        const key = attemptKey(server, exchange, undefined)
        keys.add(key)
        if (this.#mayList(key, at, now))
          void this.#options.list(server, exchange).then(this.#running.begin(key))
      }
    }
    if (calls.size === 0) this.#calls.delete(client)
    return this.#running.shown(keys)
  }

  close(): void {
    this.#running.close()
    this.#calls.clear()
  }

  /** Whether nothing has been listed since the call, and the bucket has a listing left. */
  #mayList(key: string, calledAt: number, now: number): boolean {
    const last = this.#listings.get(key)
    if (last && last.at > calledAt) return false
    const fullAt = Math.max(last?.fullAt ?? 0, now) + ONE_MORE_MS
    if (fullAt - now > BURST * ONE_MORE_MS) return false
    this.#listings.set(key, { at: now, fullAt })
    return true
  }
}

/** Identity of a client: its session, or the principal for all modern requests. */
function clientOf({ conversation, principal }: Exchange): string {
  return conversation?.id ?? principal.id
}

function tellsOfChanges(snapshot: ServerSnapshot | undefined): boolean {
  for (const feature of FEATURES) {
    const declared = snapshot?.capabilities[feature] as { listChanged?: unknown } | undefined
    if (declared?.listChanged === true) return true
  }
  return false
}
