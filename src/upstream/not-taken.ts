import type { GatewayError } from '../core/errors.ts'
import type { Logger } from '../core/logger.ts'
import { responseId } from './response-id.ts'
import { stopped } from './stopped.ts'
import { tooLarge } from './too-large.ts'

/** Messages that are not taken, on the one stream of a server: the call that such a message answers fails, as far as the ends of the message tell it. */
export class NotTaken {
  readonly #server: string
  readonly #maxBytes: number
  readonly #logger: Logger
  readonly #fail: (id: number, error: GatewayError) => void
  #stopped = false

  constructor(
    { server, maxMessageBytes, logger }: { server: string; maxMessageBytes: number; logger: Logger },
    fail: (id: number, error: GatewayError) => void,
  ) {
    this.#server = server
    this.#maxBytes = maxMessageBytes
    this.#logger = logger
    this.#fail = fail
  }

  /** A message that begins with `head` has stopped, and the rest of it is not taken. */
  stopped(head: string): void {
    this.#stopped = true
    this.#refuse(stopped(this.#server), responseId(head, ''))
  }

  /** A message that is not taken has ended; `size` in bytes where it is known. */
  ended(head: string, tail: string, size?: number): void {
    const error = this.#stopped ? stopped(this.#server) : tooLarge(this.#server, this.#maxBytes, size)
    this.#stopped = false
    this.#refuse(error, responseId(head, tail))
  }

  #refuse(error: GatewayError, id: number | undefined): void {
    this.#logger.warn(error.message, { request: id })
    if (id !== undefined) this.#fail(id, error)
  }
}
