import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { EVENT_TYPES, EventBus } from '../../src/core/event-bus.ts'
import { GatewayError } from '../../src/core/errors.ts'
import type { EventOf, EventType, GatewayEvent } from '../../src/core/events.ts'
import type { JsonObject, Outcome } from '../../src/core/exchange.ts'
import { SILENT, type LogFields } from '../../src/core/logger.ts'
import { TraceView } from '../../src/core/trace-view.ts'
import { Began, Ended, Refused } from '../../src/middleware/request/request-events.ts'
import { exchangeOf } from '../helpers/fake-transport.ts'

/** A listener under test, attached to a bus. */
export interface ListenerSubject {
  /** Takes it off the bus; idempotent. */
  readonly detach: () => void
  /** Ends it, with everything written. */
  readonly close: () => Promise<void>
  /** What it has written so far, once it has had the time. */
  readonly written: () => Promise<string>
}

export interface ListenerCase {
  /** Attaches a fresh one. `broken`: what it writes to fails. */
  readonly attach: (bus: EventBus, broken: boolean) => ListenerSubject
  /** The types that it writes of. */
  readonly writes: readonly EventType[]
}

const SECRET = 'hunter2hunter2'
const CONTEXT = { ruleOn: () => 'gateway.policy.rules[0]', routed: true }
const RESULT: Outcome = { kind: 'result', text: '{"content":[]}', value: { content: [] }, modern: true }

/** A call with everything that a client can put into one, or with nothing. */
function callOf(full: boolean): ReturnType<typeof exchangeOf> {
  const value: JsonObject = full
    ? {
        name: 'a__t',
        arguments: { password: SECRET, text: 'x\n\u2028\u001b[31m' },
        _meta: { traceparent: 7 },
      }
    : {}
  const text = JSON.stringify(value)
  const params = full ? { text, value } : undefined
  const exchange = exchangeOf(
    full ? 'tools/call' : 'ping',
    {},
    {
      modern: full,
      request: { method: full ? 'tools/call' : 'p\nng', params, progressToken: undefined },
    },
  )
  if (full) exchange.trace.found({ server: 'a', own: 't', exposed: 'a__t' })
  return exchange
}

/** Of each type, events as they come. */
export function samples(): readonly GatewayEvent[] {
  const error = new GatewayError('rate_limited', `no, token=${SECRET}`, {
    data: { limit: 'clients.ci.rate' },
    cause: new Error(`Authorization: Bearer ${SECRET}`),
  })
  const principal = callOf(true).principal
  const stream = {
    time: 5,
    principal,
    endpoint: '',
    era: 'modern',
    front: undefined,
    session: undefined,
  } as const
  const session = {
    ...stream,
    era: 'legacy',
    session: 'abcdefgh',
    view: '',
    client: '',
    protocolVersion: '2025-11-25',
  } as const
  const link = { time: 5, server: 'a', replica: 'a 1' }
  const others: { readonly [T in EventType]: readonly EventOf<T>[] } = {
    'request.began': [true, false].map(full => new Began(callOf(full), 1, CONTEXT)),
    'request.ended': [true, false].flatMap(full => [
      new Ended(callOf(full), 1, 3, CONTEXT, RESULT, undefined),
      new Ended(callOf(full), 1, 3, CONTEXT, undefined, error),
      new Ended(callOf(full), 1, 3, CONTEXT, { kind: 'error', text: '7', value: 7 }, undefined),
    ]),
    'quota.refused': [new Refused(callOf(true), 1, 3, CONTEXT, error, 'clients.ci.rate')],
    'access.checked': [{ type: 'access.checked', time: 5, durationMs: 12 }],
    'access.refused': [
      { type: 'access.refused', time: 5, status: 401, reason: `Bearer ${SECRET}`, address: '::1' },
      { type: 'access.refused', time: 5, status: 403, reason: '', address: undefined },
    ],
    'attempt.ended': [
      {
        ...link,
        type: 'attempt.ended',
        method: 'tools/call',
        name: 't',
        era: 'legacy',
        startedAt: 1,
        durationMs: 2,
        error,
        trace: new TraceView(callOf(true).trace),
      },
    ],
    'session.opened': [{ type: 'session.opened', ...session }],
    'session.closed': [{ type: 'session.closed', ...session }],
    'stream.opened': [{ type: 'stream.opened', ...stream }],
    'stream.closed': [{ type: 'stream.closed', ...stream, durationMs: 1 }],
    'link.opened': [{ ...link, type: 'link.opened', era: 'modern', reopened: false }],
    'link.lost': [{ ...link, type: 'link.lost', error }],
    'link.closed': [{ ...link, type: 'link.closed' }],
    'link.failed': [{ ...link, type: 'link.failed', error }],
    'replica.ejected': [{ ...link, type: 'replica.ejected', cause: `token=${SECRET}` }],
    'replica.returned': [{ ...link, type: 'replica.returned' }],
    'replica.drained': [{ ...link, type: 'replica.drained' }],
    'replica.resumed': [{ ...link, type: 'replica.resumed' }],
    'list.changed': [{ type: 'list.changed', time: 5, endpoint: '', view: '', kinds: ['tools'] }],
    'credential.login_began': [{ type: 'credential.login_began', time: 5, server: 'a', owner: 'gateway' }],
    'credential.login_ended': (['done', 'failed', 'expired', 'abandoned'] as const).map(outcome => ({
      type: 'credential.login_ended',
      time: 5,
      server: 'a',
      owner: 'client:ann',
      outcome,
      durationMs: 1,
    })),
    'credential.renewed': (['due', 'refused'] as const).map(cause => ({
      type: 'credential.renewed',
      time: 5,
      server: 'a',
      owner: 'client:ann',
      cause,
    })),
    'credential.refused': [
      { type: 'credential.refused', time: 5, server: 'a', owner: 'gateway', status: 401, error },
    ],
    'cache.hit': [
      {
        ...link,
        type: 'cache.hit',
        tool: 't',
        principal,
        stale: false,
        from: 'memory',
        bytes: 1,
        savedMs: 1,
      },
    ],
    'cache.stored': [{ type: 'cache.stored', time: 5, server: 'a', tool: undefined, bytes: 1 }],
    'cache.invalidated': [{ type: 'cache.invalidated', time: 5, server: 'a', tags: undefined }],
    'reload.applied': [
      {
        type: 'reload.applied',
        time: 5,
        servers: { added: ['a'], removed: [], changed: [] },
        notReloadable: [],
        durationMs: 1,
      },
    ],
    'reload.refused': [{ type: 'reload.refused', time: 5, error }],
    'admin.acted': [
      {
        type: 'admin.acted',
        time: 5,
        by: 'key',
        from: '::1',
        action: 'POST /admin/reload',
        status: 200,
        detail: `token=${SECRET}`,
      },
    ],
    'shutdown.began': [{ type: 'shutdown.began', time: 5 }],
    'events.lost': [{ type: 'events.lost', time: 5, count: 2 }],
  }
  return Object.values(others).flat()
}

