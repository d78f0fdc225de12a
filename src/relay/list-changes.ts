import type { Conversation } from '../core/exchange.ts'
import type { ListKind } from '../core/route.ts'
import { listChangedMethod } from '../protocol/list-changed.ts'
import { sharedNotification } from '../protocol/message.ts'

type Listener = (kinds: readonly ListKind[]) => void

/** Receivers of changed lists: sessions, and listen streams of clients without one, by view. */
export class ListChanges {
  readonly #conversations: () => Iterable<Conversation>
  readonly #listeners = new Map<Listener, string>()

  /** `conversations` returns the open sessions at the moment of a change. */
  constructor(conversations: () => Iterable<Conversation>) {
    this.#conversations = conversations
  }

  /** Views with a receiver. */
  *watched(): Generator<string> {
    for (const { view, ungreeted } of this.#conversations()) if (ungreeted !== true) yield view
    yield* this.#listeners.values()
  }

  /** Calls `listener` for changes of a view until the returned function is called. */
  on(view: string, listener: Listener): () => void {
    this.#listeners.set(listener, view)
    return () => this.#listeners.delete(listener)
  }

  tell(view: string, kinds: readonly ListKind[]): void {
    const methods = new Set(kinds.map(listChangedMethod))
    const messages = [...methods].map(method => [method, sharedNotification(method, undefined)] as const)
    for (const conversation of this.#conversations())
      if (conversation.view === view && conversation.ungreeted !== true)
        for (const [method, message] of messages) conversation.notify(method, undefined, message)
    for (const [listener, listened] of this.#listeners) if (listened === view) listener(kinds)
  }
}
