import type { Exchange } from '../core/exchange.ts'
import type { Seal } from './seal.ts'

const PURPOSE = 'task'

interface TaskHandle {
  readonly principal: string
  readonly server: string
  readonly id: string
}

/**
 * Ids of tasks as clients know them: sealed, so that they lead back to their server after a restart and through another process, and bound to the
 * principal the task was made for.
 */
export class TaskIds {
  readonly #seal: Seal

  constructor(seal: Seal) {
    this.#seal = seal
  }

  wrap(exchange: Exchange, server: string, id: string): Promise<string> {
    const handle: TaskHandle = { principal: exchange.principal.id, server, id }
    return this.#seal.seal(PURPOSE, handle)
  }

  /** Where a task is, `undefined` for an id that was not given to this principal. */
  async open(exchange: Exchange, text: string): Promise<{ server: string; id: string } | undefined> {
    const handle = (await this.#seal.open(PURPOSE, text)) as TaskHandle | undefined
    return handle && handle.principal === exchange.principal.id ? handle : undefined
  }
}
