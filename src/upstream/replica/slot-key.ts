import type { Conversation } from '../../core/exchange.ts'
import type { Era } from '../../protocol/revisions.ts'

/** Whose links a slot holds, and what these declare. */
export interface SlotKey {
  /** Unique within its pool. */
  readonly id: string
  /** In which its link is to be, where the server speaks it. */
  readonly era: Era
  /** Raw JSON of the client capabilities that a legacy server is told of. */
  readonly capabilities: string
  /** The one session that uses it; it ends with the session. */
  readonly owner: Conversation | undefined
  /** Serves one call at a time. */
  readonly exclusive: boolean
}
