import { isReplicaId, replicaIdOf, type ReplicaId } from '../core/call-state.ts'
import type { Exchange } from '../core/exchange.ts'
import type { Route } from '../core/route.ts'
import type { Seal } from '../state/seal.ts'

/** Separates the two kinds of task: an id of one kind is invalid for the other. */
const PURPOSE = 'task'
const LEGACY_PURPOSE = 'task 2025-11-25'

interface TaskHandle {
  readonly principal: string
  readonly server: string
  readonly id: string
}

/** A task of the modern extension at its server. */
export interface TaskLocation {
  readonly server: string
  /** The tool whose call made it, by its name at the server. */
  readonly tool: string
  /** The server's own id. */
  readonly id: string
  /** The replica that runs it. Another one, at another location, has other tasks of the same ids. */
  readonly replica: ReplicaId
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

  /** An id for a task that a call of the tool at `route` has made. */
  wrap(exchange: Exchange, { server, own }: Route, id: string): Promise<string> {
    return this.#seal.seal(PURPOSE, {
      ...handleOf(exchange, server, id),
      tool: own,
      replica: replicaIdOf(exchange.state),
    })
  }

  /** The location of a task. `undefined`: the id was not issued to this principal. */
  async open(exchange: Exchange, text: string): Promise<TaskLocation | undefined> {
    const handle = (await this.#seal.open(PURPOSE, text)) as (TaskHandle & TaskLocation) | undefined
    if (handle?.principal !== exchange.principal.id) return undefined
    // An id of an earlier version of the gateway does not say where its task is, nor whose.
    return isReplicaId(handle.replica) && typeof handle.tool === 'string' ? handle : undefined
  }

  /** An id for a task of a legacy server. Its link exists in this process only, so the id is looked up here. */
  wrapLegacy(exchange: Exchange, server: string, id: string): Promise<string> {
    return this.#seal.seal(LEGACY_PURPOSE, handleOf(exchange, server, id))
  }
}

function handleOf({ principal }: Exchange, server: string, id: string): TaskHandle {
  return { principal: principal.id, server, id }
}
