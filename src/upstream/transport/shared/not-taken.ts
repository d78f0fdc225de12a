import type { GatewayError } from '../../../core/errors.ts'
import type { DropReason } from '../../../core/drop-reason.ts'
import type { Logger } from '../../../core/logger.ts'
import { responseId } from './response-id.ts'
import { stopped } from './stopped.ts'
import { tooLarge } from './too-large.ts'

/**
 * Messages that are not read in full, on the single stream of a server. The call that such a message answers fails, if
 * the two ends of the message identify it.
 */
export class NotTaken {
  readonly #server: string
  readonly #maxBytes: number
  readonly #logger: Logger
  readonly #fail: (id: number, error: GatewayError) => void
  #stopped: DropReason | undefined

  constructor(
    { server, maxMessageBytes, logger }: { server: string; maxMessageBytes: number; logger: Logger },
    fail: (id: number, error: GatewayError) => void,
  ) {
    this.#server = server
    this.#maxBytes = maxMessageBytes
    this.#logger = logger
    this.#fail = fail
  }

  /** A message that begins with `head` was given up, and the rest of it is skipped. */
  stopped(head: string, why: DropReason): void {
    this.#stopped = why
    this.#refuse(stopped(this.#server, why), responseId(head, ''))
  }

  /** A skipped message has ended. `size` in bytes if known. */
  ended(head: string, tail: string, size?: number): void {
    const why = this.#stopped
    const error = why ? stopped(this.#server, why) : tooLarge(this.#server, this.#maxBytes, size)
    this.#stopped = undefined
    this.#refuse(error, responseId(head, tail))
  }

  #refuse(error: GatewayError, id: number | undefined): void {
    this.#logger.warn(error.message, { request: id })
    if (id !== undefined) this.#fail(id, error)
  }
}
