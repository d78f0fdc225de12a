import type { Principal } from './principal.ts'

/** Receiver of updates of resources and tasks: a legacy session, or the listen stream of a modern client. */
export interface Subscriber {
  readonly principal: Principal
  /** The view of its client by the configuration in effect. */
  readonly view: string
  /** `params` is raw JSON. `message`, where it is known, is the complete text of the same notification. */
  notify(method: string, params: string | undefined, message?: string): void
}
