import { CLOCK } from '../core/clock.ts'
import type { EventSink } from '../core/event-bus.ts'
import type { Principal } from '../core/principal.ts'
import type { CacheEntry, From } from './entry.ts'
import type { Invalidation } from './invalidation.ts'
import type { CachePolicy } from './policies.ts'

type Of = Pick<CachePolicy, 'server' | 'tool'>

/** Reports that a cached result is served. */
export function tellHit(
  events: EventSink,
  { server, tool }: Of,
  { size, upstreamMs }: CacheEntry,
  principal: Principal,
  from: From,
  stale: boolean,
): void {
  if (!events.heard['cache.hit']) return
  const time = CLOCK.wall()
  events.emit({
    type: 'cache.hit',
    time,
    server,
    tool,
    principal,
    stale,
    from,
    bytes: size,
    savedMs: upstreamMs,
  })
}

/** Reports that a result has been stored. */
export function tellStored(events: EventSink, { server, tool }: Of, text: string): void {
  if (!events.heard['cache.stored']) return
  events.emit({ type: 'cache.stored', time: CLOCK.wall(), server, tool, bytes: Buffer.byteLength(text) })
}

export function tellInvalidated(events: EventSink, server: string, what: Invalidation): void {
  if (!events.heard['cache.invalidated']) return
  const tags = what === 'server' ? undefined : Object.freeze([...what])
  events.emit({ type: 'cache.invalidated', time: CLOCK.wall(), server, tags })
}
