import type { Link } from '../link/link.ts'
import type { LinkSlot } from './link-slot.ts'

/** A link that is handed out to a call. Until it is given back, its slot is not given up to make room. */
export class Lease {
  readonly link: Link
  readonly #slot: LinkSlot
  readonly #onReleased: ((slot: LinkSlot) => void) | undefined
  #held = true

  /** `slot` has been told of the lease. `onReleased` is called once, after the slot has its link back. */
  constructor(link: Link, slot: LinkSlot, onReleased?: (slot: LinkSlot) => void) {
    this.link = link
    this.#slot = slot
    this.#onReleased = onReleased
  }

  /** Gives the link back. Idempotent. */
  release(): void {
    if (!this.#held) return
    this.#held = false
    this.#slot.giveBack()
    this.#onReleased?.(this.#slot)
  }
}
