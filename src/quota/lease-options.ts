import type { Clock } from '../core/clock.ts'
import type { Store } from '../state/store.ts'
import type { EndOf } from './period.ts'
import type { StoreAvailability } from './store-availability.ts'

export type Window =
  { readonly kind: 'calendar'; readonly endOf: EndOf } | { readonly kind: 'sliding'; readonly ms: number }

/** An object with something to return, to book or to renew. */
export interface Active {
  /** Housekeeping, several times a second while it returns true. */
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
  /** Called when the lease has something to return or to book, and `sweep` has to be called periodically. */
  readonly wake: (lease: Active) => void
}

/** Why a request was not granted. */
export interface LeaseRefusal {
  /** Unix milliseconds at which something may be available again. */
  readonly retryAt: number
}
