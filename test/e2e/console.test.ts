import { expect, test } from 'vitest'
import { makeScratch } from '../helpers/scratch.ts'
import { BIN, serve } from '../helpers/served.ts'

/** Loaded into the gateway: a library that prints to the console, as a store does for each write that fails. */
const LIBRARY = `data:text/javascript,${encodeURIComponent(`
  setInterval(() => { for (let i = 0; i < 100; i++) console.error(new Error('Input/output error')) }, 50).unref()
`)}`

test('what a library prints in a running gateway is one record of the log, not a raw line each time', async () => {
  await using scratch = makeScratch()
  const file = scratch.write('servers.json', '{"mcpServers":{},"gateway":{"http":{"port":0}}}')
  const env = { NODE_OPTIONS: `--import=${LIBRARY}`, HOME: scratch.path, XDG_STATE_HOME: scratch.path }
  await using gateway = await serve([BIN, 'serve', '--config', file], { ready: /Ctrl\+C/, env })
  const before = gateway.said.length
  await new Promise(resolve => setTimeout(resolve, 500))
  expect(await gateway.stop()).toBe(0)
  expect(gateway.said.slice(before)).not.toMatch(/^Error: /m)
  const records = gateway.said.split('\n').filter(line => line.includes('A library reports'))
  expect(records).toHaveLength(1)
  expect(records[0]).toContain('Input/output error')
})
