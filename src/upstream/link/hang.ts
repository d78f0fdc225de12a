import { GatewayError } from '../../core/errors.ts'

/** Whether a process is hung: a call has timed out, and what any server answers at once is not answered either. However many calls time out, it is asked once at a time. */
export class HangCheck {
  readonly #ask: () => Promise<unknown>
  readonly #onHung: () => void
  #asking = false

  /** `ask` rejects with `upstream_timeout` when there is no answer. */
  constructor(ask: () => Promise<unknown>, onHung: () => void) {
    this.#ask = ask
    this.#onHung = onHung
  }

  /** A request has timed out; the check itself is one, too. */
  timedOut(): void {
    if (this.#asking) return
    this.#asking = true
    this.#ask().then(
      () => (this.#asking = false),
      (error: unknown) => {
        this.#asking = false
        // `overloaded`: so much waits to be read already that it could not even be asked.
        const code = error instanceof GatewayError ? error.code : undefined
        if (code === 'upstream_timeout' || code === 'overloaded') this.#onHung()
      },
    )
  }
}

/** What calls hear that were in flight. */
export function hung(server: string, check: string, timeoutMs: number): GatewayError {
  return new GatewayError(
    'upstream_closed',
    `Server "${server}" is gone: a call timed out, ${check} was not answered within ${timeoutMs / 1000} s either, and its process was ended. Fix: try again; if it goes on, its log output may say what it waits for.`,
    { server, delivery: 'unknown' },
  )
}
