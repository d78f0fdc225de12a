import type { GatewayError } from '../../core/errors.ts'
import type { Link } from '../link/link.ts'

/** State of a slot. */
export type SlotState =
  | { readonly kind: 'idle' }
  | {
      readonly kind: 'starting'
      readonly opening: Promise<Link>
      /** Why the previous start failed. `undefined`: it did not. */
      readonly failed: GatewayError | undefined
    }
  | { readonly kind: 'ready'; readonly link: Link }
  | {
      /** `stopped`: in a crash loop. */
      readonly kind: 'failed' | 'stopped'
      readonly error: GatewayError
      readonly attempts: number
      readonly nextTry: number
    }
  | { readonly kind: 'closed' }

/** Why the last start failed, even while the next one is running. */
export function startErrorOf(state: SlotState): GatewayError | undefined {
  if (state.kind === 'failed' || state.kind === 'stopped') return state.error
  return state.kind === 'starting' ? state.failed : undefined
}
