import { execFile } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createKey, keyDigestOf, idOf } from '../../../src/auth/key-records.ts'
import { makeScratch } from '../../helpers/scratch.ts'
import type { Scratch } from '../../helpers/scratch.ts'
import { serve, BIN } from '../../helpers/served.ts'
import { runProgram } from './program.ts'

/** `keys`, with the built program, and a gateway of another process that shares its state. */

const INITIALIZE = {
  jsonrpc: '2.0',
  id: 1,
  method: 'initialize',
  params: { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 't', version: '1' } },
}

let scratch: Scratch
let cwd: string
let file: string
beforeAll(() => {
  scratch = makeScratch()
  cwd = scratch.path
  file = scratch.write('servers.json', {
    mcpServers: {},
    clients: { ci: { keys: [`sha256:${'ab'.repeat(32)}`] }, team: {} },
    gateway: { state: 'lmdb:./state', http: { port: 0 } },
  })
})
afterAll(async () => {
  await scratch[Symbol.asyncDispose]()
})

const keys = (...args: string[]): ReturnType<typeof runProgram> =>
  runProgram(['keys', ...args, '--config', file], { cwd })

test('a key is made, shown once, used at a running gateway, listed and revoked', async () => {
  await using served = await serve([BIN, 'serve', '--config', file], {
    ready: /listens on (http:\/\/127\.0\.0\.1:\d+)[^]*keys create <client>/,
  })
  const open = async (key: string): Promise<number> => {
    const headers = { 'content-type': 'application/json', authorization: `Bearer ${key}` }
    const body = JSON.stringify(INITIALIZE)
    const response = await fetch(`${served.origin}/mcp`, { method: 'POST', headers, body })
    await response.text()
    return response.status
  }
  const created = await keys('create', 'ci', '--expires', '90d', '--note', 'nightly build')
  expect(created.code).toBe(0)
  expect(created.stdout).toMatch(/^mfd_[\w-]{43}\n$/)
  const key = created.stdout.trim()
  const id = idOf(keyDigestOf(key))
  expect(created.stderr).toContain(id)
  expect(created.stderr).not.toContain(key)
  expect(await open(key)).toBe(200)

  const listed = await keys('list', 'ci')
  expect(listed.stdout).toMatch(new RegExp(`${id} +ci +20\\S+ \\S+ +20\\S+ \\S+ +nightly build`))
  expect(listed.stdout).toMatch(/abababababab +ci +- +- +in the configuration/)
  expect((await keys('list', 'team')).stderr).toContain('There are no keys')

  expect(await keys('revoke', id)).toMatchObject({ code: 0, stdout: '' })
  await expect.poll(() => open(key), { interval: 200 }).toBe(401)
  expect((await keys('list')).stdout).not.toContain(id)
  expect(served.said).not.toContain(key)
})

test('with --json, a key is made, listed and revoked for programs', async () => {
  const created = JSON.parse((await keys('create', 'team', '--note', 'for a program', '--json')).stdout) as {
    key: string
    id: string
  }
  expect(created).toMatchObject({ client: 'team', note: 'for a program', stored: true })
  expect(created.id).toBe(idOf(keyDigestOf(created.key)))
  const listed = await keys('list', '--json')
  expect(listed.stdout).not.toContain(created.key)
  expect(JSON.parse(listed.stdout)).toEqual(
    expect.arrayContaining([
      { id: 'abababababab', client: 'ci', configured: true, refused: false },
      expect.objectContaining({ id: created.id, client: 'team', configured: false, note: 'for a program' }),
    ]),
  )
  const revoked = await keys('revoke', created.id, '--json')
  expect(JSON.parse(revoked.stdout)).toEqual({ id: created.id, client: 'team', revoked: true })
  expect(JSON.parse((await keys('list', 'team', '--json')).stdout)).toEqual([])
})

test('a key of a client that is new in the file counts once the gateway has read the file, and all that is said tells so', async () => {
  await using own = makeScratch()
  const configured = (clients: object): string =>
    own.write('servers.json', {
      mcpServers: {},
      clients,
      gateway: { state: 'lmdb:./state', http: { port: 0 } },
    })
  const config = configured({ ci: {} })
  const start = (): ReturnType<typeof serve> =>
    serve([BIN, 'serve', '--config', config], {
      ready: /listens on (http:\/\/127\.0\.0\.1:\d+)[^]*keys create <client>/,
    })
  const open = async (origin: string, key: string): Promise<[number, string]> => {
    const headers = { 'content-type': 'application/json', authorization: `Bearer ${key}` }
    const body = JSON.stringify(INITIALIZE)
    const response = await fetch(`${origin}/mcp`, { method: 'POST', headers, body })
    return [response.status, await response.text()]
  }
  await using served = await start()
  expect(await open(served.origin, createKey())).toEqual([
    401,
    expect.stringContaining('or its client is in no configuration that the gateway has read'),
  ])
  configured({ ci: {}, added: {} })
  const created = await runProgram(['keys', 'create', 'added', '--config', config], { cwd: own.path })
  expect(created.stderr).toContain(
    'A gateway that runs accepts it at once if it has read "added" in its configuration. A running gateway reads a changed configuration by itself',
  )
  const key = created.stdout.trim()
  await expect.poll(() => open(served.origin, key), { timeout: 20_000 }).toEqual([200, expect.any(String)])
})

