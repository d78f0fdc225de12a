import { ToldError } from './told-error.ts'

/** Ended by the user. The message is what is left to say. */
export class Stopped extends ToldError {
  override readonly exitCode = 130
}

/** Given up at a question, with Ctrl+C or Ctrl+D. */
export class NotAnswered extends Stopped {
  constructor() {
    super('It was not answered.')
  }
}

export interface UntilStopped {
  /** Aborted by Ctrl+C, or by SIGTERM. */
  readonly signal: AbortSignal
  /** From then on, both end the process again. */
  done(): void
}

/** Lets a command tidy up before Ctrl+C ends it. */
export function untilStopped(): UntilStopped {
  const stopping = new AbortController()
  const stop = (): void => stopping.abort(new Stopped('Cancelled.'))
  process.on('SIGINT', stop).on('SIGTERM', stop)
  return {
    signal: stopping.signal,
    done: () => void process.off('SIGINT', stop).off('SIGTERM', stop),
  }
}
