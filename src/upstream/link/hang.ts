import { GatewayError } from '../../core/errors.ts'

/**
 * Detects a hung process: a call has timed out, and a request that any server answers at once is not answered either.
 * Only one check runs at a time, however many calls time out.
 */
export class HangCheck {
  readonly #ask: () => Promise<unknown>
  readonly #onHung: () => void
  #asking = false

  /** `ask` rejects with `upstream_timeout` when there is no answer. */
  constructor(ask: () => Promise<unknown>, onHung: () => void) {
    this.#ask = ask
    this.#onHung = onHung
  }

  /** Called for every request that has timed out. The check itself is one, too. */
  timedOut(): void {
    if (this.#asking) return
    this.#asking = true
    this.#ask().then(
      () => (this.#asking = false),
      (error: unknown) => {
        this.#asking = false
        // `overloaded`: so much output waits for the process already that the check could not be sent.
        const code = error instanceof GatewayError ? error.code : undefined
        if (code === 'upstream_timeout' || code === 'overloaded') this.#onHung()
      },
    )
  }
}

/** Error of the calls that were in flight. */
export function hung(server: string, check: string, timeoutMs: number): GatewayError {
  return new GatewayError(
    'upstream_closed',
    `Server "${server}" is gone: a call timed out, ${check} was not answered within ${timeoutMs / 1000} s either, and its process was ended. Fix: try again; if it goes on, its log output may say what it waits for.`,
    { server, delivery: 'unknown' },
  )
}
