import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, onTestFinished, test, vi } from 'vitest'
import { EventBus } from '../../../../src/core/event-bus.ts'
import { GatewayError } from '../../../../src/core/errors.ts'
import type { GatewayEvent } from '../../../../src/core/events.ts'
import { SILENT } from '../../../../src/core/logger.ts'
import { Logins, type LoginsOptions } from '../../../../src/credentials/login/logins.ts'
import type { Authorizer } from '../../../../src/credentials/oauth/authorization.ts'
import { deferred } from '../../../helpers/deferred.ts'
import { assertNothingLeft, takeStock } from '../../../helpers/leftovers.ts'
import { GrantingAuthorizer, OpenVault, remoteServer } from '../../../helpers/login-doubles.ts'

/** Logins at a listener of this machine: one for each server and owner, which many join and one callback ends. */

function setUp(options: Partial<LoginsOptions> = {}) {
  const before = takeStock()
  const vault = new OpenVault()
  const authorizer = new GrantingAuthorizer(vault)
  const events = new EventBus(SILENT)
  const told: GatewayEvent[] = []
  events.on('*', event => void told.push(event))
  const loggedIn: string[] = []
  const logins = new Logins({
    authorizer,
    vault,
    events,
    logger: SILENT,
    hosted: () => undefined,
    onLoggedIn: (server, owner) => loggedIn.push(`${server} ${owner}`),
    ...options,
  })
  onTestFinished(async () => {
    logins.close()
    expect(vault.followed).toBe(0)
    await assertNothingLeft(before)
  })
  return { vault, authorizer, logins, told, loggedIn }
}

/** Comes back as the browser does. */
async function comeBack(redirectUri: string, query: Record<string, string>) {
  const response = await fetch(`${redirectUri}?${new URLSearchParams(query).toString()}`)
  return { status: response.status, text: await response.text(), headers: response.headers }
}

test('twenty calls join one login, and all go on with its callback', async () => {
  const { authorizer, logins, loggedIn, told } = setUp()
  const server = await remoteServer()
  const pending = await Promise.all(Array.from({ length: 20 }, () => logins.begin(server, 'gateway')))
  expect(authorizer.begun).toHaveLength(1)
  const [{ state, redirectUri }] = authorizer.begun as [(typeof authorizer.begun)[number]]
  expect(new Set(pending.map(({ url }) => url))).toEqual(
    new Set([`https://as.example/authorize?state=${state}`]),
  )
  expect(redirectUri).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/callback$/)
  const page = await comeBack(redirectUri, { code: 'good', state })
  expect([page.status, page.text]).toEqual([200, expect.stringContaining('You are logged in to mail')])
  await Promise.all(pending.map(({ done }) => done))
  expect(loggedIn).toEqual(['mail gateway'])
  expect(told.map(({ type }) => type)).toEqual(['credential.login_began', 'credential.login_ended'])
  expect(told[1]).toMatchObject({ outcome: 'done', server: 'mail', owner: 'gateway' })
  expect(JSON.stringify(told)).not.toContain(state)
  expect(logins.size).toBe(0)
  await vi.waitFor(async () => expect(await comeBack(redirectUri, {}).catch(() => 'closed')).toBe('closed'))
})

test('owners have logins of their own, which share the port of their server', async () => {
  const { authorizer, logins } = setUp()
  const server = await remoteServer()
  const [ann, bob] = await Promise.all(['client:ann', 'client:bob'].map(owner => logins.begin(server, owner)))
  expect(authorizer.begun).toHaveLength(2)
  const port = await logins.records.portOf('mail')
  const [first, second] = authorizer.begun as [
    (typeof authorizer.begun)[number],
    (typeof authorizer.begun)[number],
  ]
  const bobs = second.owner === 'client:bob' ? second : first
  await comeBack(bobs.redirectUri, { code: 'good', state: bobs.state })
  await bob?.done
  expect(logins.size).toBe(1)
  const again = await logins.begin(server, 'client:cy')
  expect(authorizer.begun[2]?.redirectUri).toBe(`http://127.0.0.1:${port}/callback`)
  logins.abandon('mail')
  await expect(ann?.done).rejects.toMatchObject({ code: 'needs_login' })
  await expect(again.done).rejects.toMatchObject({ code: 'needs_login' })
})

