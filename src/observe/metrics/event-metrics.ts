import type { EventBus } from '../../core/event-bus.ts'
import type { AllSeries } from './all-series.ts'

/** Counts what happens besides requests, until the returned function is called. */
export function countEvents(events: Pick<EventBus, 'hear'>, series: AllSeries): () => void {
  /** Counts one in the series with these labels. */
  const count = (key: keyof AllSeries, ...labels: string[]): void => {
    const counted = series[key]
    counted.add(counted.at(...labels))
  }
  const ends = [
    events.hear('quota.refused', ({ principal, limit }) =>
      count('quotaRefusals', principal.client ?? principal.name, limit),
    ),
    events.hear('access.refused', ({ status }) => count('accessRefusals', String(status))),
    events.hear('access.checked', ({ durationMs }) => {
      const { authentications } = series
      authentications.observe(authentications.at(), durationMs / 1000)
    }),
    events.hear('stream.opened', ({ era }) => series.streams.add(series.streams.at(era))),
    events.hear('stream.closed', ({ era }) => series.streams.add(series.streams.at(era), -1)),
    events.hear('session.opened', ({ principal }) =>
      count('sessionsOpened', principal.client ?? principal.name),
    ),
    events.hear('link.opened', ({ server, era }) => count('linksOpened', server, era)),
    events.hear('link.lost', ({ server }) => count('linksLost', server)),
    events.hear('link.failed', ({ server, error }) => count('linkFailures', server, error.code)),
    events.hear('replica.ejected', ({ server, replica }) => count('ejections', server, replica)),
    events.hear('list.changed', ({ kinds }) => kinds.forEach(kind => count('listChanges', kind))),
    events.hear('cache.invalidated', ({ server }) => count('invalidations', server)),
    events.hear('credential.login_ended', ({ server, outcome }) => count('logins', server, outcome)),
    events.hear('credential.renewed', ({ server, cause }) => count('renewals', server, cause)),
    events.hear('credential.refused', ({ server, status }) =>
      count('credentialRefusals', server, String(status)),
    ),
    events.hear('reload.applied', () => count('reloads', 'applied')),
    events.hear('reload.refused', () => count('reloads', 'refused')),
    events.hear('admin.acted', ({ status }) => count('adminActions', String(status))),
  ]
  return () => ends.forEach(end => end())
}
