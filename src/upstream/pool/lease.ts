import type { Link } from '../link/link.ts'
import type { LinkSlot } from './link-slot.ts'

/** A link lent to a call. Until it is returned, its slot is not closed to make room. */
export class LinkLease {
  readonly link: Link
  readonly #slot: LinkSlot
  readonly #onReleased: ((slot: LinkSlot) => void) | undefined
  #held = true

  /** `slot` has recorded the lease. `onReleased` is called once, after the slot has its link back. */
  constructor(link: Link, slot: LinkSlot, onReleased?: (slot: LinkSlot) => void) {
    this.link = link
    this.#slot = slot
    this.#onReleased = onReleased
  }

  /** Returns the link. Idempotent. */
  release(): void {
    if (!this.#held) return
    this.#held = false
    this.#slot.giveBack()
    this.#onReleased?.(this.#slot)
  }
}
