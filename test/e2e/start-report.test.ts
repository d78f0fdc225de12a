import { expect, test } from 'vitest'
import { makeScratch } from '../helpers/scratch.ts'
import { serveGateway } from '../helpers/served.ts'

test('the report after the start and /readyz show what a command said before it ended, without its secrets', async () => {
  await using scratch = makeScratch()
  const script = `console.error('Error: no such account, token=abcdef123456'); console.error('Node.js v20'); process.exit(1)`
  const file = scratch.write('servers.json', {
    mcpServers: { bad: { command: process.execPath, args: ['-e', script] } },
    gateway: { http: { port: 0 }, state: 'memory', log: 'error' },
  })
  await using gateway = await serveGateway(file)
  await expect.poll(() => gateway.said).toContain('It said: Error: no such account')
  const answer = await fetch(`${gateway.origin}/readyz`)
  const body = await answer.text()
  expect(body).toContain('It said: Error: no such account, token=***')
  expect(body + gateway.said).not.toContain('abcdef123456')
})
