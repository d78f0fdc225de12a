import { createHash } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { GatewayError } from '../../../src/core/errors.ts'
import type { Exchange, JsonObject, Outcome } from '../../../src/core/exchange.ts'
import { clientPrincipal } from '../../../src/core/principal.ts'
import { Ended } from '../../../src/middleware/request/request-events.ts'
import { auditLine } from '../../../src/observe/audit.ts'
import { exchangeOf } from '../../helpers/fake-transport.ts'

const OUTCOME: Outcome = { kind: 'result', text: '{"content":[]}', value: { content: [] }, modern: false }

function lineOf(
  exchange: Exchange,
  {
    outcome = OUTCOME,
    error,
    full = false,
  }: { outcome?: Outcome; error?: GatewayError; full?: boolean } = {},
): JsonObject {
  const now = performance.now()
  const context = { ruleOn: () => undefined, routed: true }
  const ended = new Ended(exchange, now - 12.34, now, context, error ? undefined : outcome, error)
  const text = auditLine(ended, full)
  expect(text).not.toContain('\n')
  return JSON.parse(text) as JsonObject
}

/** A call whose arguments stand in its text as they are given here. */
function callOf(args: string, meta = '{}'): ReturnType<typeof exchangeOf> {
  const text = `{"name":"a__t", "arguments": ${args},"_meta":${meta}}`
  return exchangeOf(
    'tools/call',
    {},
    {
      request: {
        method: 'tools/call',
        params: { text, value: JSON.parse(text) as JsonObject },
        progressToken: undefined,
      },
      principal: { ...clientPrincipal('ci "quoted" \u2028é'), roles: ['reader'] },
    },
  )
}

describe('a line', () => {
  it('names the caller, the call, its cost and its outcome', () => {
    const args = '{"n": 12345678901234567890}'
    const exchange = callOf(args)
    Object.assign(exchange.trace, {
      route: { server: 'a', own: 't', exposed: 'a__t' },
      rule: 'roles.reader.rules[2]',
      replica: 'a http',
      waitedMs: 3.14,
      upstreamMs: 7,
    })
    const before = Date.now()
    const { time, durationMs, trace, ...line } = lineOf(exchange)
    expect(Date.parse(time as string)).toBeGreaterThanOrEqual(before - 1)
    expect(Date.parse(time as string)).toBeLessThanOrEqual(Date.now())
    expect(time).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)
    expect(durationMs).toBeGreaterThanOrEqual(12.3)
    expect(trace).toMatch(/^[\da-f]{32}$/)
    expect(line).toEqual({
      event: 'allow',
      principal: 'client:ci "quoted" \u2028é',
      client: 'ci "quoted" \u2028é',
      roles: ['reader'],
      era: 'legacy',
      endpoint: '',
      method: 'tools/call',
      server: 'a',
      name: 't',
      exposed: 'a__t',
      rule: 'roles.reader.rules[2]',
      replica: 'a http',
      waitedMs: 3.1,
      upstreamMs: 7,
      bytesIn: Buffer.byteLength(exchange.request.params?.text ?? ''),
      bytesOut: 14,
      args: createHash('sha256').update(args).digest('hex').slice(0, 16),
    })
  })

  it.each([
    ['denied', 'deny'],
    ['unknown_name', 'deny'],
    ['rate_limited', 'deny'],
    ['overloaded', 'deny'],
    ['upstream_timeout', 'error'],
    ['cancelled', 'error'],
    ['internal', 'error'],
  ] as const)('of a failure with %s is one of event %s', (code, event) => {
    const error = new GatewayError(code, 'a message with a token=s3cr3t', {
      data: { limit: 'clients.ci.rate' },
    })
    error.errorId = 'abc123'
    const exchange = callOf('{}')
    const line = lineOf(exchange, { error })
    expect(line).toMatchObject({ event, code, errorId: 'abc123', quota: 'clients.ci.rate', bytesOut: 0 })
    // What was asked for, as the client called it.
    expect(line).toMatchObject({ exposed: 'a__t' })
    expect(JSON.stringify(line)).not.toContain('s3cr3t')
  })

  it("tells a server's own failures from results", () => {
    const exchange = callOf('{}')
    const error: Outcome = { kind: 'error', text: '{"code":-32050}', value: { code: -32050 } }
    expect(lineOf(exchange, { outcome: error })).toMatchObject({ event: 'allow', code: -32050 })
    const failed: Outcome = { kind: 'result', text: '{}', value: { isError: true }, modern: false }
    expect(lineOf(exchange, { outcome: failed })).toMatchObject({ event: 'allow', isError: true })
  })

  const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736'
  it('belongs to the trace of the client, if it names one', () => {
    const traced = (parent: string): unknown => lineOf(callOf('{}', `{"traceparent":${parent}}`))['trace']
    expect(traced(`"00-${TRACE}-00f067aa0ba902b7-01"`)).toBe(TRACE)
    for (const wrong of [
      `"00-${'0'.repeat(32)}-00f067aa0ba902b7-01"`,
      `"ff-${TRACE}-00f067aa0ba902b7-01"`,
      `"00-${TRACE.toUpperCase()}-00f067aa0ba902b7-01"`,
      `"00-${TRACE}"`,
      '"\\"}{"',
      '7',
    ]) {
      expect(traced(wrong)).toMatch(/^[\da-f]{32}$/)
      expect(traced(wrong)).not.toBe(TRACE)
    }
    const fresh = Array.from({ length: 1000 }, () => traced('null'))
    expect(new Set(fresh).size).toBe(1000)
  })
})

describe('arguments', () => {
  it('in full hold no secret', () => {
    const args = {
      query: 'select 1',
      password: 12345,
      nested: [{ apiKey: ['s3cr3t'], url: 'https://user:s3cr3t@host/?token=s3cr3t' }],
      text: 'Authorization: Bearer s3cr3t.s3cr3t',
      inner: '{"client_secret":"s3cr3t"}',
    }
    const line = lineOf(callOf(JSON.stringify(args)), { full: true })
    expect(JSON.stringify(line)).not.toMatch(/s3cr3t|12345/)
    expect(line['args']).toMatchObject({ query: 'select 1', password: '***' })
  })

  it('that are large stand as a digest', () => {
    const args = JSON.stringify({ text: 'x'.repeat(100_000) })
    expect(lineOf(callOf(args), { full: true })['args']).toMatch(/^[\da-f]{16}$/)
  })

  it('of an unknown name, or a URI, are redacted as well', () => {
    const exchange = exchangeOf('resources/read', { uri: 'db://user:s3cr3t@host/x?api_key=s3cr3t' })
    const error = new GatewayError('resource_not_found', 'no')
    const denied = JSON.stringify(lineOf(exchange, { error }))
    expect(denied).not.toContain('s3cr3t')
    const uri = 'db://user:s3cr3t@host/x'
    exchange.trace.found({ server: 'a', own: uri, exposed: uri })
    expect(JSON.stringify(lineOf(exchange))).not.toContain('s3cr3t')
  })
})
