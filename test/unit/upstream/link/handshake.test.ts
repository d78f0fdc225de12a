import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { Deadlines } from '../../../../src/core/deadlines.ts'
import { GatewayError } from '../../../../src/core/errors.ts'
import { SILENT } from '../../../../src/core/logger.ts'
import type { Era } from '../../../../src/protocol/revisions.ts'
import type { Spoken } from '../../../../src/protocol/spoken.ts'
import { shakeHands, TooLate } from '../../../../src/upstream/link/handshake.ts'
import { Link } from '../../../../src/upstream/link/link.ts'
import { HttpStatusError } from '../../../../src/upstream/transport/http/http-error.ts'
import {
  FakeTransport,
  LEGACY,
  MODERN,
  replicaOf,
  serverConfig,
  type Reaction,
} from '../../../helpers/fake-transport.ts'

const LEGACY_ONLY: Spoken = { legacy: true, modern: false }
const MODERN_ONLY: Spoken = { legacy: false, modern: true }
const BOTH = { ...LEGACY, 'server/discover': MODERN['server/discover'] as () => Reaction }

let deadlines: Deadlines
beforeEach(() => {
  vi.useFakeTimers()
  deadlines = new Deadlines()
})
afterEach(() => {
  deadlines.close()
  expect(vi.getTimerCount()).toBe(0)
  vi.useRealTimers()
})

async function linkTo(transport: FakeTransport): Promise<Link> {
  const link = new Link({
    server: serverConfig(),
    replica: replicaOf(serverConfig()),
    transport,
    deadlines,
    logger: SILENT,
    clientInfo: '{"name":"gateway","version":"1"}',
    capabilities: '{}',
    owner: undefined,
    listener: {
      onNotification: () => {},
      onRequest: () => Promise.reject(new GatewayError('unknown_method', 'no')),
      onLost: () => {},
      onGap: () => {},
    },
  })
  await transport.open(link)
  return link
}

interface Result {
  readonly era?: Era
  readonly shown?: Spoken
  readonly error?: GatewayError
  readonly link: Link
  readonly asked: readonly string[]
}

/** Shakes hands while time passes. */
async function shake(transport: FakeTransport, wish: Era = 'modern', known?: Spoken): Promise<Result> {
  const link = await linkTo(transport)
  const shaken = shakeHands(link, wish, known ?? {}, { discovered: false }).then(
    shown => ({ shown, era: link.peer.era }),
    (error: GatewayError) => ({ error }),
  )
  await vi.advanceTimersByTimeAsync(30_000)
  const asked = transport.sent.map(({ method }) => method ?? '')
  return { ...(await shaken), link, asked }
}

