import type { Dispatcher } from 'undici'
import type { Flow } from '../core/buffer-limit.ts'

/** The body of a response, to be paused. Reading goes on later: the parser of another response may be at work, and undici has one at a time. */
export function flowOf(controller: Dispatcher.DispatchController): Flow {
  return {
    pause: () => controller.pause(),
    resume: () =>
      void setImmediate(() => {
        if (!controller.aborted) controller.resume()
      }),
  }
}
