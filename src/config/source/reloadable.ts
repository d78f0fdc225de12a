import type { ReloadPlan } from './reload-plan.ts'
import type { Config } from '../types.ts'

/** The component that applies a changed configuration: a gateway. */
export interface Reloadable {
  /** The configuration in effect. */
  readonly config: Config
  /**
   * Applies a configuration. Of those that are passed while another one is applied, the last valid one counts.
   * @throws GatewayError `config` with the reason; everything continues unchanged
   */
  apply(config: Config): Promise<Reloaded>
  /**
   * What `apply` would do, with all of its checks. Nothing changes.
   * @throws GatewayError as `apply`
   */
  rehearse(config: Config): Promise<PlannedReload>
  /** Called when a changed configuration could not be read, with the reason. Nothing changes. */
  unreadable(problem: string): void
}

/**
 * The result of applying a configuration. `unchanged`: it is the one that runs. `superseded`: a later one was applied
 * instead. `closing`: the gateway is closing, and nothing has changed.
 */
export type Reloaded =
  | { readonly outcome: 'applied' | 'unchanged'; readonly plan: PlannedReload }
  | { readonly outcome: 'superseded' | 'closing'; readonly plan?: undefined }

/** A reload with its effect on the clients that are connected at the moment. */
export interface PlannedReload extends ReloadPlan {
  readonly endings: readonly Ending[]
}

/** Clients of one name that a reload disconnects, for one reason. */
export interface Ending {
  readonly client: string
  /** Number of their sessions, streams and suspended calls. */
  readonly connections: number
  /** What the client is told. */
  readonly reason: string
}
