import type { NotificationRelay } from '../relay/notification-relay.ts'
import type { Subscriptions } from '../relay/subscriptions.ts'
import type { LegacyTasks } from '../tasks/legacy-tasks.ts'
import type { Link } from '../upstream/link/link.ts'
import type { LinkSlot, SlotListener } from '../upstream/pool/link-slot.ts'
import type { Pool } from '../upstream/pool/pool.ts'

/** Where the reports of links go. Read at each report, because it is made after the first pools. */
export interface PoolReports {
  readonly relay: NotificationRelay
  readonly subscriptions: Subscriptions
  readonly legacyTasks: LegacyTasks
}

export interface PoolListenerOptions {
  /** The pool whose links are heard. */
  readonly pool: () => Pool
  readonly reports: PoolReports
  /** Called when messages of a server may have been missed. */
  readonly onGap: (link: Link) => void
  /** Called when a link has been opened, once the pool knows of it. */
  readonly onOpened: (slot: LinkSlot, link: Link) => void
}

/** Passes what the links of a pool report on to whatever it concerns. */
export function poolListener({ pool, reports, onGap, onOpened }: PoolListenerOptions): SlotListener {
  return {
    onNotification: (link, method, params, among) =>
      reports.relay.onNotification(link, method, params, among),
    onRequest: (link, method, params, among, cancellation) =>
      reports.relay.onRequest(link, method, params, among, cancellation),
    onLost: (link, error) => {
      reports.subscriptions.ended(link)
      reports.legacyTasks.lost(link)
      pool().lost(link, error)
    },
    onClose: link => reports.subscriptions.ended(link),
    onGap,
    onUnreachable: (slot, error) => pool().unreachable(slot, error),
    onOpen: (slot, link, before) => {
      // What it would still say unasked is heard from the new one.
      if (before) reports.subscriptions.ended(before)
      pool().opened(slot, link)
      onOpened(slot, link)
    },
  }
}
