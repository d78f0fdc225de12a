import { spawn } from 'node:child_process'
import { mkdirSync, renameSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { startRawServer } from '../fixtures/servers/raw.js'
import type { RawServer, RawServerOptions } from '../fixtures/servers/raw.js'
import { envOf } from '../helpers/admin-client.ts'
import { runCommand } from '../helpers/command-runs.ts'
import { OFFICIAL_CLIENTS } from '../helpers/official-clients.ts'
import { makeScratch, type Scratch } from '../helpers/scratch.ts'
import { BIN, serveGateway, type Served } from '../helpers/served.ts'
import { ModernHttp } from '../helpers/wire-clients.ts'

/** Replicas that are taken out of use while a gateway runs in a process of its own: by its file, and by a command. */

async function raw(options: RawServerOptions): Promise<RawServer> {
  const server = await startRawServer(options)
  onTestFinished(() => server.close())
  return server
}

function scratch(): Scratch {
  const made = makeScratch()
  onTestFinished(() => made[Symbol.asyncDispose]())
  return made
}

async function serving(file: string): Promise<Served> {
  const served = await serveGateway(file)
  onTestFinished(async () => void (await served.stop()))
  return served
}

const callsAt = ({ received }: RawServer): number =>
  received.filter(text => text.includes('"method":"tools/call"')).length
const holdsSlow = ({ received }: RawServer): boolean =>
  received.some(text => text.includes('"method":"tools/call"') && text.includes('"name":"slow"'))

const CALL = '{"name":"echo_raw","arguments":{"a":1}}'

interface Ended {
  readonly code: number | null
  readonly said: string
}

/** A command of the built program. `said` is what it wrote so far. */
function command(...args: readonly string[]): {
  readonly ended: Promise<Ended>
  readonly said: () => string
} {
  const child = spawn(process.execPath, [BIN, ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
  let said = ''
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk: Buffer) => (said += chunk.toString()))
  return {
    ended: new Promise(resolve => child.once('close', code => resolve({ code, said }))),
    said: () => said,
  }
}

function configOf(servers: readonly RawServer[], weights: readonly number[], more: object = {}) {
  const replicas = servers.map(({ url }, at) => ({ name: `r${at}`, url, weight: weights[at] }))
  return {
    mcpServers: { up: { replicas, prefix: false, isolation: 'shared', ...more } },
    gateway: { http: { port: 0 }, state: 'lmdb:./state' },
  }
}

describe.each(['legacy', 'modern'] as const)('replicas of the %s era', era => {
  test('a changed file shifts traffic from one to the other, and no client notices', async () => {
    const folder = scratch()
    const [a, b] = [await raw({ era }), await raw({ era })]
    const configFile = folder.write('servers.json', configOf([a, b], [1, 0]))
    const served = await serving(configFile)
    const entrance = { configFile, origin: served.origin }
    const clients = OFFICIAL_CLIENTS.filter(({ front, full }) => front === 'http' && full)
    const connected = await Promise.all(clients.map(client => client.connect(entrance)))
    onTestFinished(async () => {
      for (const client of connected) await client[Symbol.asyncDispose]()
    })
    expect(new Set(connected.map(({ protocolVersion }) => protocolVersion)).size).toBeGreaterThan(1)
    const callAll = async (): Promise<void> => {
      for (const client of connected)
        expect(await client.callTool('echo_raw', { a: 1 })).not.toMatchObject({ isError: true })
    }
    await callAll()
    expect([callsAt(a), callsAt(b)]).toEqual([connected.length, 0])

    const slow = connected[0]?.callTool('slow', {})
    await expect.poll(() => holdsSlow(a)).toBe(true)
    // As editors do it: written beside, and put in its place.
    writeFileSync(`${configFile}.new`, JSON.stringify(configOf([a, b], [0, 1], { timeout: '1m' })))
    renameSync(`${configFile}.new`, configFile)
    await expect.poll(() => served.said).toContain('timeout: 5m → 1m')
    const before = callsAt(a)
    for (let at = 0; at < 5; at++) await callAll()
    expect(callsAt(a)).toBe(before)
    expect(callsAt(b)).toBe(5 * connected.length)
    a.release()
    expect(await slow).not.toMatchObject({ isError: true })

    // One that is no longer in the file is gone, and another one takes its place.
    const c = await raw({ era })
    writeFileSync(configFile, JSON.stringify(configOf([a, b, c], [0, 0, 1])))
    await expect
      .poll(async () => {
        await callAll()
        return callsAt(c)
      })
      .toBeGreaterThan(0)
    writeFileSync(configFile, '{ "mcpServers": ')
    await expect.poll(() => served.said).toContain('is not used')
    await callAll()
  })

  test('a drain waits for what is in flight, lasts over a restart, and is undone', async () => {
    const folder = scratch()
    const [a, b] = [await raw({ era }), await raw({ era })]
    const file = folder.write('servers.json', configOf([a, b], [1000, 1]))
    const first = await serving(file)
    await using client = new ModernHttp(first.origin)
    const slow = client.request('"s"', 'tools/call', '{"name":"slow","arguments":{}}')
    await expect.poll(() => holdsSlow(a) || holdsSlow(b)).toBe(true)
    const [home, other, name] = holdsSlow(a) ? [a, b, 'r0'] : [b, a, 'r1']

    const drain = command('drain', 'up', name, '--config', file)
    await expect.poll(drain.said).toContain('1 call is in flight in 1 running gateway; waiting.')
    const before = callsAt(home)
    for (let at = 0; at < 30; at++)
      expect(await client.request(String(at), 'tools/call', CALL)).toContain('"a":1')
    expect(callsAt(home)).toBe(before)
    expect(callsAt(other)).toBe(30)
    home.release()
    expect(await slow).toContain('"result"')
    expect(await drain.ended).toMatchObject({
      code: 0,
      said: expect.stringContaining('Nothing is in flight'),
    })
    await expect.poll(() => home.sockets).toBe(0)

    await first.stop()
    const second = await serving(file)
    await using again = new ModernHttp(second.origin)
    for (let at = 0; at < 30; at++)
      expect(await again.request(String(at), 'tools/call', CALL)).toContain('"a":1')
    expect(callsAt(home)).toBe(before)

    expect(await command('drain', 'up', name, '--undo', '--config', file).ended).toMatchObject({ code: 0 })
    await expect
      .poll(async () => {
        expect(await again.request('1', 'tools/call', CALL)).toContain('"a":1')
        return callsAt(home)
      })
      .toBeGreaterThan(before)
  })
})

test('a server that is drained as a whole says so', async () => {
  const folder = scratch()
  const server = await raw({ era: 'modern' })
  const file = folder.write('servers.json', configOf([server], [1]))
  const { origin } = await serving(file)
  await using client = new ModernHttp(origin)
  expect(await client.request('1', 'tools/call', CALL)).toContain('"a":1')
  expect(await command('drain', 'up', '--config', file).ended).toMatchObject({ code: 0 })
  const answer = await client.request('2', 'tools/call', CALL)
  expect(answer).toContain('"isError":true')
  expect(answer).toContain('is drained')
  const ready = (await (await fetch(`${origin}/readyz`)).json()) as { servers: unknown[] }
  expect(ready.servers).toMatchObject([
    { name: 'up', state: 'drained', replicas: [{ name: 'r0', drained: true, state: 'stopped' }] },
  ])
  expect(await command('drain', 'up', '--undo', '--config', file).ended).toMatchObject({ code: 0 })
  await expect.poll(() => client.request('3', 'tools/call', CALL)).toContain('"a":1')
})

test('with --json, a drain says for programs what has become of it', async () => {
  const folder = scratch()
  const entry = { mcpServers: { up: { replicas: [{ url: 'http://127.0.0.1:1/mcp', name: 'r0' }] } } }
  const file = folder.write('servers.json', { ...entry, gateway: { state: 'lmdb:./state' } })
  const outcome = async (...args: string[]): Promise<unknown> => {
    const { code, stdout } = await runCommand(
      ['drain', 'up', ...args, '--json', '--config', file],
      envOf(folder),
    )
    expect(code).toBe(0)
    return JSON.parse(stdout)
  }
  expect(await outcome('r0')).toEqual({ server: 'up', replica: 'r0', drained: true, gateways: 0, calls: 0 })
  expect(await outcome('--no-wait')).toEqual({ server: 'up', drained: true })
  expect(await outcome('--undo')).toEqual({ server: 'up', drained: false })
})

test('a drain that reaches no gateway, or names nothing, reports it', async () => {
  const folder = scratch()
  const entry = { mcpServers: { up: { replicas: [{ url: 'http://127.0.0.1:1/mcp', name: 'r0' }] } } }
  const file = folder.write('servers.json', { ...entry, gateway: { state: 'lmdb:./state' } })
  const memory = folder.write('memory.json', { ...entry, gateway: { state: 'memory' } })
  const [server, near, replica, nobody, alone, nothing] = await Promise.all(
    [
      ['down', '--config', file],
      ['ups', '--config', file],
      ['up', 'r1', '--config', file],
      ['up', 'r0', '--config', file],
      ['up', '--config', memory],
      ['up', 'r0/10.0.0.1', '--undo', '--config', file],
    ].map(args => command('drain', ...args).ended),
  )
  expect(server).toMatchObject({ code: 1, said: expect.stringContaining('There are: up.') })
  expect(near).toMatchObject({
    code: 1,
    said: expect.stringMatching(/There is no server "ups" in .*servers\.json\. Did you mean "up"\?/),
  })
  expect(replica).toMatchObject({ code: 1, said: expect.stringContaining('Did you mean "r0"?') })
  expect(nobody).toMatchObject({ code: 0, said: expect.stringContaining('No running gateway') })
  expect(alone).toMatchObject({ code: 1, said: expect.stringContaining('The state is "memory"') })
  expect(nothing).toMatchObject({ code: 0, said: expect.stringContaining('Nothing of replica') })
})

test('a file that is a link into a folder that is replaced is followed', async () => {
  const folder = scratch()
  const [a, b] = [await raw({ era: 'modern' }), await raw({ era: 'modern' })]
  // As a mounted ConfigMap is laid out: servers.json → ..data/servers.json, ..data → a folder of its own for each version.
  const version = (name: string, weights: readonly number[]): void => {
    mkdirSync(join(folder.path, name))
    folder.write(`${name}/servers.json`, configOf([a, b], weights))
    symlinkSync(name, join(folder.path, '..data-next'))
    renameSync(join(folder.path, '..data-next'), join(folder.path, '..data'))
  }
  version('one', [1, 0])
  const file = join(folder.path, 'servers.json')
  symlinkSync('..data/servers.json', file)
  const { origin } = await serving(file)
  await using client = new ModernHttp(origin)
  expect(await client.request('1', 'tools/call', CALL)).toContain('"a":1')
  version('two', [0, 1])
  await expect
    .poll(async () => {
      expect(await client.request('1', 'tools/call', CALL)).toContain('"a":1')
      return callsAt(b)
    })
    .toBeGreaterThan(0)
})
