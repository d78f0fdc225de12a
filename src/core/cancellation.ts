import type { GatewayError } from './errors.ts'

/**
 * Cancellation of a call. An `AbortSignal` per call would cost more than the rest of a call's bookkeeping. This plain
 * object allocates its listener list only when a listener is added.
 */
export class Cancellation {
  #reason: string | undefined
  #error: GatewayError | undefined
  #listeners: ((reason: string) => void)[] | undefined

  /** Why the call was cancelled; `undefined` while it is not. */
  get reason(): string | undefined {
    return this.#reason
  }

  /** The error that was sent to the client when the gateway, rather than the client, cancelled. */
  get error(): GatewayError | undefined {
    return this.#error
  }

  /** Idempotent; listeners run once, in the order in which they were added. */
  cancel(reason: string, error?: GatewayError): void {
    if (this.#reason !== undefined) return
    this.#reason = reason
    this.#error = error
    const listeners = this.#listeners
    this.#listeners = undefined
    if (listeners) for (const listener of listeners) listener(reason)
  }

  /** The call is over: listeners are dropped, with everything they reference, and no longer called. */
  end(): void {
    this.#listeners = undefined
  }

  /** Calls `listener` immediately when already cancelled. */
  onCancel(listener: (reason: string) => void): void {
    if (this.#reason !== undefined) listener(this.#reason)
    else (this.#listeners ??= []).push(listener)
  }
}
