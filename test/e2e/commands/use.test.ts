import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { folderForTest, servingWithSocket } from '../../helpers/admin-client.ts'
import { runBeside, runIn } from '../../helpers/command-runs.ts'
import { everything, filesystem } from '../../helpers/real-servers.ts'

/** The commands that use what servers offer, over real servers: with a running gateway, and without one. */

describe('with a running gateway', () => {
  test('calls, prompts, resources and completions go through it, by its rules and into its audit log', async () => {
    const folder = folderForTest()
    mkdirSync(join(folder.path, 'docs'))
    writeFileSync(join(folder.path, 'docs', 'a.txt'), 'first\nsecond\n')
    const audit = join(folder.path, 'audit.log')
    const file = folder.write('servers.json', {
      mcpServers: { every: everything, files: filesystem(join(folder.path, 'docs')) },
      gateway: {
        http: { port: 0 },
        state: `lmdb:${join(folder.path, 'state')}`,
        audit: { file: audit },
        policy: { deny: ['every/get-env'] },
      },
    })
    await servingWithSocket(folder, file)

    const echo = await runIn(folder, file, 'call', 'every.echo', 'message=hi there')
    expect({ code: echo.code, stdout: echo.stdout }).toEqual({ code: 0, stdout: 'Echo: hi there\n' })
    const sum = await runIn(folder, file, 'call', 'every__get-sum', 'a=2', 'b=40')
    expect(sum.stdout).toContain('42')
    const read = await runIn(
      folder,
      file,
      'call',
      'files/read_text_file',
      `{"path":${JSON.stringify(join(folder.path, 'docs', 'a.txt'))},"head":1}`,
    )
    expect({ code: read.code, stdout: read.stdout }).toEqual({ code: 0, stdout: 'first\n' })
    expect(readFileSync(audit, 'utf8')).toContain('"echo"')

    const missing = await runIn(folder, file, 'call', 'files.read_text_file', 'path=/nowhere')
    expect({ code: missing.code, stdout: missing.stdout }).toEqual({ code: 1, stdout: '' })
    expect(missing.stderr).not.toBe('')
    const denied = await runIn(folder, file, 'call', 'every.get-env', '{}')
    expect(denied.code).toBe(1)
    expect(denied.stdout).toBe('')

    const structured = await runIn(
      folder,
      file,
      'call',
      'every.get-structured-content',
      'location=Chicago',
      '--json',
    )
    expect(JSON.parse(structured.stdout)).toMatchObject({ structuredContent: { temperature: 36 } })
    const listed = await runIn(folder, file, 'tools', 'every', '--json')
    const { tools, tokens } = JSON.parse(listed.stdout) as {
      tools: { name: string; tokens: number }[]
      tokens: number
    }
    expect(tools.map(({ name }) => name)).toContain('echo')
    expect(tools.map(({ name }) => name)).not.toContain('get-env')
    expect(tokens).toBe(tools.reduce((sum, tool) => sum + tool.tokens, 0))

    const prompt = await runIn(folder, file, 'prompt', 'every.args-prompt', 'city=Lyon')
    expect(prompt.stdout).toMatch(/^user: .*Lyon/)
    const completed = await runIn(folder, file, 'complete', 'every.completable-prompt', 'department', 'S')
    expect(completed.stdout).toBe('Sales\nSupport\n')
    const resource = await runIn(folder, file, 'read', 'demo://resource/dynamic/text/1')
    expect({ code: resource.code, said: resource.stdout + resource.stderr }).toMatchObject({ code: 0 })
    expect(resource.stdout).toContain('Resource 1')
  })

  test('a question is declined without a terminal, and progress is on the standard error', async () => {
    const folder = folderForTest()
    const file = folder.write('servers.json', {
      mcpServers: { every: everything },
      gateway: { http: { port: 0 }, state: 'memory' },
    })
    await servingWithSocket(folder, file)
    // The server offers it only once it knows the client.
    const isListed = async (): Promise<string> => (await runIn(folder, file, 'tools', 'every')).stdout
    await expect.poll(isListed).toContain('trigger-elicitation-request')
    const asked = await runIn(folder, file, 'call', 'every.trigger-elicitation-request')
    expect(asked.stdout).toMatch(/declin/i)
    const long = await runIn(
      folder,
      file,
      'call',
      'every.trigger-long-running-operation',
      'duration=0.2',
      'steps=2',
    )
    expect(long.stdout).toContain('completed')
    expect(long.stderr).toContain('1/2')
    expect(long.stderr).toContain('2/2')
  })
})

