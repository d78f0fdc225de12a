import { expect, test } from 'vitest'
import { startGateway } from '../helpers/gateway.ts'
import { openSession } from '../helpers/http-client.ts'
import { memory } from '../helpers/real-servers.ts'
import { makeScratch } from '../helpers/scratch.ts'
import { startStdio } from '../helpers/stdio-client.ts'

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

test('a call of a tool whose server failed names that server, its cause and the fix, and no other server', async () => {
  await using gateway = await startGateway(FILE)
  const client = await openSession(gateway.origin)
  const said = await client.call('crash__x')
  expect(said).toContain('Unknown tool: crash__x. Server "crash" is gone: it exited with code 3.')
  expect(said).toContain('Fix: ')
  expect(said).not.toContain('gone1')
  expect(said).not.toContain('account')

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

test('at the endpoint of one server that failed an unknown name has its cause, and not what the server printed', async () => {
  await using gateway = await startGateway(FILE)
  const client = await openSession(gateway.origin, 'crash')
  const said = await client.call('x')
  expect(said).toContain('Server "crash" is gone: it exited with code 3.')
  expect(said).not.toContain('account')
})

const PRINTING = {
  mcpServers: {
    crash: FILE.mcpServers.crash,
    plain: script(`console.log('the customer is bob'); process.exit()`),
  },
  gateway: { catalog: { firstListTimeout: '10s' } },
}

test('the local user on stdio receives what a failed server printed, without its secrets', async () => {
  await using scratch = makeScratch()
  await using client = startStdio(
    scratch.write('servers.json', { ...PRINTING, gateway: { ...PRINTING.gateway, state: 'memory' } }),
  )
  await client.initialize()
  const said = await client.call('crash__x')
  expect(said).toContain('It said: Error: no such account, token=***')
  expect(said).not.toContain('abcdef')
  expect(await client.call('plain__x')).toContain('It said: the customer is bob')
})

test('a client over HTTP gets nothing that a failed server printed, whatever it asks for', async () => {
  await using gateway = await startGateway(PRINTING)
  const client = await openSession(gateway.origin)
  const heard = [
    await client.request('tools/list'),
    await client.call('crash__x'),
    await client.call('plain__x'),
    await client.call('nope'),
    await client.request('prompts/get', { name: 'crash__p' }),
    await client.request('resources/read', { uri: 'x://y' }),
    (await openSession(gateway.origin)).greeting,
  ]
  const elsewhere = await fetch(`${gateway.origin}/readyz`, { headers: { 'x-forwarded-for': '192.0.2.1' } })
  const remote = await elsewhere.text()
  expect(remote).toContain('Server \\"crash\\" is gone: it exited with code 3.')
  expect(JSON.stringify(heard) + remote).not.toMatch(/account|customer/)
  expect(await (await fetch(`${gateway.origin}/readyz`)).text()).toMatch(/account[^]*customer/)
})

test('a client that may not use a server gets no report of its failure', async () => {
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
