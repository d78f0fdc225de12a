import type { IncomingMessage } from 'node:http'
import { describe, expect, it } from 'vitest'
import { HttpError } from '../../../../src/core/http-error.ts'
import { accepts, checkAccept, HostGuard, type HostRules } from '../../../../src/front/http/guards.ts'

const request = (headers: Record<string, string>): IncomingMessage =>
  ({ headers }) as unknown as IncomingMessage
const rules = (changes: Partial<HostRules> = {}): HostGuard =>
  new HostGuard({ host: '127.0.0.1', allowedHosts: [], allowedOrigins: [], ...changes })

function refusal(run: () => void): string | undefined {
  try {
    run()
    return undefined
  } catch (error) {
    if (error instanceof HttpError && error.status === 403) return error.message
    throw error
  }
}

describe('Host', () => {
  it.each(['localhost', 'localhost:3333', '127.0.0.1:1', '[::1]:8080', 'LOCALHOST'])(
    '%s is this machine',
    host => {
      expect(refusal(() => rules().check(request({ host })))).toBeUndefined()
    },
  )

  it.each([
    'evil.example',
    'localhost.evil.example',
    '127.0.0.1.evil.example',
    '192.168.0.1',
    '',
    'localhost@evil.example',
  ])('%j is not', host => {
    expect(refusal(() => rules().check(request({ host })))).toContain('"gateway.http.allowedHosts"')
  })

  it('may be named, with or without a port', () => {
    const guard = rules({ host: '0.0.0.0', allowedHosts: ['gate.example:8080'] })
    expect(refusal(() => guard.check(request({ host: 'gate.example' })))).toBeUndefined()
    expect(refusal(() => guard.check(request({ host: 'gate.example:1' })))).toBeUndefined()
    expect(refusal(() => guard.check(request({ host: 'other.example' })))).toBeDefined()
  })

  it('is not compared where the gateway is open to the network and no names are given', () => {
    expect(refusal(() => rules({ host: '0.0.0.0' }).check(request({ host: 'any.example' })))).toBeUndefined()
  })
})

describe('Origin', () => {
  const check = (origin: string, guard = rules()): string | undefined =>
    refusal(() => guard.check(request({ host: 'localhost', origin })))

  it.each(['http://localhost', 'http://localhost:5173', 'https://127.0.0.1:1', 'http://[::1]:3000'])(
    '%s is this machine',
    origin => {
      expect(check(origin)).toBeUndefined()
    },
  )

  it.each([
    'https://evil.example',
    'null',
    'http://localhost.evil.example',
    'file://localhost',
    'localhost',
    '',
  ])('%j is not', origin => {
    expect(check(origin)).toContain('"gateway.http.allowedOrigins"')
  })

  it('may be named, exactly', () => {
    const guard = rules({ allowedOrigins: ['https://App.example'] })
    expect(check('https://app.example', guard)).toBeUndefined()
    expect(check('http://app.example', guard)).toBeDefined()
    expect(check('https://app.example:444', guard)).toBeDefined()
  })

  it('is compared also where hosts are not', () => {
    expect(check('https://evil.example', rules({ host: '0.0.0.0' }))).toBeDefined()
  })
})

it('accepts what the client accepts', () => {
  expect(accepts(request({}), 'text/event-stream')).toBe(true)
  expect(accepts(request({ accept: '*/*' }), 'text/event-stream')).toBe(true)
  expect(accepts(request({ accept: 'application/json, text/event-stream' }), 'text/event-stream')).toBe(true)
  expect(accepts(request({ accept: 'application/json' }), 'text/event-stream')).toBe(false)
  expect(() => checkAccept(request({ accept: 'image/png' }), 'application/json')).toThrow(HttpError)
})