const SLOW = (mark: string): string => `
const readline = require('node:readline').createInterface({ input: process.stdin })
const send = message => process.stdout.write(JSON.stringify({ jsonrpc: '2.0', ...message }) + '\\n')
readline.on('line', line => {
  const { id, method, params } = JSON.parse(line)
  if (method === 'initialize') send({ id, result: { protocolVersion: '2025-11-25', capabilities: { tools: {} }, serverInfo: { name: 's', version: '1' } } })
  else if (method === 'tools/list') send({ id, result: { tools: [{ name: 'wait', inputSchema: { type: 'object' } }] } })
  else if (method === 'tools/call') send({ method: 'notifications/progress', params: { progressToken: params._meta.progressToken, progress: 1, message: 'begun' } })
  else if (method === 'notifications/cancelled') require('node:fs').writeFileSync(${JSON.stringify(mark)}, '')
  else if (id !== undefined) send({ id, error: { code: -32601, message: 'no' } })
})
`

describe('through a running gateway', () => {
  test('a call is that of the client it is made for, and Ctrl+C reaches the server', async () => {
    const folder = folderForTest()
    const mark = join(folder.path, 'cancelled')
    const file = folder.write('servers.json', {
      mcpServers: { slow: { command: process.execPath, args: ['-e', SLOW(mark)] }, every: everything },
      clients: { ci: { allow: ['every/echo'], limits: { 'every/*': { budget: { calls: '1/day' } } } } },
      gateway: { http: { port: 0 }, state: 'memory' },
    })
    await servingWithSocket(folder, file)
    const as = ['--client', 'ci']
    const denied = await runIn(folder, file, 'call', 'every.get-sum', 'a=1', 'b=2', ...as)
    expect(denied.stderr).toContain('There is no tool "every.get-sum"')
    expect((await runIn(folder, file, 'call', 'every.echo', 'message=a', ...as)).stdout).toBe('Echo: a\n')
    const exceeded = await runIn(folder, file, 'call', 'every.echo', 'message=b', ...as)
    expect({ code: exceeded.code, stdout: exceeded.stdout }).toEqual({ code: 1, stdout: '' })
    expect(exceeded.stderr).toMatch(/budget/i)
    const unknown = await runIn(folder, file, 'call', 'every.echo', 'message=b', '--client', 'cj')
    expect(unknown.stderr).toContain('There is no client "cj"')

    const call = runBeside(folder, file, 'call', 'slow.wait')
    await expect.poll(call.stderr).toContain('begun')
    call.child.kill('SIGINT')
    expect(await call.end).toMatchObject({ code: 130, stdout: '' })
    await expect.poll(() => existsSync(mark)).toBe(true)
  })
})

