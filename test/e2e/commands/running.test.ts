import { once } from 'node:events'
import { existsSync, mkdirSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { socketPath } from '../../../src/admin/socket-files.ts'
import { askAdmin, folderForTest, servingWithSocket } from '../../helpers/admin-client.ts'
import { runBeside, runIn } from '../../helpers/command-runs.ts'
import { everything } from '../../helpers/real-servers.ts'

/** The commands that look at running gateways. */

const TALKING = `
process.stderr.write('I am up, token=abcdef123456\\n')
const readline = require('node:readline').createInterface({ input: process.stdin })
readline.on('line', line => {
  const { id, method } = JSON.parse(line)
  const result = method === 'initialize'
    ? { protocolVersion: '2025-06-18', capabilities: { tools: {} }, serverInfo: { name: 't', version: '1' } }
    : method === 'tools/list' ? { tools: [{ name: 'pid', inputSchema: { type: 'object' } }] }
    : method === 'tools/call' ? { content: [{ type: 'text', text: String(process.pid) }] } : undefined
  if (id === undefined) return
  const error = { code: -32601, message: 'no' }
  process.stdout.write(JSON.stringify(result ? { jsonrpc: '2.0', id, result } : { jsonrpc: '2.0', id, error }) + '\\n')
})
`
const talking = { command: process.execPath, args: ['-e', TALKING] }

interface Listed {
  readonly name: string
  readonly state: string
  readonly tools?: number
}

describe('status, list, logs and restart', () => {
  test('without a gateway: what the file and the kept lists say, and that none runs', async () => {
    const folder = folderForTest()
    const file = folder.write('servers.json', {
      mcpServers: { talking, never: everything, off: { command: 'x', disabled: true } },
      gateway: { state: `lmdb:${join(folder.path, 'state')}` },
    })
    await runIn(folder, file, 'call', 'talking.pid')
    const status = await runIn(folder, file, 'status')
    expect(status.code).toBe(3)
    expect(status.stdout).toContain(`No gateway of this user runs with ${file}.`)
    expect(status.stdout).toMatch(/talking +not running +stdio +1 +listed \d+ s ago/)
    expect(status.stdout).toMatch(/never +not running +stdio +\? +never listed/)
    expect(status.stdout).toContain('serve --config')
    const list = await runIn(folder, file, 'list', '--json')
    expect(list.code).toBe(0)
    expect(
      (JSON.parse(list.stdout) as Listed[]).map(({ name, state, tools }) => [name, state, tools]),
    ).toEqual([
      ['talking', 'not running', 1],
      ['never', 'not running', undefined],
      ['off', 'disabled', undefined],
    ])
    for (const command of [['logs'], ['restart', 'talking']]) {
      const refused = await runIn(folder, file, ...command)
      expect({ code: refused.code, stdout: refused.stdout }, command[0]).toEqual({ code: 1, stdout: '' })
      expect(refused.stderr).toContain('No gateway of this user runs with')
    }
  })

  test('with a gateway: states and next steps, the stderr of servers without secrets, and new processes', async () => {
    const folder = folderForTest()
    const broken = { command: process.execPath, args: ['-e', 'process.exit(3)'] }
    const file = folder.write('servers.json', {
      mcpServers: { talking: { ...talking, required: true }, broken },
      gateway: { http: { port: 0 }, state: 'memory', shutdownTimeout: '1s' },
    })
    const { served, socket } = await servingWithSocket(folder, file)
    const states = async (): Promise<string[]> => {
      const { body } = await askAdmin(socket, { path: '/admin/status' })
      return (body.servers as Listed[]).map(({ state }) => state)
    }
    await expect.poll(states).toEqual(['ready', 'failed'])
    const status = await runIn(folder, file, 'status')
    expect(status.code).toBe(0)
    expect(status.stdout).toMatch(new RegExp(`^Gateway ${served.pid}, version .*: ready`))
    expect(status.stdout).toMatch(/talking +ready +\d+ s +1/)
    expect(status.stdout).toMatch(/broken +failed/)
    expect(status.stdout).toContain('Next:\n  mcp-manifold logs broken, then mcp-manifold restart broken')
    const list = await runIn(folder, file, 'list')
    expect(list.stdout).toMatch(/talking +ready +stdio +1/)

    const follower = runBeside(folder, file, 'logs', 'talking', '--follow')
    await expect.poll(follower.stdout).toContain('I am up, token=***')
    expect(follower.stdout()).toContain('source=stderr')
    expect(follower.stdout()).not.toContain('abcdef123456')
    expect(follower.stdout()).not.toContain('broken')

    const starts = (): number => follower.stdout().split('I am up').length
    const before = starts()
    const restarted = await runIn(folder, file, 'restart', 'talking', '--json')
    const [answer] = JSON.parse(restarted.stdout) as [{ pid: number; drainedLinks: number }]
    expect(answer.pid).toBe(served.pid)
    expect(answer.drainedLinks).toBeGreaterThan(0)
    const called = await runIn(folder, file, 'call', 'talking.pid')
    expect(called.stdout).toMatch(/^\d+\n$/)
    await expect.poll(starts).toBeGreaterThan(before)

    const begun = performance.now()
    expect(await served.stop()).toBe(0)
    expect((await follower.end).code).toBe(0)
    // The reader of the log is not waited for.
    expect(performance.now() - begun).toBeLessThan(15_000)
  })

  test('a gateway that does not answer is named, and none is started beside it', async () => {
    const folder = folderForTest()
    const mark = join(folder.path, 'started')
    const script = `require('node:fs').writeFileSync(${JSON.stringify(mark)}, ''); process.stdin.resume()`
    const file = folder.write('servers.json', {
      mcpServers: { up: { command: process.execPath, args: ['-e', script] } },
      gateway: { state: 'memory' },
    })
    const sockets = join(folder.path, 'mcp-manifold', 'admin')
    mkdirSync(sockets, { recursive: true, mode: 0o700 })
    const silent = createServer(() => {}).listen(socketPath(sockets, file, process.pid))
    onTestFinished(() => void silent.close())
    await once(silent, 'listening')
    const status = await runIn(folder, file, 'status')
    expect({ code: status.code, stdout: status.stdout }).toEqual({
      code: 1,
      stdout: `Gateway ${process.pid} does not answer.\n`,
    })
    const call = await runIn(folder, file, 'call', 'up.x')
    expect({ code: call.code, stdout: call.stdout }).toEqual({ code: 1, stdout: '' })
    expect(call.stderr).toContain(`The gateway ${process.pid} runs with ${file}, and does not answer.`)
    expect(existsSync(mark)).toBe(false)
  })

  test('validate is check, and says in JSON what is wrong', async () => {
    const folder = folderForTest()
    const good = folder.write('good.json', { mcpServers: { talking }, gateway: { state: 'memory' } })
    const valid = await runIn(folder, good, 'validate', '--json')
    expect(valid.code).toBe(0)
    expect(JSON.parse(valid.stdout)).toMatchObject({
      valid: true,
      problems: [],
      servers: [{ name: 'talking', transport: 'stdio', usable: true }],
    })
    const bad = folder.write('bad.json', { mcpServers: { talking: { comand: 'x' } } })
    const invalid = await runIn(folder, bad, 'validate', '--json')
    expect(invalid.code).toBe(1)
    const { valid: isValid, problems } = JSON.parse(invalid.stdout) as { valid: boolean; problems: string[] }
    expect(isValid).toBe(false)
    expect(problems.join('\n')).toContain('Did you mean "command"?')
  })
})

test('serve --json says what becomes of the start, a JSON object a line', async () => {
  const folder = folderForTest()
  const file = folder.write('servers.json', {
    mcpServers: { talking, bad: { command: process.execPath, args: ['-e', 'process.exit(3)'] } },
    gateway: { http: { port: 0 }, state: 'memory', log: 'error' },
    clients: { ci: {} },
  })
  const serving = runBeside(folder, file, 'serve', '--json')
  await expect.poll(serving.stdout, { timeout: 20_000 }).toContain('"started"')
  const [listening, started] = serving
    .stdout()
    .trim()
    .split('\n')
    .map(line => JSON.parse(line) as { url: string })
  expect(listening).toMatchObject({ event: 'listening' })
  expect(started).toMatchObject({
    event: 'started',
    servers: [
      { name: 'talking', state: 'ready', tools: 1 },
      { name: 'bad', error: expect.stringContaining('bad') as string },
    ],
    entries: {
      http: { type: 'http', url: listening?.url, headers: { Authorization: 'Bearer <key>' } },
      stdio: { args: expect.arrayContaining(['--config', file]) as string[] },
    },
  })
  serving.child.kill('SIGTERM')
  expect((await serving.end).code).toBe(0)
})
