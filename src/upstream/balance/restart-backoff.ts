import { backoffMs, jittered } from '../../core/backoff.ts'
import { GatewayError } from '../../core/errors.ts'

/** What lasted so long was no part of a crash loop. */
export const LASTED_MS = 30_000
/** What has answered so many calls was no part of one either: something else ends it, and back-off would only make that worse. */
const USEFUL_CALLS = 10
/** Between the starts of what is in one. */
const LOOP_MS = 5 * 60_000
const RESTART = { firstMs: 500, mostMs: 60_000 }

/** Starts in a row that failed or did not last, and how long to wait before the next one: longer each time, and minutes once it is a crash loop. */
export class RestartBackoff {
  readonly #restartLimit: () => number
  #inARow = 0

  /** `restartLimit` crashes in a row are a loop; `Infinity`: nothing ever is. */
  constructor(restartLimit: () => number) {
    this.#restartLimit = restartLimit
  }

  get inARow(): number {
    return this.#inARow
  }

  get looping(): boolean {
    return this.#inARow >= this.#restartLimit()
  }

  /** Whether the last failure has made it one. */
  get loopBegins(): boolean {
    return this.#inARow === this.#restartLimit()
  }

  /** @returns milliseconds until the next start */
  startFailed(): number {
    this.#inARow++
    return this.looping ? LOOP_MS : restartMs(this.#inARow - 1)
  }

  /**
   * What had been running for `ms`, and has answered so many calls, has ended by itself.
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

  /** What had been running for `ms` was told to end. */
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

/** What callers hear meanwhile. `last` is why the last start failed, or what it came to. */
export function inCrashLoop(server: string, inARow: number, last: GatewayError): GatewayError {
  const times = inARow === 1 ? 'a start' : `${inARow} starts in a row`
  return new GatewayError(
    last.code,
    `Server "${server}" is in a crash loop: ${times} failed or did not last ${LASTED_MS / 1000} s, so it is tried every ${LOOP_MS / 60_000} minutes only. The last time: ${last.message}`,
    { server, cause: last.cause, repeats: last },
  )
}

/** What callers hear before it is time for the next start. */
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
