import type { AuditConfig } from '../config/types.ts'
import { CLOCK } from '../core/clock.ts'
import { endpointOf } from '../core/endpoint.ts'
import { EventBus, type EventSink } from '../core/event-bus.ts'
import type { AdminActed, GatewayEvent } from '../core/events.ts'
import type { Conversation } from '../core/exchange.ts'
import type { Logger } from '../core/logger.ts'
import type { ListKind } from '../core/route.ts'
import { Audit } from '../observe/audit.ts'
import { checkAppendable } from '../observe/check-appendable.ts'
import { DebugTrace } from '../observe/debug-trace.ts'
import type { ReloadReport } from './reload-report.ts'

/** A write over the admin API. */
export type AdminNote = Omit<AdminActed, 'type' | 'time'>

/** Tells that the lists of a view have changed for its clients. */
export function tellListChanged(events: EventSink, view: string, kinds: readonly ListKind[]): void {
  if (events.heard['list.changed'])
    events.emit({
      type: 'list.changed',
      time: CLOCK.wall(),
      endpoint: endpointOf(view),
      view,
      kinds: Object.freeze([...kinds]),
    })
}

/** A session, as it is now. The first characters of its id are told, since the whole is a secret. */
function factsOf({ id, principal, view, client = '', front, protocolVersion }: Conversation) {
  const endpoint = endpointOf(view)
  const session = id.slice(0, 8)
  return { principal, endpoint, era: 'legacy', front, session, view, client, protocolVersion } as const
}

/** Of an event: everything but its time. */
type Untimed<E> = E extends GatewayEvent ? Omit<E, 'time'> : never

/** What a gateway tells of itself, apart from what its parts tell of theirs. */
export class GatewayEvents extends EventBus {
  #audit: { readonly log: Audit; readonly end: () => void } | undefined
  #auditSettings: string | undefined
  #endTrace: (() => void) | undefined
  readonly #closing = new Set<Promise<void>>()
  /** Of audit logs that have ended. */
  #auditLinesLost = 0

  /**
   * Lets what a configuration asks for listen: the audit log, and the log where it shows what clients do. What was
   * asked for before and is not now ends.
   */
  follow(audit: AuditConfig | undefined, logger: Logger): void {
    const settings = JSON.stringify(audit)
    if (settings !== this.#auditSettings) {
      this.#auditSettings = settings
      this.#endAudit()
      if (audit) {
        const log = new Audit({ ...audit, logger })
        this.#audit = { log, end: log.listen(this) }
      }
    }
    if (logger.debugs === true) this.#endTrace ??= new DebugTrace(logger).listen(this)
    else this.#unfollowTrace()
  }

  /** Lines that could not be written, of all audit logs since the start. */
  get auditLinesLost(): number {
    return this.#auditLinesLost + (this.#audit?.log.lost ?? 0)
  }

  /** @throws GatewayError `config` when the audit log of another configuration cannot be written */
  async checkAudit(audit: AuditConfig | undefined): Promise<void> {
    if (audit && JSON.stringify(audit) !== this.#auditSettings) await checkAppendable(audit.file)
  }

  /** Nothing listens any more. Resolves when everything is written. */
  async unfollow(): Promise<void> {
    this.#unfollowTrace()
    this.#endAudit()
    await Promise.all(this.#closing)
  }

  #unfollowTrace(): void {
    this.#endTrace?.()
    this.#endTrace = undefined
  }

  #endAudit(): void {
    if (!this.#audit) return
    const { log, end } = this.#audit
    this.#audit = undefined
    end()
    const closing = log.close().finally(() => {
      this.#auditLinesLost += log.lost
      this.#closing.delete(closing)
    })
    this.#closing.add(closing)
  }

  sessionOpened(conversation: Conversation): void {
    if (this.heard['session.opened']) this.tell({ type: 'session.opened', ...factsOf(conversation) })
  }

  sessionClosed(conversation: Conversation): void {
    if (this.heard['session.closed']) this.tell({ type: 'session.closed', ...factsOf(conversation) })
  }

  accessRefused(status: number, reason: string, address: string | undefined): void {
    this.tell({ type: 'access.refused', status, reason, address })
  }

  accessChecked(durationMs: number): void {
    this.tell({ type: 'access.checked', durationMs })
  }

  /** `report` is of its own: listeners see it frozen. */
  reloadApplied({ servers, notReloadable }: ReloadReport, durationMs: number): void {
    for (const list of [servers, notReloadable, ...Object.values(servers)]) Object.freeze(list)
    this.tell({ type: 'reload.applied', servers, notReloadable, durationMs })
  }

  adminActed(write: AdminNote): void {
    this.tell({ ...write, type: 'admin.acted' })
  }

  /** Emits what happens now, if anything listens. Not for the way of a call, where the event would be built in vain. */
  tell(event: Untimed<GatewayEvent>): void {
    if (this.heard[event.type]) this.emit({ ...event, time: CLOCK.wall() } as GatewayEvent)
  }
}
