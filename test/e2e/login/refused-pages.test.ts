import { expect, test } from 'vitest'
import { startGateway } from '../../helpers/gateway.ts'

const BROWSER = { accept: 'text/html,application/xhtml+xml,*/*;q=0.8' }

test('what is refused below /oauth/ is a page for a browser, and JSON for a program', async () => {
  await using running = await startGateway({ mcpServers: {} })
  const ask = async (path: string, headers: Record<string, string>) => {
    const response = await fetch(`${running.origin}${path}`, { headers })
    return { status: response.status, headers: response.headers, text: await response.text() }
  }
  const missing = await ask('/oauth/nothing', BROWSER)
  expect([missing.status, missing.headers.get('content-type')]).toEqual([404, 'text/html; charset=utf-8'])
  expect(missing.headers.get('content-security-policy')).toContain("default-src 'none'")
  expect(missing.text).toContain('There is no such page.')
  let last = missing
  for (let times = 0; times < 200 && last.status !== 429; times++) last = await ask('/oauth/nothing', BROWSER)
  expect(last.status).toBe(429)
  expect(last.headers.get('content-type')).toBe('text/html; charset=utf-8')
  expect(Number(last.headers.get('retry-after'))).toBeGreaterThan(0)
  expect(last.text).toContain('Too many requests')
  const program = await ask('/oauth/nothing', { accept: 'application/json' })
  expect(program.status).toBe(429)
  expect(JSON.parse(program.text)).toMatchObject({
    jsonrpc: '2.0',
    error: { message: expect.stringContaining('Too many') as string },
  })
})