/** What every listener of events does and leaves alone, whatever it does with them. */
export function describeListener(name: string, { attach, writes }: ListenerCase): void {
  describe(`${name} as a listener of events`, () => {
    let bus: EventBus
    let failures: (LogFields | undefined)[]

    beforeEach(() => {
      failures = []
      bus = new EventBus({ ...SILENT, error: (_message, fields) => void failures.push(fields) })
    })

    const open: ListenerSubject[] = []
    const attached = (broken = false): ListenerSubject => {
      const subject = attach(bus, broken)
      open.push(subject)
      return subject
    }

    afterEach(async () => {
      for (const subject of open.splice(0)) {
        subject.detach()
        await subject.close()
      }
    })

    it('takes events of every type, without a failure', () => {
      attached()
      for (const event of samples()) bus.emit(event)
      expect(failures).toEqual([])
      expect(new Set(samples().map(({ type }) => type))).toEqual(new Set(EVENT_TYPES))
    })

    it('listens to the events that it writes, and to no others', () => {
      attached()
      expect(EVENT_TYPES.filter(type => bus.heard[type])).toEqual(
        EVENT_TYPES.filter(type => writes.includes(type)),
      )
    })

    it.each(writes)(
      'writes of %s, in a line without a control character and without a secret',
      async type => {
        const subject = attached()
        for (const event of samples()) if (event.type === type) bus.emit(event)
        const text = await subject.written()
        expect(text).not.toBe('')
        expect(text).not.toContain(SECRET)
        // oxlint-disable-next-line no-control-regex
        expect(text).not.toMatch(/[\0-\x09\x0b-\x1f]/)
      },
    )

    it('does not modify an event', () => {
      attached()
      for (const event of samples()) {
        const before = JSON.stringify(event)
        bus.emit(Object.freeze(event))
        expect(JSON.stringify(event)).toBe(before)
      }
      expect(failures).toEqual([])
    })

    it('gets no event once it is removed', async () => {
      const subject = attached()
      subject.detach()
      subject.detach()
      expect(EVENT_TYPES.some(type => bus.heard[type])).toBe(false)
      for (const event of samples()) bus.emit(event)
      expect(await subject.written()).toBe('')
    })

    it('throws nothing when its output fails', async () => {
      attached(true)
      for (let times = 0; times < 100; times++) for (const event of samples()) bus.emit(event)
      await new Promise(resolve => setImmediate(resolve))
      expect(failures.length).toBeLessThanOrEqual(writes.length)
    })

    it('has written everything when it is closed, and nothing more can be', async () => {
      const subject = attached()
      for (const event of samples()) bus.emit(event)
      subject.detach()
      await subject.close()
      const text = await subject.written()
      expect(text).not.toBe('')
      for (const event of samples()) bus.emit(event)
      expect(await subject.written()).toBe(text)
    })
  })
}
