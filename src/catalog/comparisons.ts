import { describeError } from '../core/errors.ts'
import type { Logger } from '../core/logger.ts'
import type { ListKind } from '../core/route.ts'
import type { SlicedWork, Steps } from '../core/slices.ts'
import { changedKinds } from './changed-kinds.ts'
import type { View } from './view.ts'

/** A view as its clients were last told of it. */
export interface ToldView {
  /** `undefined`: it was dropped. */
  readonly view: View | undefined
  /** Builds a view that was dropped. */
  readonly make: () => Steps<View>
}

export interface ComparisonsOptions {
  readonly work: SlicedWork
  /** The view of this name by now. */
  readonly latest: (name: string) => Steps<View | undefined>
  /** Called when these lists of a view have changed for its clients. */
  readonly onChange: (name: string, kinds: readonly ListKind[]) => void
  readonly logger: Logger
}

/** Comparisons of replaced views with those that serve by now, one at a time, so that clients hear what differs. */
export class Comparisons {
  readonly #options: ComparisonsOptions
  /** Views that may have changed since their clients were last told. */
  readonly #waiting = new Map<string, ToldView>()
  #current: { readonly name: string; readonly told: ToldView } | undefined
  #stopped = false

  constructor(options: ComparisonsOptions) {
    this.#options = options
  }

  /** Adds a replaced view, unless an earlier state of it still waits. `start` begins with it. */
  add(name: string, told: ToldView): void {
    if (!this.#stopped && !this.#waiting.has(name)) this.#waiting.set(name, told)
  }

  start(): void {
    if (!this.#current) void this.#compare()
  }

  /** The view of this name as its clients know it, while they have not been told of a later one. */
  told(name: string): ToldView | undefined {
    return this.#current?.name === name ? this.#current.told : this.#waiting.get(name)
  }

  /** No further change is told, also none that is being determined. */
  stop(): void {
    this.#stopped = true
    this.#waiting.clear()
  }

  async #compare(): Promise<void> {
    const { work, latest, onChange, logger } = this.#options
    for (const [name, told] of this.#waiting) {
      this.#waiting.delete(name)
      this.#current = { name, told }
      try {
        const kinds = await work.do(() => changesTo(told, latest(name)))
        if (!this.#stopped && kinds.length > 0) onChange(name, kinds)
      } catch (error) {
        logger.warn('The gateway could not determine which lists have changed.', {
          cause: describeError(error),
        })
      }
    }
    this.#current = undefined
  }
}

function* changesTo(told: ToldView, latest: Steps<View | undefined>): Steps<ListKind[]> {
  const view = yield* latest
  return view ? yield* changesSince(told, view) : []
}

/** Determines, with pauses, the lists that differ for clients between a view that they know and another one. */
export function* changesSince(told: ToldView, after: View): Steps<ListKind[]> {
  if (told.view === after) return []
  const before = told.view ?? (yield* told.make())
  yield* before.signing()
  yield* after.signing()
  return changedKinds(before, after)
}
