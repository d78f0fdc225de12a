import type { Dispatcher } from 'undici'
import type { Flow } from '../../../core/reception.ts'
import { flowOf } from './flow-control.ts'

/** So many messages to a server under way are enough reason to hear nothing more of it. */
const HIGH = 64
const LOW = 16

/** A stream of a server that asks faster than it takes the answers is not read until it has taken them. */
export class Congestion {
  #underWay = 0
  readonly #held = new Set<Flow>()

  get messages(): number {
    return this.#underWay
  }

  sending(): void {
    this.#underWay++
  }

  done(): void {
    this.#underWay--
    if (this.#underWay > LOW || this.#held.size === 0) return
    for (const flow of this.#held) flow.resume()
    this.#held.clear()
  }

  /** Something has come on a stream. */
  heard(controller: Dispatcher.DispatchController): void {
    if (this.#underWay < HIGH || controller.aborted) return
    const flow = flowOf(controller)
    if (this.#held.has(flow)) return
    this.#held.add(flow)
    flow.pause()
  }
}
