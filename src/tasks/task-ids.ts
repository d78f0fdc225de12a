import type { Exchange } from '../core/exchange.ts'
import type { Seal } from '../state/seal.ts'

/** Separates the two kinds of task: an id of one kind is invalid for the other. */
const PURPOSE = 'task'
const LEGACY_PURPOSE = 'task 2025-11-25'

interface TaskHandle {
  readonly principal: string
  readonly server: string
  readonly id: string
  /** The replica that runs it, if there are several. */
  readonly replica?: string | undefined
}

/**
 * Ids of tasks for clients: sealed, so that they are opaque, lead back to their server and are bound to the principal
 * of the task. Those of the modern extension stay valid after a restart and in another process.
 */
export class TaskIds {
  readonly #seal: Seal

  constructor(seal: Seal) {
    this.#seal = seal
  }

  wrap(exchange: Exchange, server: string, id: string): Promise<string> {
    return this.#seal.seal(PURPOSE, {
      ...handleOf(exchange, server, id),
      replica: exchange.state.replica,
    })
  }

  /** The location of a task. `undefined`: the id was not issued to this principal. */
  async open(
    exchange: Exchange,
    text: string,
  ): Promise<{ server: string; id: string; replica?: string | undefined } | undefined> {
    const handle = (await this.#seal.open(PURPOSE, text)) as TaskHandle | undefined
    return handle && handle.principal === exchange.principal.id ? handle : undefined
  }

  /** An id for a task of a legacy server. Its link exists in this process only, so the id is looked up here. */
  wrapLegacy(exchange: Exchange, server: string, id: string): Promise<string> {
    return this.#seal.seal(LEGACY_PURPOSE, handleOf(exchange, server, id))
  }
}

function handleOf({ principal }: Exchange, server: string, id: string): TaskHandle {
  return { principal: principal.id, server, id }
}
