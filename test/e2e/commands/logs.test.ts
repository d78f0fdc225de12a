import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import { mkdirSync } from 'node:fs'
import { dirname } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { socketPath } from '../../../src/admin/socket-files.ts'
import { envOf, folderForTest } from '../../helpers/admin-client.ts'
import { runBeside } from '../../helpers/command-runs.ts'
import { BIN } from '../../helpers/served.ts'
import type { Scratch } from '../../helpers/scratch.ts'

/** `logs --follow` beside gateways and readers that are slow, or gone. */

/** The log of a gateway, as far as the command asks for it. */
async function gatewayWithLog(
  folder: Scratch,
  file: string,
  pid: number,
): Promise<{ readonly log: Promise<ServerResponse> }> {
  const path = socketPath(`${folder.path}/mcp-manifold/admin`, file, pid)
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
  let take: (response: ServerResponse) => void
  const log = new Promise<ServerResponse>(resolve => (take = resolve))
  const server = createServer((request, response) => {
    if (request.url?.startsWith('/admin/logs')) take(response)
    else response.end(JSON.stringify({ startedAt: pid, ready: true, servers: [] }))
  }).listen(path)
  await once(server, 'listening')
  onTestFinished(async () => {
    server.closeAllConnections()
    server.close()
    await once(server, 'close')
  })
  return { log }
}

const record = (message: string): string =>
  `${JSON.stringify({ time: new Date(0).toISOString(), level: 'info', message })}\n`

test('does not take more than its reader does', async () => {
  const folder = folderForTest()
  const file = folder.write('servers.json', { mcpServers: {}, gateway: { state: 'memory' } })
  const { log } = await gatewayWithLog(folder, file, 4242)
  const child = spawn(process.execPath, [BIN, 'logs', '--follow', '--config', file], {
    stdio: ['ignore', 'pipe', 'ignore'],
    env: { ...process.env, ...envOf(folder) },
  })
  onTestFinished(async () => {
    const end = once(child, 'close')
    child.stdout.resume()
    child.kill('SIGKILL')
    await end
  })
  const response = await log
  const line = record('x'.repeat(8000))
  let taken = 0
  const isFull = async (): Promise<boolean> => {
    if (response.write(line.repeat(100))) return false
    const drained = once(response, 'drain').then(() => false)
    return await Promise.race([drained, new Promise<boolean>(resolve => setTimeout(resolve, 2000, true))])
  }
  while (taken < 40 && !(await isFull())) taken++
  // In the pipes, and in the buffers of the streams: not the 32 MB that were offered.
  expect(taken).toBeLessThan(20)
})

test('goes on with the others when a gateway is killed, and says which it was', async () => {
  const folder = folderForTest()
  const file = folder.write('servers.json', { mcpServers: {}, gateway: { state: 'memory' } })
  const one = await gatewayWithLog(folder, file, 4242)
  const other = await gatewayWithLog(folder, file, 4243)
  const follower = runBeside(folder, file, 'logs', '--follow')
  const [first, second] = await Promise.all([one.log, other.log])
  first.write(record('of the first'))
  await expect.poll(follower.stdout).toContain('of the first')
  first.destroy()
  await expect.poll(follower.stderr).toMatch(/^The log of the gateway 4242 has ended early: .*\.\n$/)
  second.write(record('of the second'))
  await expect.poll(follower.stdout).toContain('[4243]')
  expect(follower.stdout()).toContain('of the second')
  second.end()
  expect(await follower.end).toMatchObject({
    code: 1,
    stderr: expect.not.stringContaining('    at ') as string,
  })
})
