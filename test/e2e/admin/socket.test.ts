import { spawn } from 'node:child_process'
import { existsSync, mkdirSync, statSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { once } from 'node:events'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { startRawServer } from '../../fixtures/servers/raw.js'
import { askAdmin, envOf, folderForTest, servingWithSocket, socketsIn } from '../../helpers/admin-client.ts'
import { runCommand } from '../../helpers/command-runs.ts'
import { keyDigestOf } from '../../../src/auth/key-records.ts'
import { LegacySession, ModernHttp } from '../../helpers/wire-clients.ts'
import type { Scratch } from '../../helpers/scratch.ts'
import { BIN, serve, type Served } from '../../helpers/served.ts'

/** The admin API on the socket of a running gateway, and the command that reaches it there. */

async function raw(): Promise<Awaited<ReturnType<typeof startRawServer>>> {
  const server = await startRawServer({ era: 'modern' })
  onTestFinished(() => server.close())
  return server
}

async function serving(folder: Scratch, file: string): Promise<Served> {
  const served = await serve([BIN, 'serve', '--config', file], { env: envOf(folder) })
  onTestFinished(async () => void (await served.stop()))
  return served
}

/** How often the log has a text. */
function times({ said }: Served, text: string): number {
  return said.replaceAll('\\"', '"').split(text).length - 1
}

async function socketOf({ path }: Scratch, count = 1): Promise<string[]> {
  await expect.poll(() => socketsIn(path).length).toBe(count)
  return socketsIn(path)
}

/** Nothing but the command takes it over. */
const configOf = (url: string, more: object = {}): object => ({
  mcpServers: { up: { url, ...more } },
  gateway: { http: { port: 0 }, state: 'memory', watch: false },
})

describe('a gateway that serves', () => {
  test('has a socket that only its user can open, tells its status there, and removes the socket at its end', async () => {
    const folder = folderForTest()
    const { url } = await raw()
    const file = folder.write('servers.json', configOf(url))
    const served = await serving(folder, file)
    const [socket = ''] = await socketOf(folder)
    expect(statSync(socket).mode & 0o777).toBe(0o600)
    expect(statSync(join(socket, '..')).mode & 0o777).toBe(0o700)

    const { status, headers, body } = await askAdmin(socket, { path: '/admin/status' })
    expect(status).toBe(200)
    expect(headers['cache-control']).toBe('no-store')
    expect(headers['x-powered-by']).toBeUndefined()
    expect(body).toMatchObject({ pid: served.pid, config: file, servers: [{ name: 'up' }] })

    expect(await served.stop()).toBe(0)
    expect(existsSync(socket)).toBe(false)
  })

  test('takes over a changed file at a reload, says what has changed, and a dry run changes nothing', async () => {
    const folder = folderForTest()
    const { url } = await raw()
    const file = folder.write('servers.json', configOf(url))
    await serving(folder, file)
    await socketOf(folder)
    const command = (...args: string[]): ReturnType<typeof runCommand> =>
      runCommand(['reload', '--config', file, ...args], envOf(folder))

    expect(await command()).toMatchObject({ code: 0, stdout: expect.stringContaining('already') as string })
    writeFileSync(file, JSON.stringify(configOf(url, { timeout: '7s' })))
    const dry = await command('--dry-run')
    expect(dry).toMatchObject({ code: 0, stdout: expect.stringContaining('would take over') as string })
    expect(dry.stdout).toContain('"up"')
    const done = await command('--json')
    expect(done.code).toBe(0)
    expect(JSON.parse(done.stdout)).toMatchObject([{ report: { dryRun: false, applied: true } }])
    const again = await command()
    expect(again.code).toBe(0)
    expect(again.stdout).toMatch(
      /already\.\nThe last change was applied \d+ s ago:\n {2}Server "up" is changed: timeout/,
    )
  })

  test('runs on as it was with a file that is wrong, and the command says place, value and fix, and ends with 1', async () => {
    const folder = folderForTest()
    const { url } = await raw()
    const file = folder.write('servers.json', configOf(url))
    await serving(folder, file)
    await socketOf(folder)
    writeFileSync(file, JSON.stringify({ ...configOf(url), gateway: { http: { port: -1 } } }))
    const { code, stdout } = await runCommand(['reload', '--config', file], envOf(folder))
    expect(code).toBe(1)
    expect(stdout).toMatch(/runs on as it was: .*gateway\.http\.port.* is -1/s)
  })

  test('says of a server with a wrong entry that it runs on as it was, and of a new one that it is left out', async () => {
    const folder = folderForTest()
    const { url } = await raw()
    const file = folder.write('servers.json', configOf(url))
    const served = await serving(folder, file)
    await socketOf(folder)
    writeFileSync(file, JSON.stringify(configOf(url, { timeut: '3s' })))
    const command = (...args: string[]): ReturnType<typeof runCommand> =>
      runCommand(['reload', '--config', file, ...args], envOf(folder))
    const dry = await command('--dry-run')
    const done = await command()
    const runsOn = 'Server "up" runs on as it was, and the next start leaves it out'
    expect(dry).toMatchObject({ code: 1, stdout: expect.stringContaining('would change nothing:') as string })
    expect(done).toMatchObject({ code: 1, stdout: expect.stringContaining('has changed nothing:') as string })
    for (const { stdout } of [dry, done]) {
      expect(stdout).toContain(`  ${runsOn}, because its entry has a problem.`)
      expect(stdout).toMatch(/mcpServers\.up\.timeut/)
      expect(stdout).not.toContain('already')
    }
    await command()
    await expect.poll(() => times(served, `${runsOn}, until its configuration is mended`)).toBe(1)
    expect(served.said).not.toContain('is left out')

    writeFileSync(
      file,
      JSON.stringify({ ...configOf(url), mcpServers: { up: { url }, added: { timeut: '3s' } } }),
    )
    const added = (await command()).stdout
    expect(added).toMatch(
      /has changed nothing:\n {2}Server "added" is left out, because its entry has a problem\.\n/,
    )
    // The command prints what is wrong each time. The log has it once.
    expect((await command()).stdout).toContain('Server "added" is left out')
    await expect.poll(() => times(served, 'Server "added" is left out')).toBe(1)
    expect(times(served, runsOn)).toBe(1)
    writeFileSync(file, JSON.stringify(configOf(url)))
    expect((await command()).stdout).toContain('runs with this configuration already')
    for (const text of ['"added" is added', '"added" is removed']) expect(times(served, text)).toBe(0)
  })

  test('drains a server, uses it again, and gives it new links', async () => {
    const folder = folderForTest()
    const { url } = await raw()
    await serving(folder, folder.write('servers.json', configOf(url)))
    const [socket = ''] = await socketOf(folder)
    const post = (path: string, body: object): ReturnType<typeof askAdmin> =>
      askAdmin(socket, { method: 'POST', path, body })
    const stateOf = async (): Promise<string> =>
      ((await askAdmin(socket, { path: '/admin/status' })).body as { servers: { state: string }[] })
        .servers[0]?.state ?? ''

    expect(await post('/admin/drain', { server: 'up' })).toMatchObject({
      status: 200,
      body: { server: 'up', drained: true, inFlight: 0 },
    })
    expect(await stateOf()).toBe('drained')
    expect(await post('/admin/undrain', { server: 'up' })).toMatchObject({ status: 200 })
    expect(await stateOf()).not.toBe('drained')
    expect(await post('/admin/restart', { server: 'up' })).toMatchObject({ status: 200 })
    expect(await post('/admin/restart', { server: 'uq' })).toMatchObject({
      status: 422,
      body: { detail: 'There is no server "uq" in the running configuration. Did you mean "up"?' },
    })
  })
})

test('a server is restarted: the call in flight ends on its old link, and the next one is on a new link', async () => {
  const folder = folderForTest()
  const server = await startRawServer({ era: 'legacy' })
  onTestFinished(() => server.close())
  const file = folder.write('servers.json', configOf(server.url, { prefix: false, isolation: 'shared' }))
  const { served, socket } = await servingWithSocket(folder, file)
  await using client = new ModernHttp(served.origin)
  const call = (id: string, name: string): Promise<string> =>
    client.request(id, 'tools/call', JSON.stringify({ name, arguments: { a: 1 } }))
  const greetings = (): number => server.received.filter(text => text.includes('"initialize"')).length
  expect(await call('1', 'echo_raw')).toContain('"result"')
  const before = greetings()
  const slow = call('2', 'slow')
  await expect.poll(() => server.received.some(text => text.includes('"name":"slow"'))).toBe(true)

  const restarted = await askAdmin(socket, { method: 'POST', path: '/admin/restart', body: { server: 'up' } })
  expect(restarted).toMatchObject({ status: 200, body: { server: 'up', drainedLinks: 1 } })
  expect(await call('3', 'echo_raw')).toContain('"result"')
  expect(greetings()).toBe(before + 1)
  server.release()
  expect(await slow).toContain('"result"')
})

test('a gateway on stdio has a socket as well, and the command reaches each gateway of the file', async () => {
  const folder = folderForTest()
  const { url } = await raw()
  const file = folder.write('servers.json', configOf(url))
  const children = [1, 2].map(() =>
    spawn(process.execPath, [BIN, '--config', file], {
      stdio: ['pipe', 'ignore', 'ignore'],
      env: { ...process.env, ...envOf(folder) },
    }),
  )
  await socketOf(folder, 2)
  const { code, stdout } = await runCommand(['reload', '--config', file], envOf(folder))
  expect(code).toBe(0)
  for (const { pid } of children) expect(stdout).toContain(`Gateway ${pid}`)
  for (const child of children) child.stdin?.end()
  await Promise.all(children.map(child => once(child, 'exit')))
  expect(socketsIn(folder.path)).toEqual([])
})

test('a gateway on stdio that ends with its client answers the reload first, with the client that loses its connection', async () => {
  const folder = folderForTest()
  const { url } = await raw()
  const withClients = (clients: object): object => ({ ...configOf(url), clients })
  const file = folder.write('servers.json', withClients({ ci: { allow: ['*/*'] } }))
  const child = spawn(process.execPath, [BIN, '--config', file, '--client', 'ci'], {
    stdio: ['pipe', 'ignore', 'ignore'],
    env: { ...process.env, ...envOf(folder) },
  })
  const exited = once(child, 'exit')
  onTestFinished(() => void child.kill())
  await socketOf(folder)
  writeFileSync(file, JSON.stringify(withClients({ ada: {} })))
  const { code, stdout } = await runCommand(['reload', '--config', file], envOf(folder))
  expect(stdout).toContain('Client "ci" is removed.')
  expect(stdout).toContain('Client "ci" has lost 1 connection. It is told: ')
  expect(code).toBe(0)
  expect((await exited)[0]).toBe(0)
})

test('a reload with nothing left to change names the clients that the last change has cut off', async () => {
  const folder = folderForTest()
  const { url } = await raw()
  const key = 'mfd_' + 'a'.repeat(43)
  const withClients = (clients: object): object => ({ ...configOf(url), clients })
  const file = folder.write('servers.json', withClients({ ci: { keys: [`sha256:${keyDigestOf(key)}`] } }))
  const { served, socket } = await servingWithSocket(folder, file)
  await LegacySession.open(served.origin, { headers: { authorization: `Bearer ${key}` } })
  writeFileSync(file, JSON.stringify(withClients({ ada: {} })))
  const reload = () => askAdmin(socket, { method: 'POST', path: '/admin/reload' })
  const endings = [{ client: 'ci', connections: 1 }]
  expect((await reload()).body).toMatchObject({ endings })
  expect((await reload()).body).toMatchObject({ endings: [], lastApplied: { endings } })
  const { stdout } = await runCommand(['reload', '--config', file], envOf(folder))
  expect(stdout).toMatch(/applied \d+ s ago:\n(.*\n)* {2}Client "ci" has lost 1 connection. It is told: /)
})

test('without a running gateway the command says so, names what to type, and ends with 1; sockets of dead processes are removed', async () => {
  const folder = folderForTest()
  const file = folder.write('servers.json', configOf('http://127.0.0.1:9/mcp'))
  const first = await serving(folder, file)
  const [socket = ''] = await socketOf(folder)
  process.kill(first.pid, 'SIGKILL')
  await first.exited
  expect(existsSync(socket)).toBe(true)

  const { code, stderr } = await runCommand(['reload', '--config', file], envOf(folder))
  expect(code).toBe(1)
  expect(stderr).toContain(`No gateway of this user runs with ${file}. Start one with:`)
  expect(existsSync(socket)).toBe(false)
})

test('a folder of sockets that others may write to is not used, and the gateway runs without a socket', async () => {
  const folder = folderForTest()
  mkdirSync(join(folder.path, 'mcp-manifold', 'admin'), { recursive: true, mode: 0o777 })
  const served = await serving(folder, folder.write('servers.json', configOf('http://127.0.0.1:9/mcp')))
  await expect.poll(() => served.said).toContain('socket of the admin API cannot be opened')
  expect(socketsIn(folder.path)).toEqual([])
})

test('a socket that another program has put there does not keep the command from its work', async () => {
  const folder = folderForTest()
  const file = folder.write('servers.json', configOf('http://127.0.0.1:9/mcp'))
  await serving(folder, file)
  const [socket = ''] = await socketOf(folder)
  const foreign = createServer(connection => connection.destroy())
  foreign.listen(socket.replace(/-\d+\.sock$/, '-1.sock'))
  await once(foreign, 'listening')
  onTestFinished(() => void foreign.close())
  const { code, stdout } = await runCommand(['reload', '--config', file], envOf(folder))
  expect(code).toBe(1)
  expect(stdout).toContain('Gateway 1 gave no answer: It may have reloaded. Cause: ')
  expect(stdout).toContain('runs with this configuration already')
})
