import type { Dispatcher } from 'undici'
import type { Flow } from '../../../core/reception.ts'
import { flowOf } from './flow-control.ts'

/** Number of unsent messages from which on streams of the server are paused. */
const HIGH = 64
/** Number of unsent messages at which all streams are read again. */
const LOW = 16

/**
 * Pauses the streams of a server that sends requests faster than it takes the answers. Each answer that it takes lets
 * the stream that is paused longest be read again. Without these turns, streams that are not paused could keep the
 * number of answers above `LOW`, and a paused stream would never be read.
 */
export class Congestion {
  #underWay = 0
  /** In the order in which they were paused. */
  readonly #held = new Set<Flow>()

  get messages(): number {
    return this.#underWay
  }

  sending(): void {
    this.#underWay++
  }

  done(): void {
    this.#underWay--
    if (this.#underWay >= HIGH) return
    for (const flow of this.#held) {
      this.#held.delete(flow)
      flow.resume()
      if (this.#underWay > LOW) return
    }
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
