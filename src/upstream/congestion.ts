import type { Dispatcher } from 'undici'

/** So many messages to a server under way are enough reason to hear nothing more of it. */
const HIGH = 64
const LOW = 16

/** A stream of a server that asks faster than it takes the answers is not read until it has taken them. */
export class Congestion {
  #underWay = 0
  readonly #held = new Set<Dispatcher.DispatchController>()

  get messages(): number {
    return this.#underWay
  }

  sending(): void {
    this.#underWay++
  }

  done(): void {
    this.#underWay--
    if (this.#underWay > LOW || this.#held.size === 0) return
    const held = [...this.#held]
    this.#held.clear()
    // Later: the parser of another response may be at work, and undici has one at a time.
    setImmediate(() => {
      for (const controller of held) controller.resume()
    })
  }

  /** Something has come on a stream. */
  heard(controller: Dispatcher.DispatchController): void {
    if (this.#underWay < HIGH || controller.aborted) return
    this.#held.add(controller)
    controller.pause()
  }
}
