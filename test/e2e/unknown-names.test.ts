import { expect, test } from 'vitest'
import { startGateway } from '../helpers/gateway.ts'
import { openSession } from '../helpers/http-client.ts'
import { memory } from '../helpers/real-servers.ts'

const script = (code: string): object => ({ command: process.execPath, args: ['-e', code] })
const FILE = {
  mcpServers: {
    gone1: { command: 'no-such-command-1' },
    gone2: { command: 'no-such-command-2' },
    gone3: { command: 'no-such-command-3' },
    memory,
    crash: script(
      `console.error('Error: no such account, token=abcdef123456'); console.error('Node.js v20'); process.exit(3)`,
    ),
    silent: script(`process.stdin.on('end', () => process.exit()).resume()`),
  },
  gateway: { catalog: { firstListTimeout: '1s' } },
}

test('a call of a tool whose server failed names that server, its cause and what it said, and no other server', async () => {
  await using gateway = await startGateway(FILE)
  const client = await openSession(gateway.origin)
  const said = await client.call('crash__x')
  expect(said).toContain('Unknown tool: crash__x. Server "crash" is gone: it exited with code 3.')
  expect(said).toContain('It said: Error: no such account, token=***')
  expect(said).not.toContain('gone1')
  expect(said).not.toContain('abcdef')

  expect(await client.call('gone2__y')).toContain('command "no-such-command-2" was not found on PATH')
  expect(await client.call('silent__z')).toBe(
    'Unknown tool: silent__z. Server "silent" has not been listed yet; it may still be starting. Fix: try again in a moment.',
  )
  expect(await client.call('memory__read_grap')).toBe(
    'Unknown tool: memory__read_grap. Did you mean memory__read_graph?',
  )
  expect(await client.call('elsewhere')).toBe(
    'Unknown tool: elsewhere. Servers that have not been listed: "gone1", "gone2", "gone3" and 2 more.',
  )
})

test('at the endpoint of one server that failed an unknown name has its cause', async () => {
  await using gateway = await startGateway(FILE)
  const client = await openSession(gateway.origin, 'crash')
  expect(await client.call('x')).toContain('It said: Error: no such account')
})

test('a client that may not use a server hears nothing of its failure', async () => {
  await using gateway = await startGateway({
    ...FILE,
    gateway: { ...FILE.gateway, policy: { deny: ['crash/*'] } },
  })
  const client = await openSession(gateway.origin)
  const said = await client.call('crash__x')
  expect(said).toBe((await client.call('ghost__x')).replace('ghost', 'crash'))
  expect(said).not.toContain('account')
  expect(said).not.toContain('"crash"')
})