test('a wrong, repeated or foreign state changes nothing; a failed login says so and ends', async () => {
  const { authorizer, logins } = setUp()
  const server = await remoteServer()
  const { done } = await logins.begin(server, 'gateway')
  const other = await logins.begin(server, 'client:ann')
  const [{ state, redirectUri }] = authorizer.begun as [(typeof authorizer.begun)[number]]
  for (const query of [{ code: 'good' }, { code: 'good', state: 'x' }, { code: 'good', state: '' }]) {
    const { status, text } = await comeBack(redirectUri, query)
    expect([400, 404]).toContain(status)
    expect(text).toContain('This login is not valid')
  }
  expect(authorizer.finished).toEqual([])
  const failed = await comeBack(redirectUri, {
    error: 'access_denied',
    error_description: '<script>alert(1)</script>',
    state,
  })
  expect(failed.status).toBe(400)
  expect(failed.text).toContain('has failed')
  expect(failed.text).not.toMatch(/<script|secret-of-the-as|alert/)
  await expect(done).rejects.toMatchObject({ code: 'needs_login' })
  const repeated = await comeBack(redirectUri, { code: 'good', state })
  expect([repeated.status, repeated.text]).toEqual([409, expect.stringContaining('completed before')])
  expect(authorizer.finished).toEqual([])
  logins.abandon('mail')
  await expect(other.done).rejects.toBeInstanceOf(GatewayError)
})

test('of two callbacks at once, one completes the login', async () => {
  const { authorizer, logins } = setUp()
  const { done } = await logins.begin(await remoteServer(), 'gateway')
  const [{ state }] = authorizer.begun as [(typeof authorizer.begun)[number]]
  const query = new URLSearchParams({ code: 'good', state })
  const pages = await Promise.all(
    Array.from({ length: 5 }, () => logins.callback({ query, browser: undefined })),
  )
  expect(pages.map(({ status }) => status).sort()).toEqual([200, 409, 409, 409, 409])
  expect(authorizer.finished).toHaveLength(1)
  await done
})

test('a logout waits for the callback that has come, whose tokens it would not find', async () => {
  const { authorizer, logins, vault } = setUp()
  const waiting = deferred()
  authorizer.held = waiting.promise
  const { done } = await logins.begin(await remoteServer(), 'gateway')
  const [{ state }] = authorizer.begun as [(typeof authorizer.begun)[number]]
  const page = logins.callback({ query: new URLSearchParams({ code: 'good', state }), browser: undefined })
  await new Promise(resolve => setTimeout(resolve, 20))
  logins.abandon('mail', 'gateway')
  await expect(done).rejects.toThrow('"mail"')
  let isDone = false
  const callbacks = logins.callbacksDone('mail', 'gateway').then(() => (isDone = true))
  await logins.callbacksDone('mail', 'another')
  await new Promise(resolve => setTimeout(resolve, 20))
  expect(isDone).toBe(false)
  waiting.resolve()
  await callbacks
  expect(await vault.read({ kind: 'tokens', server: 'mail', owner: 'gateway' })).toBeDefined()
  expect((await page).status).toBe(200)
})

test('a late callback is refused, and the waiting call told', async () => {
  const { authorizer, logins, told } = setUp({ lifeMs: 60 })
  const server = await remoteServer()
  const { done } = await logins.begin(server, 'gateway')
  const keepsListening = logins.begin(server, 'client:ann')
  await expect(done).rejects.toThrow('was not completed in time')
  await keepsListening.catch(() => undefined)
  const [{ state }] = authorizer.begun as [(typeof authorizer.begun)[number]]
  const page = await logins.callback({
    query: new URLSearchParams({ code: 'good', state }),
    browser: undefined,
  })
  expect([404, 410]).toContain(page.status)
  expect(authorizer.finished).toEqual([])
  expect(told.filter(({ type }) => type === 'credential.login_ended')[0]).toMatchObject({
    outcome: 'expired',
  })
})

