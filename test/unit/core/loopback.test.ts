import { describe, expect, test } from 'vitest'
import { checkExposure } from '../../../src/auth/exposure.ts'
import { Resources } from '../../../src/auth/resources.ts'
import { configFrom } from '../../../src/config/load/load.ts'
import { isLoopback } from '../../../src/core/loopback.ts'
import { HostGuard } from '../../../src/front/http/guards.ts'

const HERE = [
  '127.0.0.1',
  '127.8.9.255',
  'localhost',
  'LOCALHOST',
  'localhost.',
  'app.localhost',
  '::1',
  '[::1]',
]
const HERE_IPV6 = ['0:0:0:0:0:0:0:1', '::ffff:127.0.0.1', '[::ffff:7f00:1]', '::FFFF:127.255.0.1']
const ELSEWHERE = [
  '',
  '0.0.0.0',
  '::',
  '128.0.0.1',
  '127.0.0.256',
  '127.0.0.1.example',
  'localhost.example',
  'notlocalhost',
  '.localhost',
  'a@b.localhost',
  '::ffff:128.0.0.1',
  '::2',
  '[::1',
  '1::1',
]

test.each([...HERE, ...HERE_IPV6])('%s is this machine', host => {
  expect(isLoopback(host)).toBe(true)
})
test.each(ELSEWHERE.filter(host => host !== '[::1'))('%j is not', host => {
  expect(isLoopback(host)).toBe(false)
})

describe('wherever it matters, the same hosts are this machine', () => {
  const logger = { error() {}, warn() {}, info() {}, debug() {}, child: () => logger }
  const guard = new HostGuard({ host: '127.0.0.1', allowedHosts: [], allowedOrigins: [] })
  const allows = (headers: object): boolean => {
    try {
      guard.check({ headers } as Parameters<HostGuard['check']>[0])
      return true
    } catch {
      return false
    }
  }
  const mayListen = async (host: string): Promise<boolean> => {
    try {
      checkExposure(await configFrom({ mcpServers: {}, gateway: { http: { host } } }), logger)
      return true
    } catch {
      return false
    }
  }
  const mayIssue = async (host: string): Promise<boolean> => {
    const jwt = [{ issuer: `http://${host}/`, audience: ['https://gate.example/mcp'], client: 'a' }]
    try {
      await configFrom({ mcpServers: {}, clients: { a: {} }, gateway: { auth: { jwt } } })
      return true
    } catch {
      return false
    }
  }

  test.each(HERE)('%s', async host => {
    const bracketed = host === '::1' ? '[::1]' : host
    expect(allows({ host: bracketed })).toBe(true)
    expect(allows({ host: 'localhost', origin: `http://${bracketed}:3000` })).toBe(true)
    expect(await mayListen(host)).toBe(true)
    expect(await mayIssue(bracketed)).toBe(true)
  })
  test.each(['128.0.0.1', 'localhost.example'])('not %s', async host => {
    expect(allows({ host })).toBe(false)
    expect(allows({ host: 'localhost', origin: `http://${host}:3000` })).toBe(false)
    expect(await mayListen(host)).toBe(false)
    expect(await mayIssue(host)).toBe(false)
  })

  test('a token for this machine counts by each of its names', () => {
    const resources = new Resources({ publicUrl: undefined }, [])
    resources.listensAt('http://127.0.0.2:3333')
    for (const host of ['127.0.0.2', '127.0.0.1', 'localhost', '[::1]'])
      expect(resources.accepts([`http://${host}:3333/mcp`], '')).toBe(true)
    expect(resources.accepts(['http://10.0.0.1:3333/mcp'], '')).toBe(false)
  })
})