describe('over stdio', () => {
  it('a modern server is known by its answer to server/discover', async () => {
    const { shown, link, asked } = await shake(new FakeTransport(MODERN))
    expect({ shown, asked }).toEqual({ shown: { modern: true }, asked: ['server/discover'] })
    expect(link.peer).toMatchObject({
      era: 'modern',
      protocolVersion: '2026-07-28',
      capabilities: { tools: {} },
    })
  })

  it('anything else means initialize, and initialized follows', async () => {
    const transport = new FakeTransport(LEGACY)
    const { shown, link, asked } = await shake(transport)
    expect(shown).toEqual(LEGACY_ONLY)
    expect(asked).toEqual(['server/discover', 'initialize', 'notifications/initialized'])
    expect(link.peer).toMatchObject({
      era: 'legacy',
      protocolVersion: '2025-11-25',
      serverInfo: '{"name":"fake","version":"1"}',
    })
    expect(transport.listening).toBe(true)
    expect(transport.of('initialize')[0]?.params).toEqual({
      protocolVersion: '2025-11-25',
      capabilities: {},
      clientInfo: { name: 'gateway', version: '1' },
    })
  })

  it('a server known to be legacy is not asked', async () => {
    const { asked } = await shake(new FakeTransport(LEGACY), 'legacy', LEGACY_ONLY)
    expect(asked).toEqual(['initialize', 'notifications/initialized'])
  })

  it.each(['2025-06-18', '2025-03-26', '2024-11-05'])(
    'a server may choose revision %s',
    async protocolVersion => {
      const initialize = (): Reaction => ({
        result: { protocolVersion, capabilities: { logging: {} }, serverInfo: {} },
      })
      const transport = new FakeTransport({ initialize })
      const { link } = await shake(transport, 'legacy', LEGACY_ONLY)
      expect(link.peer.protocolVersion).toBe(protocolVersion)
      expect(transport.versions.at(-1)).toBe(protocolVersion)
    },
  )

  it('a silent server is offered both, and a legacy answer decides', async () => {
    const { initialize } = LEGACY
    const { era, asked } = await shake(new FakeTransport({ initialize: initialize as () => Reaction }))
    expect(era).toBe('legacy')
    expect(asked.slice(0, 3)).toEqual(['server/discover', 'initialize', 'notifications/initialized'])
  })

  it('a slow modern server is not mistaken for a legacy one', async () => {
    const transport = new FakeTransport({ initialize: MODERN['initialize'] as () => Reaction })
    const link = await linkTo(transport)
    const shaken = shakeHands(link, 'modern', {}, { discovered: false })
    await vi.advanceTimersByTimeAsync(1600)
    expect(transport.of('initialize')).toHaveLength(1)
    const answer = MODERN['server/discover']?.({})
    transport.answer(transport.idOf('server/discover'), answer as object)
    await vi.advanceTimersByTimeAsync(3000)
    expect(await shaken).toEqual({ modern: true })
    expect(link.peer.era).toBe('modern')
  })

  it('a server of both eras gets no other request once it has answered in the requested era', async () => {
    const { era, asked } = await shake(new FakeTransport(BOTH))
    expect({ era, asked }).toEqual({ era: 'modern', asked: ['server/discover'] })
  })

  it('a server of both eras gets initialize on the same process where a legacy link is requested', async () => {
    const { era, shown, asked } = await shake(new FakeTransport(BOTH), 'legacy')
    expect({ era, shown, asked }).toEqual({
      era: 'legacy',
      shown: { legacy: true, modern: true },
      asked: ['server/discover', 'initialize', 'notifications/initialized'],
    })
  })

  it('a server known to be modern gets initialize at once where a legacy link is requested', async () => {
    const { era, shown, asked } = await shake(new FakeTransport(BOTH), 'legacy', { modern: true })
    expect({ era, shown, asked }).toEqual({
      era: 'legacy',
      shown: { legacy: true },
      asked: ['initialize', 'notifications/initialized'],
    })
  })

  it.each([
    { what: 'that it is modern', known: { modern: true }, asks: ['initialize', 'server/discover'] },
    { what: 'that it has no other', known: MODERN_ONLY, asks: ['server/discover'] },
  ])(
    'a modern server serves clients that prefer the legacy era, where $what is known',
    async ({ known, asks }) => {
      const { era, shown, asked } = await shake(new FakeTransport(MODERN), 'legacy', known)
      expect({ era, shown, asked }).toEqual({
        era: 'modern',
        shown: asks.length > 1 ? MODERN_ONLY : { modern: true },
        asked: asks,
      })
    },
  )

  it('a process that has answered as modern and refuses the handshake does not decide for the next one', async () => {
    const { error, asked } = await shake(new FakeTransport(MODERN), 'legacy')
    expect(error).toBeInstanceOf(TooLate)
    expect(asked).toEqual(['server/discover', 'initialize'])
  })

  it('a modern server that does not answer the handshake is used without one after a while', async () => {
    const { era, shown } = await shake(
      new FakeTransport({ 'server/discover': MODERN['server/discover'] as () => Reaction }),
      'legacy',
      { modern: true },
    )
    expect({ era, shown }).toEqual({ era: 'modern', shown: MODERN_ONLY })
  })

  it('a server that never says anything fails with its name, the time and the setting', async () => {
    const { error } = await shake(new FakeTransport({}))
    expect(error).toMatchObject({ code: 'upstream_timeout', server: 'fake' })
    expect(error?.message).toMatch(/"fake".*initialize.*5 s.*"startTimeout"/)
  })

  it.each([
    {
      what: 'a refusal',
      initialize: { error: { code: -32000, message: 'No licence' } },
      says: 'refused to initialize',
    },
    {
      what: 'an unknown revision',
      initialize: { result: { protocolVersion: '2030-01-01' } },
      says: '"2030-01-01"',
    },
    { what: 'no revision', initialize: { result: {} }, says: 'undefined' },
    { what: 'no object', initialize: { result: 'hello' }, says: 'no object' },
  ])('$what fails with the name of the server', async ({ initialize, says }) => {
    const { error } = await shake(new FakeTransport({ initialize: () => initialize }), 'legacy', LEGACY_ONLY)
    expect(error).toMatchObject({ code: 'upstream_protocol', server: 'fake' })
    expect(error?.message).toContain('Server "fake"')
    expect(error?.message).toContain(says)
  })

  it('a server of unknown revisions is distinguished from an old one', async () => {
    const error = { code: -32022, message: 'Unsupported', data: { supported: ['2031-01-01'] } }
    const shaken = await shake(new FakeTransport({ 'server/discover': () => ({ error }) }))
    expect(shaken.error).toMatchObject({ code: 'upstream_protocol', server: 'fake' })
    expect(shaken.error?.message).toContain('2031-01-01')
    expect(shaken.asked).not.toContain('notifications/initialized')
  })

  it.each([{ supported: ['2026-07-28'] }, { supported: ['2026-07-28', '2025-11-25'] }])(
    'a server that refuses the revision it lists ($supported) is asked again',
    async data => {
      const transport = new FakeTransport(MODERN)
      const answer = MODERN['server/discover'] as () => Reaction
      transport.reactions.set('server/discover', () => {
        transport.reactions.set('server/discover', answer)
        return { error: { code: -32022, message: 'Unsupported', data } }
      })
      const { era, asked } = await shake(transport)
      expect({ era, asked }).toEqual({ era: 'modern', asked: ['server/discover', 'server/discover'] })
    },
  )

  it('a server that goes on refusing the revision it lists is said to', async () => {
    const error = { code: -32022, message: 'Unsupported', data: { supported: ['2026-07-28'] } }
    const shaken = await shake(new FakeTransport({ 'server/discover': () => ({ error }) }))
    expect(shaken.error).toMatchObject({ code: 'upstream_protocol', server: 'fake' })
    expect(shaken.error?.message).toMatch(/refuses.*2026-07-28.*lists/)
    expect(shaken.asked).toEqual(['server/discover', 'server/discover'])
  })
})

