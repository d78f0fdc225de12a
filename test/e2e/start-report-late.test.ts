import { expect, test } from 'vitest'
import { makeScratch } from '../helpers/scratch.ts'
import { BIN, serve } from '../helpers/served.ts'
import { memory } from '../helpers/real-servers.ts'

const script = (code: string, startTimeout: string): object => ({
  command: process.execPath,
  args: ['-e', `process.stdin.on('end', () => process.exit()).resume(); ${code}`],
  startTimeout,
})
/** Answers `initialize` and nothing else, five seconds after its start. */
const SLOW = `
const { createInterface } = require('node:readline')
setTimeout(() => createInterface({ input: process.stdin }).on('line', line => {
  const { id, method } = JSON.parse(line)
  if (id === undefined) return
  const serverInfo = { name: 'x', version: '1' }
  const greeting = { result: { protocolVersion: '2025-11-25', capabilities: {}, serverInfo } }
  const answer = method === 'initialize' ? greeting : { error: { code: -32601, message: 'no' } }
  console.log(JSON.stringify({ jsonrpc: '2.0', id, ...answer }))
}), 5000)`

test('the start report does not wait for silent servers, and a line follows when each is up or has failed', async () => {
  await using scratch = makeScratch()
  const file = scratch.write('servers.json', {
    mcpServers: {
      memory,
      silent: script('', '6s'),
      text: script(`console.log('Server running on stdio, token=abcdef123456')`, '7s'),
      slow: { command: process.execPath, args: ['-e', SLOW], startTimeout: '30s' },
      usage: { command: process.execPath, args: ['-e', `console.log('usage: server --mcp')`] },
    },
    gateway: { http: { port: 0 }, state: 'memory', log: 'error' },
  })
  await using served = await serve([BIN, 'serve', '--config', file], { ready: /Ctrl\+C/ })
  const rows = (server: string): string[] =>
    served.said.split('\n').filter(line => line.startsWith(`  ${server} `))
  expect(rows('memory').join()).toContain('ready')
  for (const server of ['silent', 'text', 'slow']) {
    expect(rows(server)).toHaveLength(1)
    expect(rows(server)[0]).toMatch(
      / starting +still starting(; a line follows when it is listed or has failed \("startTimeout" is \d+ s\)|\.)/,
    )
  }
  const plain = 'plain text in place of JSON-RPC messages'
  expect(rows('text')[0]).toContain(`${plain}. It said: Server running on stdio, token=***`)
  expect(rows('usage').join()).toMatch(new RegExp(` failed .*${plain}.* It said: usage: server --mcp`))

  await expect.poll(() => rows('silent').length).toBe(2)
  expect(rows('silent')[1]).toMatch(/ failed +Server "silent" did not answer .* The next try is in \d+ s\.$/)
  await expect.poll(() => rows('slow').length).toBe(2)
  expect(rows('slow')[1]).toMatch(/ ready +0 tools/)
  await expect.poll(() => rows('text').length).toBe(2)
  expect(rows('text')[1]).toMatch(new RegExp(` failed .*${plain}.* It said: Server running on stdio`))
  expect(rows('memory')).toHaveLength(1)
  expect(served.said).not.toContain('abcdef')
})