describe('without a running gateway', () => {
  test('only the server that is named is started, and it ends with the command', async () => {
    const folder = folderForTest()
    const mark = join(folder.path, 'started')
    const script = `require('node:fs').writeFileSync(${JSON.stringify(mark)}, ''); process.stdin.resume()`
    const file = folder.write('servers.json', {
      mcpServers: { other: { command: process.execPath, args: ['-e', script] }, every: everything },
      gateway: { state: `lmdb:${join(folder.path, 'state')}` },
    })
    const echo = await runIn(folder, file, 'call', 'every.echo', 'message=hi')
    expect({ code: echo.code, stdout: echo.stdout }).toEqual({ code: 0, stdout: 'Echo: hi\n' })
    // From here on its lists are kept, so that the name that clients see leads to it alone.
    const again = await runIn(folder, file, 'call', 'every__echo', '{"message":"again"}')
    expect(again.stdout).toBe('Echo: again\n')
    expect(existsSync(mark)).toBe(false)
  })

  test('mistakes are answered with the nearest name, and with what is missing', async () => {
    const folder = folderForTest()
    const file = folder.write('servers.json', {
      mcpServers: { every: everything },
      gateway: { state: 'memory' },
    })
    const server = await runIn(folder, file, 'tools', 'evry')
    expect({ code: server.code, stdout: server.stdout }).toEqual({ code: 1, stdout: '' })
    expect(server.stderr).toContain('There is no server "evry"')
    expect(server.stderr).toContain('Did you mean "every"?')
    const tool = await runIn(folder, file, 'call', 'every.ecko', 'message=a')
    expect(tool.stderr).toContain('There is no tool "every.ecko". Did you mean "echo"?')
    const missing = await runIn(folder, file, 'call', 'every.echo')
    expect(missing.stderr).toContain('It needs message (string).')
    expect(missing.code).toBe(1)
  })

  test('Ctrl+C cancels the call, and the exit code is 130', async () => {
    const folder = folderForTest()
    const file = folder.write('servers.json', {
      mcpServers: { every: everything },
      gateway: { state: 'memory' },
    })
    const call = runBeside(
      folder,
      file,
      'call',
      'every.trigger-long-running-operation',
      'duration=3000',
      'steps=3000',
    )
    await expect.poll(call.stderr).toContain('1/3000')
    call.child.kill('SIGINT')
    const { code, stdout, stderr } = await call.end
    expect({ code, stdout }).toEqual({ code: 130, stdout: '' })
    expect(stderr).toContain('Cancelled.')
  })
})

test('without a gateway, a command waits for a server that takes long to start, and says which ones failed', async () => {
  const folder = folderForTest()
  const slow = `setTimeout(() => require('child_process').spawn(process.execPath, process.argv.slice(1), { stdio: 'inherit' }), 2500)`
  const file = folder.write('servers.json', {
    mcpServers: {
      slow: { command: process.execPath, args: ['-e', slow, ...everything.args] },
      gone: { command: 'no-such-command' },
    },
    gateway: { catalog: { firstListTimeout: '1s' }, state: `lmdb:${join(folder.path, 'state')}` },
  })
  const first = await runIn(folder, file, 'tools')
  expect(first.code).toBe(0)
  expect(first.stdout).toContain('slow__echo')
  expect(first.stderr).toContain('"gone"')
  const echo = await runIn(folder, file, 'call', 'slow.echo', 'message=late')
  expect(echo).toMatchObject({ code: 0, stdout: 'Echo: late\n' })
})

test('an error of the gateway ends with the page of its code, and that of a server has none', async () => {
  const folder = folderForTest()
  const script = `
const readline = require('node:readline').createInterface({ input: process.stdin })
const send = message => process.stdout.write(JSON.stringify({ jsonrpc: '2.0', ...message }) + '\\n')
readline.on('line', line => {
  const { id, method, params } = JSON.parse(line)
  if (method === 'initialize') send({ id, result: { protocolVersion: '2025-11-25', capabilities: { tools: {} }, serverInfo: { name: 'a', version: '1' } } })
  else if (method === 'tools/list') send({ id, result: { tools: [{ name: 'own', inputSchema: { type: 'object' } }, { name: 'hang', inputSchema: { type: 'object' } }] } })
  else if (method === 'tools/call' && params.name === 'own') send({ id, error: { code: -32011, message: 'of my own' } })
  else if (id !== undefined && method !== 'tools/call') send({ id, error: { code: -32601, message: 'no' } })
})
`
  const file = folder.write('servers.json', {
    mcpServers: { failing: { command: process.execPath, args: ['-e', script], timeout: '1s' } },
    gateway: { state: 'memory' },
  })
  const own = await runIn(folder, file, 'call', 'failing.own', '{}')
  expect({ code: own.code, stderr: own.stderr }).toEqual({ code: 1, stderr: 'of my own\n' })
  const late = await runIn(folder, file, 'call', 'failing.hang', '{}')
  expect(late.code).toBe(1)
  expect(late.stderr).toContain('(mcp-manifold help upstream_timeout)')
})
