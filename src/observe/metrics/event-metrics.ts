import type { EventBus } from '../../core/event-bus.ts'
import type { AllSeries } from './all-series.ts'

/** Counts what happens besides requests, until the returned function is called. */
export function countEvents(events: Pick<EventBus, 'on'>, series: AllSeries): () => void {
  /** Counts one in the series with these labels. */
  const count = (key: keyof AllSeries, ...labels: string[]): void => {
    const counted = series[key]
    counted.add(counted.at(...labels))
  }
  const ends = [
    events.on('quota.refused', ({ principal, limit }) =>
      count('quotaRefusals', principal.client ?? principal.name, limit),
    ),
    events.on('access.refused', ({ status }) => count('accessRefusals', String(status))),
    events.on('access.checked', ({ durationMs }) => {
      const { authentications } = series
      authentications.observe(authentications.at(), durationMs / 1000)
    }),
    events.on('stream.opened', ({ era }) => series.streams.add(series.streams.at(era))),
    events.on('stream.closed', ({ era }) => series.streams.add(series.streams.at(era), -1)),
    events.on('session.opened', ({ principal }) =>
      count('sessionsOpened', principal.client ?? principal.name),
    ),
    events.on('link.opened', ({ server, era }) => count('linksOpened', server, era)),
    events.on('link.lost', ({ server }) => count('linksLost', server)),
    events.on('link.failed', ({ server, error }) => count('linkFailures', server, error.code)),
    events.on('replica.ejected', ({ server, replica }) => count('ejections', server, replica)),
    events.on('list.changed', ({ kinds }) => kinds.forEach(kind => count('listChanges', kind))),
    events.on('cache.invalidated', ({ server }) => count('invalidations', server)),
    events.on('credential.login_ended', ({ server, outcome }) => count('logins', server, outcome)),
    events.on('credential.renewed', ({ server, cause }) => count('renewals', server, cause)),
    events.on('credential.refused', ({ server, status }) =>
      count('credentialRefusals', server, String(status)),
    ),
    events.on('reload.applied', () => count('reloads', 'applied')),
    events.on('reload.refused', () => count('reloads', 'refused')),
    events.on('admin.acted', ({ status }) => count('adminActions', String(status))),
  ]
  return () => ends.forEach(end => end())
}
