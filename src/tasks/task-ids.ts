import type { Exchange } from '../core/exchange.ts'
import type { Seal } from '../state/seal.ts'

/** The two kinds of task know nothing of each other: an id of one is none of the other. */
const PURPOSE = 'task'
const LEGACY_PURPOSE = 'task 2025-11-25'

interface TaskHandle {
  readonly principal: string
  readonly server: string
  readonly id: string
  /** The replica that runs it, where there are several. */
  readonly replica?: string | undefined
}

/**
 * Ids of tasks as clients know them: sealed, so that they say nothing, lead back to their server and are bound to the principal the task was made for.
 * Those of the modern extension hold after a restart and in another process.
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

  /** Where a task is, `undefined` for an id that was not given to this principal. */
  async open(
    exchange: Exchange,
    text: string,
  ): Promise<{ server: string; id: string; replica?: string | undefined } | undefined> {
    const handle = (await this.#seal.open(PURPOSE, text)) as TaskHandle | undefined
    return handle && handle.principal === exchange.principal.id ? handle : undefined
  }

  /** An id for a task of a legacy server. Its link is known to this process only, so this is where it is looked up. */
  wrapLegacy(exchange: Exchange, server: string, id: string): Promise<string> {
    return this.#seal.seal(LEGACY_PURPOSE, handleOf(exchange, server, id))
  }
}

function handleOf({ principal }: Exchange, server: string, id: string): TaskHandle {
  return { principal: principal.id, server, id }
}
