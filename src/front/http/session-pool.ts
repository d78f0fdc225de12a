import { Shares, type Holding } from '../../core/shares.ts'
import type { Logger } from '../../core/logger.ts'
import { tooManySessions } from './guards.ts'

interface PooledSession extends Holding {
  readonly session: { readonly id: string }
  close(): void
}

/** The open sessions of one transport, by id. Their number is bounded, and every principal has a share of it. */
export class SessionPool<T extends PooledSession> {
  /** Maximum number of open sessions. A lower maximum closes none until another session is opened. */
  max: number
  readonly #logger: Logger
  readonly #sessions = new Map<string, T>()
  readonly #shares = new Shares()

  constructor(max: number, logger: Logger) {
    this.max = max
    this.#logger = logger
  }

  get size(): number {
    return this.#sessions.size
  }

  get(id: string): T | undefined {
    return this.#sessions.get(id)
  }

  values(): IterableIterator<T> {
    return this.#sessions.values()
  }

  /**
   * When the pool is full, closes a session so that `principal` may open one. @throws HttpError 503 when none may be
   * closed for it
   */
  makeRoom(principal: string): void {
    if (this.#sessions.size < this.max) return
    this.#shares.opened(principal)
    const closed = this.#shares.toGiveWay(principal, this.values())
    this.#shares.closed(principal)
    if (!closed) throw tooManySessions()
    this.#logger.warn('A session was closed to make room for another one.', {
      sessions: this.#sessions.size,
      client: closed.holder,
      busy: closed.busy,
    })
    this.remove(closed)
    closed.close()
  }

  add(session: T): void {
    this.#sessions.set(session.session.id, session)
    this.#shares.opened(session.holder)
  }

  /** Removes a session without closing it. Idempotent. */
  remove(session: T): void {
    if (this.#sessions.delete(session.session.id)) this.#shares.closed(session.holder)
  }

  /** Closes and removes all sessions. */
  close(): void {
    for (const session of this.#sessions.values()) {
      this.remove(session)
      session.close()
    }
  }
}
