import { monotonicNow } from '../../../core/clock.ts'
import { GatewayError } from '../../../core/errors.ts'
import { LogSampler } from './log-sampler.ts'

const WINDOW_MS = 60_000
/** Maximum number of logged lines in a window. */
const LOGGED = 10
/** More bytes in a window are no accident, and cost processing time. */
const MOST_BYTES = 16 * 1024 * 1024

/** Junk: data of a server that is no message. Part of it is logged, and too much of it ends the connection. */
export class Junk {
  readonly #log = new LogSampler(LOGGED, WINDOW_MS)
  #since = -Infinity
  #bytes = 0

  /** @returns how to handle it; `held`: number of unlogged ones since the last logged one */
  note(bytes: number): { readonly log: boolean; readonly held: number; readonly tooMuch: boolean } {
    const now = monotonicNow()
    if (now - this.#since >= WINDOW_MS) {
      this.#since = now
      this.#bytes = 0
    }
    this.#bytes += bytes
    const { passes, held } = this.#log.next()
    return { log: passes, held, tooMuch: this.#bytes > MOST_BYTES }
  }
}

/** Completes a sentence that begins with the name of the server. */
export const TOO_MUCH_JUNK = 'it sent more than 16 MiB that is no message within a minute, and was ended'

export function tooMuchJunk(server: string): GatewayError {
  const message = `Server "${server}" is gone: ${TOO_MUCH_JUNK}. Fix: let it log to standard error, or report this to its author.`
  return new GatewayError('upstream_closed', message, { server, delivery: 'unknown' })
}
