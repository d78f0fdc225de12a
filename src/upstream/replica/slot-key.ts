import type { Conversation } from '../../core/exchange.ts'
import type { Principal } from '../../core/principal.ts'
import type { Era } from '../../protocol/revisions.ts'

/** The owner of the links of a slot, and what these declare. */
export interface SlotKey {
  /** Unique within its pool. */
  readonly id: string
  /** Wanted era of its link, used if the server supports it. */
  readonly era: Era
  /** Raw JSON of the client capabilities that a legacy server receives. */
  readonly capabilities: string
  /** The only session that uses it. The slot ends with the session. */
  readonly owner: Conversation | undefined
  /** Whose credentials its links present. `undefined`: those of the gateway. */
  readonly principal: Principal | undefined
  /** Of a link that serves every call of its principal: its era. */
  readonly shared: Era | undefined
  /** Whether it serves one call at a time. */
  readonly exclusive: boolean
}