describe('over HTTP', () => {
  it('a modern server refuses every handshake', async () => {
    const { era, shown, asked } = await shake(new FakeTransport(MODERN, 'http'), 'legacy')
    expect({ era, shown, asked }).toEqual({
      era: 'modern',
      shown: MODERN_ONLY,
      asked: ['server/discover', 'initialize'],
    })
  })

  const refuse = (status: number, code: 'upstream_unreachable' | 'upstream_unauthorized'): FakeTransport => {
    const transport = new FakeTransport(LEGACY, 'http')
    transport.reactions.set('server/discover', () => {
      const error = new GatewayError(code, `HTTP ${status}`, {
        server: 'fake',
        cause: new HttpStatusError(status, ''),
      })
      queueMicrotask(() => transport.receiver.onFailure(1, error))
      return undefined
    })
    return transport
  }

  it.each([400, 404, 405, 406, 415])('HTTP %i to the probe means legacy', async status => {
    const { era } = await shake(refuse(status, 'upstream_unreachable'))
    expect(era).toBe('legacy')
  })

  it.each([
    { status: 401, code: 'upstream_unauthorized' as const },
    { status: 403, code: 'upstream_unauthorized' as const },
    { status: 429, code: 'upstream_unreachable' as const },
    { status: 500, code: 'upstream_unreachable' as const },
    { status: 503, code: 'upstream_unreachable' as const },
  ])('HTTP $status says nothing about the era', async ({ status, code }) => {
    const { error, asked } = await shake(refuse(status, code))
    expect(error).toMatchObject({ code })
    expect(asked).toEqual(['server/discover'])
  })

  it('the probe is of the modern revision, what follows it of none until one is agreed on', async () => {
    const transport = new FakeTransport(LEGACY, 'http')
    await shake(transport)
    expect(transport.versions).toEqual(['2026-07-28', undefined, '2025-11-25'])
  })

  it('a server that does not answer the probe gets initialize after a while', async () => {
    const { initialize } = LEGACY
    const { era, asked } = await shake(
      new FakeTransport({ initialize: initialize as () => Reaction }, 'http'),
    )
    expect(era).toBe('legacy')
    expect(asked.filter(method => method === 'initialize')).toHaveLength(1)
  })
})

it('over deprecated HTTP+SSE the modern era is not probed', async () => {
  const { asked } = await shake(new FakeTransport(LEGACY, 'sse'))
  expect(asked).toEqual(['initialize', 'notifications/initialized'])
})
