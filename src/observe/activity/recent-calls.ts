import type { EventBus } from '../../core/event-bus.ts'
import type { RequestEnded } from '../../core/events.ts'
import { Follower, MAX_FOLLOWERS } from '../follower.ts'
import { callRecordOf, keptCallOf, type CallRecord, type KeptCall } from './call-record.ts'

export interface CallFilter {
  readonly client?: string | undefined
  readonly server?: string | undefined
  /** The server's own name. */
  readonly tool?: string | undefined
  /** Only those that were not answered with a result. */
  readonly failed?: boolean | undefined
}

/** Calls that are kept: of all, and the slowest of each ten minutes of the last hour. */
const MAX_RECENT = 1000
const MAX_SLOW = 50
const SPAN_MS = 600_000
const MAX_SPANS = 6

interface FollowedCall {
  readonly call: KeptCall
  readonly line: string
}

/** The slowest calls of a span of time, the slowest first. */
interface SlowSpan {
  readonly endsAt: number
  readonly calls: KeptCall[]
}

/** The last calls, and the slowest ones of the last hour. */
export class RecentCalls {
  /** A ring: the oldest is at `#count % MAX_RECENT`. */
  readonly #recent: KeptCall[] = []
  #count = 0
  /** The latest first. */
  #spans: SlowSpan[] = []
  readonly #followers = new Set<Follower<FollowedCall>>()
  #isClosed = false

  /** Keeps what `events` report, until the returned function is called. */
  listen(events: Pick<EventBus, 'hear'>): () => void {
    return events.hear('request.ended', event => this.#add(event))
  }

  /** The last ones that are asked for, the latest first. */
  last(filter: CallFilter, most: number): CallRecord[] {
    const found: CallRecord[] = []
    for (let back = 1; back <= this.#recent.length && found.length < most; back++) {
      const call = this.#recent[(this.#count - back) % MAX_RECENT]
      if (call && isAsked(call, filter)) found.push(callRecordOf(call))
    }
    return found
  }

  /** The slowest ones of the last hour that are asked for, the slowest first. */
  slowest(filter: CallFilter, most: number, now: number): CallRecord[] {
    return this.#spans
      .filter(({ endsAt }) => endsAt > now - MAX_SPANS * SPAN_MS)
      .flatMap(({ calls }) => calls.filter(call => isAsked(call, filter)))
      .sort((a, b) => b.durationMs - a.durationMs)
      .slice(0, most)
      .map(callRecordOf)
  }

  /** Lines of JSON of calls that end from now on. `undefined`: too many readers follow already. */
  follow(filter: CallFilter): AsyncIterableIterator<string> | undefined {
    if (this.#followers.size >= MAX_FOLLOWERS) return undefined
    const follower: Follower<FollowedCall> = new Follower(
      ({ call }) => isAsked(call, filter),
      () => this.#followers.delete(follower),
    )
    if (this.#isClosed) follower.end()
    else this.#followers.add(follower)
    return follower
  }

  /** Ends what is followed. Idempotent. */
  close(): void {
    this.#isClosed = true
    for (const follower of this.#followers) follower.end()
    this.#followers.clear()
  }

  #add(event: RequestEnded): void {
    const call = keptCallOf(event, this.#count + 1)
    this.#recent[this.#count % MAX_RECENT] = call
    this.#count++
    this.#addSlow(call, event.time)
    if (this.#followers.size === 0) return
    const line = JSON.stringify(callRecordOf(call))
    for (const follower of this.#followers) follower.add({ call, line })
  }

  #addSlow(call: KeptCall, now: number): void {
    let span = this.#spans[0]
    if (!span || now >= span.endsAt) {
      span = { endsAt: now + SPAN_MS, calls: [] }
      this.#spans = [span, ...this.#spans.slice(0, MAX_SPANS - 1)]
    }
    const { calls } = span
    const fastest = calls.at(-1)
    if (calls.length >= MAX_SLOW && fastest && call.durationMs <= fastest.durationMs) return
    const at = calls.findIndex(({ durationMs }) => durationMs < call.durationMs)
    calls.splice(at < 0 ? calls.length : at, 0, call)
    if (calls.length > MAX_SLOW) calls.pop()
  }
}

function isAsked(call: KeptCall, { client, server, tool, failed }: CallFilter): boolean {
  return (
    (client === undefined || call.client === client) &&
    (server === undefined || call.server === server) &&
    (tool === undefined || call.name === tool) &&
    (failed !== true || call.result !== 'ok')
  )
}
