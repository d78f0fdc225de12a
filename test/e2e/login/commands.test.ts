import { spawn } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, onTestFinished, test } from 'vitest'
import { decide, startAuthorizationServer } from '../../helpers/authorization-server.ts'
import { startProtectedServer } from '../../helpers/protected-server.ts'
import { makeScratch } from '../../helpers/scratch.ts'

/** The commands that log in and out, as a person types them. */

const BIN = fileURLToPath(new URL('../../../bin/mcp-manifold.js', import.meta.url))

interface Run {
  readonly said: () => string
  readonly type: (line: string) => void
  readonly close: () => void
  readonly end: Promise<{ readonly code: number | null; readonly out: string; readonly said: string }>
}

async function setUp() {
  const scratch = makeScratch()
  onTestFinished(() => scratch[Symbol.asyncDispose]())
  const folder = scratch.path
  const authorization = await startAuthorizationServer()
  const { issuer, resourceServer: introspection } = authorization
  const server = await startProtectedServer({ issuer, introspection, scopesSupported: ['mcp'] })
  onTestFinished(async () => {
    await server[Symbol.asyncDispose]()
    await authorization[Symbol.asyncDispose]()
  })
  const file = join(folder, 'servers.json')
  const gateway = { state: `lmdb:${join(folder, 'state')}`, vault: { keySource: 'file' } }
  writeFileSync(file, JSON.stringify({ mcpServers: { mail: { url: server.url } }, gateway }))
  const run = (...args: string[]): Run => {
    const child = spawn(process.execPath, [BIN, '-c', file, ...args], {
      env: { PATH: process.env['PATH'], HOME: folder },
    })
    let [out, said] = ['', '']
    child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()))
    child.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()))
    return {
      said: () => said,
      close: () => child.stdin.end(),
      type: line => child.stdin.write(`${line}\n`),
      end: new Promise(resolve => child.on('close', code => resolve({ code, out, said }))),
    }
  }
  return { authorization, run }
}

async function addressIn(login: Run): Promise<string> {
  await expect.poll(login.said, { timeout: 20_000 }).toMatch(/^ {2}http\S+$/m)
  return /^ {2}(http\S+)$/m.exec(login.said())?.[1] ?? ''
}

test('login by the browser of this machine, the list without tokens, and logout with revocation', async () => {
  const { authorization, run } = await setUp()
  const login = run('login', 'mail')
  const back = await decide(await addressIn(login))
  expect(back).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/callback\?/)
  expect(await (await fetch(back)).text()).toContain('You are logged in to mail')
  const ended = await login.end
  expect([ended.code, ended.said]).toEqual([0, expect.stringContaining('You are logged in to server "mail"')])
  // Without a terminal no browser is opened.
  expect(ended.said).toContain('Open this address in a browser')

  const listed = await run('credentials', 'list', '--json').end
  const [kept] = JSON.parse(listed.out) as Record<string, unknown>[]
  expect(kept).toMatchObject({ server: 'mail', owner: 'gateway', issuer: authorization.issuer, usable: true })
  expect(JSON.stringify(kept)).not.toMatch(/token/i)

  const logout = await run('logout', 'mail').end
  expect([logout.code, logout.said]).toEqual([0, expect.stringContaining('has revoked it')])
  expect((await authorization.happened()).revocations).toBe(1)
  expect((await run('credentials', 'list').end).said).toContain('There are no logins.')
  expect((await run('logout', 'mail').end).said).toContain('There is no login to server "mail"')
})

test('login by the pasted address; a foreign one is refused and asked for again', async () => {
  const { run } = await setUp()
  const login = run('login', 'mail', '--no-browser')
  const back = new URL(await decide(await addressIn(login)))
  login.type('https://elsewhere.example/page')
  await expect.poll(login.said).toContain('That is no address of the end of the login')
  login.type('?code=x&state=of-another-login')
  await expect.poll(login.said).toContain('belongs to another login')
  login.type(back.search)
  const { code, said } = await login.end
  expect([code, said]).toEqual([0, expect.stringContaining('You are logged in to server "mail"')])
})

test('a token from stdin is kept; what is no token, no server or no login is refused', async () => {
  const { run } = await setUp()
  const given = run('login', 'mail', '--token-stdin')
  given.type('two words')
  given.close()
  expect(await given.end).toMatchObject({
    code: 1,
    said: expect.stringContaining('Write one access token') as string,
  })
  const kept = run('login', 'mail', '--token-stdin')
  kept.type('a-token-given-by-hand')
  kept.close()
  expect(await kept.end).toMatchObject({
    code: 0,
    said: expect.stringContaining('The token is kept') as string,
  })
  const refused = run('login', 'nothing')
  expect(await refused.end).toMatchObject({
    code: 1,
    said: expect.stringContaining('There is no server') as string,
  })
  const client = await run('login', 'mail', '--client', 'ann').end
  expect(client).toMatchObject({
    code: 1,
    said: expect.stringContaining('All clients share the login') as string,
  })
})
