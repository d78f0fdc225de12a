import { describeError } from './errors.ts'

/** The state store does not do what an operator asks for. The message names store, cause and fix. */
export class StoreAway extends Error {
  constructor(store: string, cause: unknown) {
    super(
      `The state store ${store} failed: ${describeError(cause)}. Gateways may have been told or not; ask again once the store answers.`,
      { cause },
    )
    this.name = 'StoreAway'
  }
}
