import { backoffMs, jittered } from '../../core/backoff.ts'
import { GatewayError } from '../../core/errors.ts'

/** A process that ran this long was no part of a crash loop. */
export const LASTED_MS = 30_000
/** Nor was one that has answered this many calls: it ends for another reason, and a back-off would only do harm. */
const USEFUL_CALLS = 10
/** Interval of starts in a crash loop. */
const LOOP_MS = 5 * 60_000
const RESTART = { firstMs: 500, mostMs: 60_000 }

/**
 * Back-off of restarts: counts starts in a row that failed or did not last. The delay grows with each one, and is
 * minutes in a crash loop.
 */
export class RestartBackoff {
  readonly #restartLimit: () => number
  #inARow = 0

  /** `restartLimit` crashes in a row are a crash loop. `Infinity`: never. */
  constructor(restartLimit: () => number) {
    this.#restartLimit = restartLimit
  }

  get inARow(): number {
    return this.#inARow
  }

  get looping(): boolean {
    return this.#inARow >= this.#restartLimit()
  }

  /** Whether the last failure has begun a crash loop. */
  get loopBegins(): boolean {
    return this.#inARow === this.#restartLimit()
  }

  /** @returns milliseconds until the next start */
  startFailed(): number {
    this.#inARow++
    return this.looping ? LOOP_MS : restartMs(this.#inARow - 1)
  }

  /**
   * Records that a process has ended by itself after `ms`, with this many answered calls.
   * @returns milliseconds until the next start, none the first time
   */
  ended(ms: number, answered = 0): number {
    if (ms >= LASTED_MS || answered >= USEFUL_CALLS) {
      this.#inARow = 0
      return 0
    }
    const delay = this.startFailed()
    return this.#inARow === 1 && !this.looping ? 0 : delay
  }

  /** Records that a process was stopped after `ms`. */
  stopped(ms: number): void {
    if (ms >= LASTED_MS) this.#inARow = 0
  }

  forget(): void {
    this.#inARow = 0
  }
}

/** After so many failures, not counting this one, there is a pause of half of these milliseconds up to all of them. */
export function restartMs(failures: number): number {
  return jittered(backoffMs(failures, RESTART), Math.random())
}

/** Error of calls during a crash loop. `last` is the failure of the last start. */
export function inCrashLoop(server: string, inARow: number, last: GatewayError): GatewayError {
  const times = inARow === 1 ? 'a start' : `${inARow} starts in a row`
  return new GatewayError(
    last.code,
    `Server "${server}" is in a crash loop: ${times} failed or did not last ${LASTED_MS / 1000} s, so it is started every ${LOOP_MS / 60_000} minutes only. The last failure: ${last.message}`,
    { server, cause: last.cause, repeats: last },
  )
}

/** Error of calls before the next start is due. */
export function backingOff(last: GatewayError, waitMs: number): GatewayError {
  const { code, message, cause, server } = last
  const seconds = Math.max(1, Math.ceil(waitMs / 1000))
  return new GatewayError(code, `${message} Next attempt in ${seconds} s.`, {
    ...(server !== undefined && { server }),
    cause,
    retryAfterMs: Math.ceil(waitMs),
    repeats: last.repeats ?? last,
  })
}
