import type { IncomingMessage, ServerResponse } from 'node:http'
import { describe, expect, test } from 'vitest'
import { checkPrefix, MountGuard, mounted } from '../../../../src/front/http/mount.ts'

/** Where a request belongs in a server of another program, and which callers it may come from. */

const RULES = { host: '127.0.0.1', allowedHosts: ['gw.example'], allowedOrigins: [] }

function requestFrom(
  remoteAddress: string | undefined,
  headers: Record<string, string> = {},
): IncomingMessage {
  return {
    headers: { host: 'localhost', ...headers },
    rawHeaders: Object.entries(headers).flat(),
    socket: { remoteAddress },
  } as unknown as IncomingMessage
}

describe('without clients', () => {
  const guard = new MountGuard(RULES, true)

  test.each(['127.0.0.1', '::1', '::ffff:127.0.0.1', undefined])('a caller at %s is let in', address => {
    expect(() => guard.check(requestFrom(address))).not.toThrow()
  })

  test.each(['192.0.2.7', '::ffff:192.0.2.7', '2001:db8::1'])('a caller at %s is refused', address => {
    expect(() => guard.check(requestFrom(address))).toThrow('Without clients')
  })

  test('a caller elsewhere is let in where the program says so', () => {
    const open = new MountGuard(RULES, false)
    expect(() => open.check(requestFrom('192.0.2.7', { host: 'gw.example' }))).not.toThrow()
    expect(() => open.check(requestFrom('192.0.2.7', { host: 'other.example' }))).toThrow('other.example')
  })
})

describe('a request', () => {
  const taken = (prefix: string, request: object): string | undefined => {
    let url: string | undefined
    const handler = mounted(prefix, ({ url: own }) => void (url = own))
    handler(request as IncomingMessage, {} as ServerResponse, () => {})
    return url
  }

  test.each([
    ['', '/mcp', '/mcp'],
    ['', '/mcp/files?x=1', '/mcp/files?x=1'],
    ['', '/messages?sessionId=1', '/messages?sessionId=1'],
    ['', '/.well-known/oauth-protected-resource/mcp', '/.well-known/oauth-protected-resource/mcp'],
    ['', '/mcpx', undefined],
    ['', '/', undefined],
    ['', 'http://other.example/mcp', undefined],
    ['', '*', undefined],
    ['/gw', '/gw/mcp', '/mcp'],
    ['/gw', '/gw/healthz', '/healthz'],
    ['/gw', '/.well-known/oauth-protected-resource/gw/mcp', '/.well-known/oauth-protected-resource/mcp'],
    ['/gw', '/gw/.well-known/oauth-protected-resource/mcp', '/.well-known/oauth-protected-resource/mcp'],
    ['/gw', '/.well-known/oauth-protected-resource/mcp', undefined],
    ['/gw', '/mcp', undefined],
    ['/gw', '/gwen/mcp', undefined],
    ['/gw', '/gw', undefined],
  ])('below %j for %j is seen as %j', (prefix, url, own) => {
    expect(taken(prefix, { url })).toBe(own)
  })

  test('has its whole path where a framework has shortened it', () => {
    expect(taken('', { url: '/', originalUrl: '/mcp' })).toBe('/mcp')
    expect(taken('/gw', { url: '/mcp', originalUrl: '/gw/mcp' })).toBe('/mcp')
  })

  test('goes on unchanged to the next handler', () => {
    const request = { url: '/gw/orders' }
    taken('/gw', request)
    expect(request).toEqual({ url: '/gw/orders' })
  })
})

test.each(['gw', '/gw/', '//gw', '/', '/a b', '/a?b', `/${'a'.repeat(200)}`])(
  'the prefix %j is no path',
  prefix => {
    expect(() => checkPrefix(prefix)).toThrow('is no path')
  },
)
