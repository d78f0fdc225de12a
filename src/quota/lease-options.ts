import type { Clock } from '../core/clock.ts'
import type { Store } from '../state/store.ts'
import type { EndOf } from './period.ts'
import type { StoreAvailability } from './store-availability.ts'

export type Window =
  { readonly kind: 'calendar'; readonly endOf: EndOf } | { readonly kind: 'sliding'; readonly ms: number }

/** What has something to give back, to book or to renew. */
export interface Active {
  /** Housekeeping, some times a second while it returns true. */
  sweep(): boolean
  close(): Promise<void>
}

export interface LeaseOptions {
  readonly key: string
  readonly limit: number
  readonly window: Window
  readonly store: Store
  readonly reach: StoreAvailability
  readonly clock: Clock
  /** Called when the lease has something to give back or to book, and wants `sweep` to be called from time to time. */
  readonly wake: (lease: Active) => void
}

/** Why something was not granted. */
export interface Refusal {
  /** Unix milliseconds at which something may be left again. */
  readonly retryAt: number
}
