import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { envOf, folderForTest } from '../../helpers/admin-client.ts'
import { runIn } from '../../helpers/command-runs.ts'
import { BIN, freePort, serve } from '../../helpers/served.ts'

/** Commands that need a server which fails, is late, or is off. */

const program = (text: string): object => ({ command: process.execPath, args: ['-e', text] })
const SERVER = `require('node:readline').createInterface({ input: process.stdin }).on('line', line => {
  const { id, method } = JSON.parse(line)
  const result = method === 'initialize' ? { protocolVersion: '2025-06-18', capabilities: { tools: {} }, serverInfo: { name: 's', version: '1' } }
    : method === 'tools/list' ? { tools: [{ name: 't', inputSchema: { type: 'object' } }] }
    : { content: [{ type: 'text', text: 'done' }] }
  if (id !== undefined) console.log(JSON.stringify({ jsonrpc: '2.0', id, result }))
})`

test('the cause of a server that ends at once is what its program has said, and doctor is named', async () => {
  const folder = folderForTest()
  const file = folder.write('servers.json', {
    mcpServers: { broken: program('console.error("boom: no licence"); process.exit(3)') },
    gateway: { state: `lmdb:${join(folder.path, 'state')}` },
  })
  const { code, stderr } = await runIn(folder, file, 'tools', 'broken')
  expect(stderr).toContain('boom: no licence')
  expect(stderr).toContain('There are no tools. See what is wrong: mcp-manifold doctor broken')
  expect(code).toBe(1)
})

test('a server that earlier runs waited for in vain is started again, and not waited for without a start', async () => {
  const folder = folderForTest()
  const file = folder.write('servers.json', {
    mcpServers: { late: program('setTimeout(() => { console.error("boom"); process.exit(3) }, 1500)') },
    gateway: { state: `lmdb:${join(folder.path, 'state')}` },
  })
  for (let nth = 0; nth < 2; nth++) {
    const { code, stderr } = await runIn(folder, file, 'tools', 'late')
    expect({ code, stderr }).toMatchObject({ code: 1, stderr: expect.stringContaining('boom') })
  }
}, 60_000)

test('a server that a running gateway is starting is waited for', async () => {
  const folder = folderForTest()
  const file = folder.write('servers.json', {
    mcpServers: { slow: program(`setTimeout(() => { ${SERVER} }, 4000)`) },
    gateway: { http: { port: await freePort() }, state: 'memory' },
  })
  const served = await serve([BIN, 'serve', '--config', file], { env: envOf(folder) })
  onTestFinished(async () => void (await served.stop()))
  expect(await runIn(folder, file, 'call', 'slow.t')).toMatchObject({ code: 0, stdout: 'done\n' })
})

test('a server that is disabled is called so, with the command that enables it', async () => {
  const folder = folderForTest()
  const file = folder.write('servers.json', {
    mcpServers: { on: program(SERVER), off: { ...program(SERVER), disabled: true } },
    gateway: { state: 'memory' },
  })
  for (const args of [
    ['call', 'off.t'],
    ['tools', 'off'],
  ])
    expect(await runIn(folder, file, ...args)).toMatchObject({
      code: 1,
      stdout: '',
      stderr: expect.stringContaining(
        'The server "off" is disabled. Enable it with: mcp-manifold enable off',
      ),
    })
})
