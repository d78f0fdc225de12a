import { tellListChanged } from './gateway-events.ts'
import type { Generation } from './generation.ts'
import type { Runtime } from './runtime.ts'
import type { ToldView } from '../catalog/comparisons.ts'
import type { View } from '../catalog/view.ts'
import { describeError } from '../core/errors.ts'
import type { EventSink } from '../core/event-bus.ts'
import type { Conversation } from '../core/exchange.ts'
import type { ListKind } from '../core/route.ts'
import type { ListenStream, ListenStreams } from '../front/listen-streams.ts'
import { listChangedMethod } from '../protocol/list-changed.ts'

type Listener = Conversation | ListenStream

/** A conversation or stream, with what its client was told of before a change. */
export interface SeenView {
  readonly listener: Listener
  /** `undefined`: its endpoint was never shown. */
  readonly told: ToldView | undefined
}

type Changed = (told: ToldView, after: View) => Promise<readonly ListKind[]>

/** Those that hear of changed lists and updated resources: conversations, and listen streams of clients without one. */
export class Audience {
  readonly #runtime: Runtime
  readonly #streams: ListenStreams
  readonly #events: EventSink
  /** Moves under way. A client that moves on meanwhile is told by its last move, of all that has changed since. */
  readonly #moving = new Map<Listener, SeenView>()

  constructor(runtime: Runtime, streams: ListenStreams, events: EventSink) {
    this.#events = events
    this.#runtime = runtime
    this.#streams = streams
  }

  /** What each was last told of by a generation. Builds nothing, so that the turn of a swap is short. */
  seenIn(generation: Generation): readonly SeenView[] {
    const all = [...this.#runtime.relay.conversations, ...this.#streams.all]
    return all.map(listener => this.seenBy(listener, listener.view, generation))
  }

  /** What a client with a view of this name was last told of. */
  seenBy(listener: Listener, view: string, { catalog }: Generation): SeenView {
    return { listener, told: this.#moving.get(listener)?.told ?? catalog.views.told(view) }
  }

  /**
   * Each sees by another generation now, perhaps in a view of another name. It goes on with the subscriptions and
   * tasks that it may have, and hears once of each kind of list that looks different. Never rejects.
   */
  async moved(all: readonly SeenView[], generation: Generation): Promise<void> {
    const compared = new Map<View | ToldView, Map<View, Promise<readonly ListKind[]>>>()
    const changed: Changed = (told, after) => {
      const before = told.view ?? told
      let known = compared.get(before)
      if (!known) compared.set(before, (known = new Map()))
      let kinds = known.get(after)
      if (!kinds) known.set(after, (kinds = this.#changed(told, after, generation)))
      return kinds
    }
    for (const seen of all) this.#moving.set(seen.listener, seen)
    for (const seen of all) {
      try {
        await this.#moved(seen, generation, changed)
      } catch (error) {
        this.#runtime.logger.warn('A client could not be notified of what a reload changed for it.', {
          cause: describeError(error),
        })
      }
      if (this.#isLast(seen)) this.#moving.delete(seen.listener)
    }
  }

  /** Lists that differ for the clients that have moved from one view to another. */
  async #changed(told: ToldView, after: View, { catalog }: Generation): Promise<readonly ListKind[]> {
    const kinds = await catalog.views.changed(told, after)
    if (kinds.length > 0) tellListChanged(this.#events, after.name, kinds)
    return kinds
  }

  async #moved(seen: SeenView, { catalog, router }: Generation, changed: Changed): Promise<void> {
    const { listener, told } = seen
    const after = await catalog.views.made(listener.view)
    if (!after || after === told?.view || !this.#isLast(seen) || !this.#isThere(listener)) return
    const isOwner = (server: string, uri: string): boolean => router.ownerOf(listener, uri) === server
    const { subscriptions, taskListeners, legacyTasks } = this.#runtime
    const permits = (server: string, tool: string): boolean => after.permits(server, tool)
    subscriptions.retain(listener, isOwner)
    taskListeners.retain(listener, permits)
    if (!('listsChanged' in listener)) legacyTasks.retain(listener, permits)
    const kinds = told ? await changed(told, after) : []
    if (kinds.length === 0 || !this.#isLast(seen) || !this.#isThere(listener)) return
    if ('listsChanged' in listener) listener.listsChanged(kinds)
    // A client that is not greeted yet has no list that could be outdated.
    else if (listener.ungreeted !== true)
      for (const method of new Set(kinds.map(listChangedMethod))) listener.notify(method, undefined)
  }

  /** Whether the client has not moved on meanwhile. */
  #isLast(seen: SeenView): boolean {
    return this.#moving.get(seen.listener) === seen
  }

  #isThere(listener: Listener): boolean {
    return 'listsChanged' in listener
      ? this.#streams.has(listener)
      : this.#runtime.relay.conversations.has(listener)
  }
}