test('the command that the start report prints makes a key in any folder, and callers get no path of it', async () => {
  await using own = makeScratch()
  await using elsewhere = makeScratch()
  mkdirSync(join(own.path, `the team's own`))
  const config = own.write(`the team's own/cl.json`, {
    mcpServers: {},
    clients: { ci: {} },
    gateway: { state: 'lmdb:./state', http: { port: 0 } },
  })
  elsewhere.write('servers.json', { mcpServers: {}, clients: {} })
  await using served = await serve([BIN, 'serve', '--config', config], {
    ready: /listens on (http:\/\/127\.0\.0\.1:\d+)[^]*Ctrl/,
  })
  const printed = /with a key made by: (.*)/.exec(served.said)?.[1] ?? ''
  const { stdout } = await promisify(execFile)('/bin/sh', ['-c', printed.replace('<client>', 'ci')], {
    cwd: elsewhere.path,
  })
  const post = (headers: Record<string, string>): Promise<Response> =>
    fetch(`${served.origin}/mcp`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', accept: 'application/json', ...headers },
      body: JSON.stringify(INITIALIZE),
    })
  expect((await post({ authorization: `Bearer ${stdout.trim()}` })).status).toBe(200)
  for (const refused of [
    await post({}),
    await post({ authorization: `Bearer mfd_${'x'.repeat(40)}` }),
    await fetch(`${served.origin}/register`, { method: 'POST' }),
  ]) {
    const said = await refused.text()
    expect(said).toMatch(/Ask the operator .*keys create <client>/)
    expect(said).not.toMatch(/the team|cl\.json|bin|--config/)
  }
})

describe('refused', () => {
  test.each([
    [['create', 'cj'], 'There is no client "cj" in '],
    [['create', 'cj'], 'servers.json. Did you mean "ci"?'],
    [['create', 'zzz'], 'There are: ci, team.'],
    [['create', 'ci', '--expires', 'soon'], '--expires must be a duration'],
    [['create', 'ci', '--expires', '1s'], '--expires must be a duration'],
    [['create', 'ci', '--note', 'two\nlines'], '--note must be one line'],
    [['list', 'cj'], 'Did you mean "ci"?'],
    [['revoke', '012345678901'], 'There is no key 012345678901.'],
    [['revoke', 'abababababab'], 'stands in the configuration'],
  ])('%o', async (args, message) => {
    const { code, stdout, stderr } = await keys(...args)
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
    expect(stderr).toContain(message)
  })

  test('a key that could not be kept', async () => {
    const blocked = scratch.write('blocked', '')
    const config = scratch.write('blocked.json', {
      clients: { ci: {} },
      gateway: { state: `lmdb:${blocked}` },
    })
    const { code, stdout, stderr } = await runProgram(['keys', 'create', 'ci', '--config', config], { cwd })
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
    expect(stderr).toContain('nothing was done')
  })
})

test('with state in memory the digest is printed for the file', async () => {
  const config = scratch.write('memory.json', { clients: { ci: {} }, gateway: { state: 'memory' } })
  const { code, stdout, stderr } = await runProgram(['keys', 'create', 'ci', '--config', config], { cwd })
  expect(code).toBe(0)
  expect(stderr).toContain(`"sha256:${keyDigestOf(stdout.trim())}"`)
})

describe('on stdio', () => {
  const input = `${JSON.stringify(INITIALIZE)}\n`

  test('--client serves as that client', async () => {
    const { code, stdout } = await runProgram(['--client', 'team', '--config', file], { cwd, input })
    expect(code).toBe(0)
    expect(stdout).toContain('"protocolVersion":"2025-11-25"')
  })

  test('an unknown client is an error with the nearest', async () => {
    const { code, stdout, stderr } = await runProgram(['--client', 'teem', '--config', file], { cwd, input })
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
    expect(stderr).toContain('servers.json. Did you mean "team"?')
  })

  test('--client has no effect on a command', async () => {
    const { code, stderr } = await runProgram(['check', file, '--client', 'team'], { cwd })
    expect(code).toBe(1)
    expect(stderr).toContain('--client is for the gateway on stdio')
  })
})

describe('serve without clients', () => {
  const open = { mcpServers: {}, gateway: { state: 'memory', http: { port: 0 } } }

  test('stays on this machine and says so', async () => {
    const config = scratch.write('open.json', open)
    await using served = await serve([BIN, 'serve', '--config', config], { ready: /Ctrl\+C/, origin: '-' })
    await expect.poll(() => served.said).toContain('serves this machine only')
  })

  test('listens on no other address without --allow-anonymous', async () => {
    const config = scratch.write('open.json', open)
    const args = ['serve', '--config', config, '--host', '0.0.0.0']
    const { code, stderr } = await runProgram(args, { cwd })
    expect(code).toBe(1)
    expect(stderr).toMatch(/Add "clients".*--allow-anonymous/)
    await using served = await serve([BIN, ...args, '--allow-anonymous'], { ready: /Ctrl\+C/, origin: '-' })
    await expect.poll(() => served.said).toMatch(/warn.*Every caller that reaches 0\.0\.0\.0/)
  })
})
