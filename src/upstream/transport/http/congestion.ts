import type { Dispatcher } from 'undici'
import type { Flow } from '../../../core/reception.ts'
import { flowOf } from './flow-control.ts'

/** Number of unsent messages above which streams of the server are paused. */
const HIGH = 64
const LOW = 16

/** Pauses the streams of a server that sends requests faster than it takes the answers, until it has taken them. */
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

  /** Called for data on a stream. */
  heard(controller: Dispatcher.DispatchController): void {
    if (this.#underWay < HIGH || controller.aborted) return
    const flow = flowOf(controller)
    if (this.#held.has(flow)) return
    this.#held.add(flow)
    flow.pause()
  }
}
