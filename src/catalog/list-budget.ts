import { GatewayError } from '../core/errors.ts'

/** Bounds of what is kept of the lists of all servers together, every variant included. */
export const MAX_TOTAL_ENTRIES = 100_000
export const MAX_TOTAL_CHARS = 128 * 1024 * 1024

/** What lists take. */
export interface Size {
  readonly entries: number
  /** Of the definitions. */
  readonly chars: number
}

const NOTHING: Size = { entries: 0, chars: 0 }

/**
 * What the lists of all servers may take together. A server takes at most as much as it leaves free, so that the lists of one never leave another without room.
 * Lists that do not grow always fit.
 */
export class ListBudget {
  readonly #limits: Size
  readonly #held = new Map<string, Size>()
  #entries = 0
  #chars = 0

  constructor(limits: Size = { entries: MAX_TOTAL_ENTRIES, chars: MAX_TOTAL_CHARS }) {
    this.#limits = limits
  }

  /** The lists of a server take `size` from now on, in place of what they took. @throws GatewayError `too_large`, and nothing changes */
  take(server: string, size: Size): void {
    this.#take(server, size, 2)
  }

  /** As `take`, for lists of an earlier run. They fitted then, in whatever order they came, so all that is free is theirs. @throws as `take` */
  restore(server: string, size: Size): void {
    this.#take(server, size, 1)
  }

  /** The server is gone, and what its lists took is free. */
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
