import { writeFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { decide, decideDevice } from '../../helpers/authorization-server.ts'
import { addressIn, setUpLoginCommands as setUp } from '../../helpers/login-commands.ts'

/** The commands that log in and out, as a person types them. */

test('login by the browser of this machine, the list without tokens, and logout with revocation', async () => {
  const { authorization, run } = await setUp()
  const login = run('login', 'mail')
  const back = await decide(await addressIn(login))
  expect(back).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/callback\?/)
  expect(await (await fetch(back)).text()).toContain('You are logged in to mail')
  const ended = await login.end
  expect([ended.code, ended.said]).toEqual([0, expect.stringContaining('You are logged in to server "mail"')])
  // Records of the log do not stand between the sentences.
  expect(ended.said).not.toContain('"level":"info"')
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

test('login by a code on another device, with a registration that allows it; a refused one says so', async () => {
  const { authorization, run } = await setUp()
  const refused = run('login', 'mail', '--device')
  await decideDevice(await addressIn(refused), codeIn(refused.said()), { decision: 'deny' })
  const denied = await refused.end
  expect([denied.code, denied.said]).toEqual([1, expect.stringContaining('server "mail"')])

  const login = run('login', 'mail', '--device')
  await decideDevice(await addressIn(login), codeIn(login.said()))
  const { code, said } = await login.end
  expect([code, said]).toEqual([0, expect.stringContaining('You are logged in to server "mail"')])
  const [registered, ...others] = (await authorization.happened()).registered
  expect(registered?.['grant_types']).toContain('urn:ietf:params:oauth:grant-type:device_code')
  // One registration serves all logins of this kind.
  expect(others).toEqual([])
})

test('login to a server with a broken entry names the problem, and export without a login is a failure', async () => {
  const { file, run } = await setUp()
  const nothing = await run('credentials', 'export', '--stdout', '--server', 'mial').end
  expect(nothing).toMatchObject({
    code: 1,
    out: '',
    said: expect.stringContaining('nothing to export of server "mial"') as string,
  })
  writeFileSync(file, JSON.stringify({ mcpServers: { mail: { url: 'no address' } } }))
  const broken = await run('login', 'mail').end
  expect(broken).toMatchObject({
    code: 1,
    said: expect.stringMatching(/entry of server "mail" has a problem: mcpServers\.mail\.url/) as string,
  })
})

test('a login that was refused in the browser is begun again by the command; more is logged where --log says so', async () => {
  const { run } = await setUp()
  const login = run('--log', 'info', 'login', 'mail')
  const back = await decide(await addressIn(login), { decision: 'deny' })
  const page = await (await fetch(back)).text()
  expect(page).toContain('Run &quot;mcp-manifold login mail&quot; again.')
  expect(page).not.toContain('MCP client')
  const { code, said } = await login.end
  expect([code, said]).toEqual([1, expect.stringContaining('access_denied')])
  expect(said).toContain('A login was begun.')
})

test('a server whose grant needs no person is not logged in to', async () => {
  const { authorization, run } = await setUp()
  for (const more of [[], ['--device'], ['--token-stdin']]) {
    const { code, said } = await run('login', 'reports', ...more).end
    expect([code, said]).toEqual([0, expect.stringContaining('"oauth.grant": "client_credentials"')])
    expect(said).toContain('Nothing was done.')
  }
  expect((await authorization.happened()).asked).toEqual([])
})

function codeIn(said: string): string {
  return /code there: (\S+)/.exec(said)?.[1] ?? ''
}

test('for programs, each command prints JSON and nothing else', async () => {
  const { file, run } = await setUp()
  const login = run('login', 'mail', '--json')
  const address = await addressIn(login)
  await fetch(await decide(address))
  const { out } = await login.end
  expect(
    out
      .trim()
      .split('\n')
      .map(line => JSON.parse(line) as unknown),
  ).toEqual([
    { event: 'address', url: address },
    { event: 'logged_in', server: 'mail', owner: 'gateway' },
  ])
  const needless = await run('login', 'reports', '--json').end
  expect(JSON.parse(needless.out)).toMatchObject({ event: 'needless', server: 'reports' })

  const exported = `${file}.export`
  expect((await run('credentials', 'export', '--file', exported).end).code).toBe(0)
  expect(JSON.parse((await run('credentials', 'import', exported, '--json').end).out)).toEqual({
    imported: 0,
    kept: 2,
  })
  expect(JSON.parse((await run('credentials', 'rotate', '--json').end).out)).toEqual({
    sealed: 0,
    unopened: 0,
  })
  expect(JSON.parse((await run('logout', 'mail', '--json').end).out)).toEqual({
    server: 'mail',
    owner: 'gateway',
    found: true,
    revoked: true,
  })
  expect(JSON.parse((await run('logout', 'mail', '--json').end).out)).toMatchObject({ found: false })
  expect((await run('credentials', 'import', exported).end).code).toBe(0)
  const revoked = await run('credentials', 'revoke', 'mail', '--json').end
  expect(JSON.parse(revoked.out)).toMatchObject({ server: 'mail', owner: 'gateway' })
})