test('pages cannot run scripts, be framed, cached or referred from', async () => {
  const { authorizer, logins } = setUp()
  await logins.begin(await remoteServer(), 'gateway')
  const [{ redirectUri }] = authorizer.begun as [(typeof authorizer.begun)[number]]
  const { headers } = await comeBack(redirectUri, {})
  expect(headers.get('content-security-policy')).toMatch(
    /^default-src 'none'; style-src 'sha256-[^']+'; .*frame-ancestors 'none'/,
  )
  expect(headers.get('cache-control')).toBe('no-store')
  expect(headers.get('referrer-policy')).toBe('no-referrer')
  const host = await fetch(redirectUri, { headers: { host: 'evil.example' } })
  // `fetch` sets the host itself, so another path stands for it here.
  expect(host.status).toBe(400)
  expect((await fetch(redirectUri.replace('/callback', '/other'))).status).toBe(404)
  expect((await fetch(redirectUri, { method: 'POST' })).status).toBe(405)
})

test('a port that is taken is replaced by another one, unless it is configured', async () => {
  const { authorizer, logins } = setUp()
  const server = await remoteServer()
  const blocker = createServer()
  await new Promise<void>(resolve => blocker.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => new Promise<void>(resolve => blocker.close(() => resolve())))
  const { port } = blocker.address() as AddressInfo
  await logins.records.setPort('mail', port)
  await logins.begin(server, 'gateway')
  const now = await logins.records.portOf('mail')
  expect(now).not.toBe(port)
  expect(authorizer.begun[0]?.redirectUri).toBe(`http://127.0.0.1:${now}/callback`)
  const fixed = await remoteServer({ oauth: { redirect: { port, path: '/back' } } })
  await expect(logins.begin(fixed, 'client:ann')).rejects.toThrow(
    `its redirect address http://127.0.0.1:${port} is used by another program`,
  )
  const whole = await remoteServer({ oauth: { redirect: `http://localhost:${now}/cb` } })
  await logins.begin(whole, 'client:bob')
  expect(authorizer.begun.at(-1)?.redirectUri).toBe(`http://localhost:${now}/cb`)
})

test('a login that cannot begin is not tried with every call', async () => {
  const { authorizer, logins } = setUp()
  const server = await remoteServer()
  authorizer.refusal = new GatewayError(
    'needs_login',
    'Server "mail" takes no registration. Set "oauth.clientId".',
  )
  let tries = 0
  const begin = authorizer.begin.bind(authorizer)
  authorizer.begin = (...args) => {
    tries++
    return begin(...args)
  }
  for (let at = 0; at < 5; at++)
    await expect(logins.begin(server, 'gateway')).rejects.toThrow('Set "oauth.clientId"')
  expect(tries).toBe(1)
})

test('another process that logs in ends the wait', async () => {
  const { authorizer, logins, vault } = setUp()
  const { done } = await logins.begin(await remoteServer(), 'gateway')
  await vault.write(
    { kind: 'tokens', server: 'mail', owner: 'gateway' },
    { issuer: '', value: { obtainedAt: 7 } },
  )
  await done
  expect(authorizer.finished).toEqual([])
})

test('tokens that are renewed during a login for more permissions do not end it', async () => {
  const { logins, vault } = setUp()
  const name = { kind: 'tokens', server: 'mail', owner: 'gateway' } as const
  await vault.write(name, { issuer: '', value: { obtainedAt: 7 } })
  const { done } = await logins.begin(await remoteServer(), 'gateway')
  await vault.write(name, { issuer: '', value: { obtainedAt: 8, loggedInAt: 7 } })
  await new Promise(resolve => setTimeout(resolve, 20))
  expect(logins.size).toBe(1)
  await vault.write(name, { issuer: '', value: { obtainedAt: 9 } })
  await done
})

