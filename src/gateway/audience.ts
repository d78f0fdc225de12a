import { tellListChanged } from './gateway-events.ts'
import type { Generation } from './generation.ts'
import type { Runtime } from './runtime.ts'
import type { View } from '../catalog/view.ts'
import { describeError } from '../core/errors.ts'
import type { EventSink } from '../core/event-bus.ts'
import type { Conversation } from '../core/exchange.ts'
import type { ListKind } from '../core/route.ts'
import type { ListenStream, ListenStreams } from '../front/listen-streams.ts'
import { listChangedMethod } from '../protocol/list-changed.ts'

/** A conversation or stream, with what its client saw before a change. */
export interface SeenView {
  readonly listener: Conversation | ListenStream
  readonly view: View | undefined
}

/** Those that hear of changed lists and updated resources: conversations, and listen streams of clients without one. */
export class Audience {
  readonly #runtime: Runtime
  readonly #streams: ListenStreams
  readonly #events: EventSink

  constructor(runtime: Runtime, streams: ListenStreams, events: EventSink) {
    this.#events = events
    this.#runtime = runtime
    this.#streams = streams
  }

  /** What each sees by a generation. */
  seenIn({ catalog }: Generation): readonly SeenView[] {
    const all = [...this.#runtime.relay.conversations, ...this.#streams.all]
    return all.map(listener => ({ listener, view: catalog.view(listener.view) }))
  }

  /**
   * Each sees by another generation now, perhaps in a view of another name. It goes on with the subscriptions that it
   * may have, and hears once of each kind of list that looks different. Never rejects.
   */
  async moved(seen: readonly SeenView[], generation: Generation): Promise<void> {
    const compared = new Map<View, Map<View, Promise<readonly ListKind[]>>>()
    const changed = (before: View, after: View): Promise<readonly ListKind[]> => {
      let known = compared.get(before)
      if (!known) compared.set(before, (known = new Map()))
      let kinds = known.get(after)
      if (!kinds) known.set(after, (kinds = this.#changed(before, after, generation)))
      return kinds
    }
    for (const { listener, view } of seen) {
      try {
        await this.#moved(listener, view, generation, changed)
      } catch (error) {
        this.#runtime.logger.warn('A client could not be notified of what a reload changed for it.', {
          cause: describeError(error),
        })
      }
    }
  }

  /** Lists that differ for the clients that have moved from one view to another. */
  async #changed(before: View, after: View, { catalog }: Generation): Promise<readonly ListKind[]> {
    const kinds = await catalog.views.changed(before, after)
    if (kinds.length > 0) tellListChanged(this.#events, after.name, kinds)
    return kinds
  }

  async #moved(
    listener: Conversation | ListenStream,
    before: View | undefined,
    { catalog, router }: Generation,
    changed: (before: View, after: View) => Promise<readonly ListKind[]>,
  ): Promise<void> {
    const after = await catalog.views.made(listener.view)
    if (!after || after === before || !this.#isThere(listener)) return
    const isOwner = (server: string, uri: string): boolean => router.ownerOf(listener, uri) === server
    this.#runtime.subscriptions.retain(listener, isOwner)
    const kinds = before ? await changed(before, after) : []
    if (kinds.length === 0 || !this.#isThere(listener)) return
    if ('listsChanged' in listener) listener.listsChanged(kinds)
    else for (const method of new Set(kinds.map(listChangedMethod))) listener.notify(method, undefined)
  }

  #isThere(listener: Conversation | ListenStream): boolean {
    return 'listsChanged' in listener
      ? this.#streams.has(listener)
      : this.#runtime.relay.conversations.has(listener)
  }
}
