import type { Dispatcher } from 'undici'
import type { Flow } from '../../../core/reception.ts'

const flows = new WeakMap<Dispatcher.DispatchController, Flow>()

/**
 * Pauses the body of a response. There is one for each response; it is read when every pause has been resumed. Reading
 * resumes asynchronously: the parser of another response may be running, and undici has only one.
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
