import { describeError, type GatewayError } from '../../core/errors.ts'
import type { Logger } from '../../core/logger.ts'
import { MAX_OWN_ANSWER_CHARS } from './introduction.ts'
import { oversized, protocolError } from './link-errors.ts'
import { endsId } from '../transport/shared/response-id.ts'
import type { Receiver } from '../transport/shared/transport.ts'

/** The part of a link that is guarded. */
export interface Guardable extends Receiver {
  readonly server: { readonly name: string }
  readonly logger: Logger
  /** The method of a pending request of the gateway itself with this id. */
  ownRequest(id: number): string | undefined
}

/**
 * Stands between a transport and a link, so that no message of a server throws into the event handlers of the
 * transport. A message that cannot be processed fails the request it belongs to. Answers to the gateway itself that are
 * too large are refused before they are parsed.
 */
export class Guarded implements Receiver {
  readonly #link: Guardable

  constructor(link: Guardable) {
    this.#link = link
  }

  ownerOf(id: number | undefined): string | undefined {
    return this.#link.ownerOf(id)
  }

  waits(id: number): boolean {
    return this.#link.waits(id)
  }

  onMessage(text: string, stream: number | undefined): void {
    try {
      if (text.length <= MAX_OWN_ANSWER_CHARS || !this.#refused(text, stream))
        this.#link.onMessage(text, stream)
    } catch (error) {
      report(this.#link.logger, error)
      const id = stream ?? endsId(text)
      if (id !== undefined)
        this.onFailure(
          id,
          protocolError(this.#link.server.name, 'a message that the gateway could not handle'),
        )
    }
  }

  onFailure(id: number, error: GatewayError): void {
    this.#guard(() => this.#link.onFailure(id, error))
  }

  onGap(): void {
    this.#guard(() => this.#link.onGap())
  }

  onSessionLost(): void {
    this.#guard(() => this.#link.onSessionLost())
  }

  onMemoryLimitExceeded(bytes: number): void {
    this.#guard(() => this.#link.onMemoryLimitExceeded(bytes))
  }

  onClose(error: GatewayError): void {
    this.#guard(() => this.#link.onClose(error))
  }

  #refused(text: string, stream: number | undefined): boolean {
    const id = stream ?? endsId(text)
    const method = id === undefined ? undefined : this.#link.ownRequest(id)
    if (id === undefined || method === undefined) return false
    this.onFailure(id, oversized(this.#link.server.name, method, text.length))
    return true
  }

  #guard(run: () => void): void {
    try {
      run()
    } catch (error) {
      report(this.#link.logger, error)
    }
  }
}

/** Resolves with the result of `work`. A rejection is logged, because nothing awaits it. */
export async function unfailing<T>(logger: Logger, work: Promise<T>): Promise<T | undefined> {
  try {
    return await work
  } catch (error) {
    report(logger, error)
    return undefined
  }
}

function report(logger: Logger, error: unknown): void {
  logger.error('A message of the server could not be handled.', {
    cause: describeError(error),
    stack: (error as Error | undefined)?.stack,
  })
}
