import type { Dispatcher } from 'undici'
import type { Flow } from '../../../core/reception.ts'

const flows = new WeakMap<Dispatcher.DispatchController, Flow>()

/**
 * The body of a response, to be paused. There is one for each response; it is read when all that paused it have resumed it. Reading goes on later: the parser
 * of another response may be at work, and undici has one at a time.
 */
export function flowOf(controller: Dispatcher.DispatchController): Flow {
  let flow = flows.get(controller)
  if (!flow) {
    let pauses = 0
    flow = {
      pause: () => {
        if (pauses++ === 0) controller.pause()
      },
      resume: () => {
        if (--pauses > 0) return
        setImmediate(() => {
          if (pauses === 0 && !controller.aborted) controller.resume()
        })
      },
    }
    flows.set(controller, flow)
  }
  return flow
}
