import type { GatewayError } from './errors.ts'

/**
 * The wish that a call stops. An `AbortSignal` per call would cost more than the call's own bookkeeping, so this is a
 * plain object with one listener list that stays empty until someone listens.
 */
export class Cancellation {
  #reason: string | undefined
  #error: GatewayError | undefined
  #listeners: ((reason: string) => void)[] | undefined

  /** Why the call was cancelled, `undefined` while it was not. */
  get reason(): string | undefined {
    return this.#reason
  }

  /** What the client was told, where it was not the client that cancelled. */
  get error(): GatewayError | undefined {
    return this.#error
  }

  /** Idempotent; listeners run once, in the order they came. */
  cancel(reason: string, error?: GatewayError): void {
    if (this.#reason !== undefined) return
    this.#reason = reason
    this.#error = error
    const listeners = this.#listeners
    this.#listeners = undefined
    if (listeners) for (const listener of listeners) listener(reason)
  }

  /** What could be cancelled is over: no listener is told any more, and what the listeners hold is let go. */
  end(): void {
    this.#listeners = undefined
  }

  /** Calls `listener` at once when already cancelled. */
  onCancel(listener: (reason: string) => void): void {
    if (this.#reason !== undefined) listener(this.#reason)
    else (this.#listeners ??= []).push(listener)
  }
}
