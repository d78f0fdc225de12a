import { GatewayError } from '../core/errors.ts'

/** Bounds of the stored lists of all servers together, including every variant. */
const MAX_TOTAL_ENTRIES = 100_000
const MAX_TOTAL_CHARS = 128 * 1024 * 1024

/** Size of lists. */
export interface Size {
  readonly entries: number
  /** Characters of the definitions. */
  readonly chars: number
}

const NOTHING: Size = { entries: 0, chars: 0 }

/**
 * Budget for the lists of all servers together. Each allocation leaves at least as much free as it takes, so that the
 * lists of one server never leave another server without room. Lists that do not grow always fit.
 */
export class ListBudget {
  readonly #limits: Size
  readonly #held = new Map<string, Size>()
  #entries = 0
  #chars = 0

  constructor(limits: Size = { entries: MAX_TOTAL_ENTRIES, chars: MAX_TOTAL_CHARS }) {
    this.#limits = limits
  }

  /**
   * Sets the allocation of a server to `size`, in place of the former one. @throws GatewayError `too_large`, and
   * nothing changes
   */
  take(server: string, size: Size): void {
    this.#take(server, size, 2)
  }

  /**
   * As `take`, for lists stored by an earlier run. They were within the budget then, so each may use all that is free,
   * in any order. @throws as `take`
   */
  restore(server: string, size: Size): void {
    this.#take(server, size, 1)
  }

  /** Frees the allocation of a server that is removed. */
  free(server: string): void {
    const { entries, chars } = this.#held.get(server) ?? NOTHING
    this.#entries -= entries
    this.#chars -= chars
    this.#held.delete(server)
  }

  #take(server: string, size: Size, parts: number): void {
    const held = this.#held.get(server) ?? NOTHING
    const entries = this.#entries - held.entries
    const chars = this.#chars - held.chars
    const most = {
      entries: Math.max(held.entries, Math.floor((this.#limits.entries - entries) / parts)),
      chars: Math.max(held.chars, Math.floor((this.#limits.chars - chars) / parts)),
    }
    if (size.entries > most.entries)
      throw exceeded(server, size.entries, most.entries, this.#limits.entries, 'definitions')
    if (size.chars > most.chars)
      throw exceeded(server, size.chars, most.chars, this.#limits.chars, 'characters')
    this.#entries = entries + size.entries
    this.#chars = chars + size.chars
    this.#held.set(server, size)
  }
}

function exceeded(server: string, size: number, most: number, all: number, unit: string): GatewayError {
  return new GatewayError(
    'too_large',
    `The lists of server "${server}" have ${size} ${unit}, all that it shows to other kinds of clients included; at most ${most} are kept of it now, ` +
      `and ${all} of all servers. Fix: let the server list less, or give it a gateway of its own.`,
    { server, delivery: 'answered' },
  )
}