test('the end of the gateway ends every login, and refuses new ones', async () => {
  const { logins } = setUp()
  const server = await remoteServer()
  const waiting = [await logins.begin(server, 'gateway'), await logins.begin(server, 'client:ann')]
  logins.close()
  for (const { done } of waiting) await expect(done).rejects.toMatchObject({ code: 'shutting_down' })
  await expect(logins.begin(server, 'gateway')).rejects.toMatchObject({ code: 'shutting_down' })
})

test('a login ends when its server is configured anew, also for those that have its link', async () => {
  const { authorizer, logins, told } = setUp({ hosted: () => 'http://127.0.0.1:3333' })
  const server = await remoteServer()
  const { done, url } = await logins.begin(server, 'gateway')
  logins.reconfigure([await remoteServer()])
  expect(logins.size).toBe(1)
  const moved = await remoteServer({ url: 'https://elsewhere.example/mcp' })
  logins.reconfigure([moved])
  await expect(done).rejects.toMatchObject({
    code: 'needs_login',
    message: expect.stringContaining('configuration has changed') as string,
  })
  expect(told.at(-1)).toMatchObject({ type: 'credential.login_ended', outcome: 'abandoned' })
  const id = url.slice(url.lastIndexOf('/') + 1)
  await vi.waitFor(async () => expect(await logins.records.get(id)).toBeUndefined())
  expect((await logins.begin(moved, 'gateway')).url).not.toBe(url)
  logins.reconfigure([])
  expect(logins.size).toBe(0)
  expect(authorizer.finished).toEqual([])
})

test('a login that is ended while it begins gives out no link', async () => {
  const { authorizer, logins } = setUp({ hosted: () => 'http://127.0.0.1:3333' })
  const begin = authorizer.begin.bind(authorizer)
  authorizer.begin = async (...args) => {
    logins.abandon('mail', 'gateway')
    return await begin(...args)
  }
  await expect(logins.begin(await remoteServer(), 'gateway')).rejects.toMatchObject({
    message: expect.stringContaining('was ended') as string,
  })
})

test('a device login that is ended is not completed later, and lasts no longer than its code', async () => {
  const { authorizer, logins } = setUp()
  const signals: AbortSignal[] = []
  const device: Pick<Authorizer, 'beginDevice'> = {
    beginDevice: (_server, _owner, signal) => {
      signals.push(signal)
      const done = new Promise<void>(() => undefined)
      const verificationUri = 'https://as.example/device'
      return Promise.resolve({ verificationUri, userCode: 'AB-CD', expiresInSeconds: 60, done })
    },
  }
  Object.assign(authorizer, device)
  const pending = await logins.begin(await remoteServer(), 'gateway', true)
  expect(pending.expiresAt - Date.now()).toBeLessThanOrEqual(60_000)
  logins.abandon('mail')
  await expect(pending.done).rejects.toMatchObject({ code: 'needs_login' })
  expect(signals.map(({ aborted }) => aborted)).toEqual([true])
})

test('the pages and errors of a login say how it is begun again where it was begun', async () => {
  const again = 'Run "mcp-manifold login mail" again.'
  const wording = { again, retry: again, backTo: 'the terminal' }
  const { authorizer, logins } = setUp({ wording })
  const { done } = await logins.begin(await remoteServer(), 'gateway')
  const [{ state, redirectUri }] = authorizer.begun as [(typeof authorizer.begun)[number]]
  expect((await comeBack(redirectUri, { state: 'another', code: 'good' })).text).toContain(
    'Run &quot;mcp-manifold login mail&quot; again.',
  )
  const refused = await comeBack(redirectUri, { state, error: 'access_denied' })
  expect(refused.text).toContain('Run &quot;mcp-manifold login mail&quot; again.')
  expect(refused.text).not.toContain('MCP client')
  await expect(done).rejects.toThrow()
  const second = await logins.begin(await remoteServer(), 'client:ann')
  logins.abandon('mail')
  await expect(second.done).rejects.toThrow(again)
})
