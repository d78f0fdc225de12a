import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, onTestFinished, test } from 'vitest'
import { UNHEARD } from '../../../../src/core/event-bus.ts'
import { HttpError } from '../../../../src/core/http-error.ts'
import { SILENT } from '../../../../src/core/logger.ts'
import { HostedPages } from '../../../../src/credentials/login/hosted-pages.ts'
import { Logins } from '../../../../src/credentials/login/logins.ts'
import { BrowserPages } from '../../../../src/front/http/browser-pages.ts'
import { confirmIn } from '../../../helpers/hosted-login.ts'
import { GrantingAuthorizer, OpenVault, remoteServer } from '../../../helpers/login-doubles.ts'

/** Logins whose pages an HTTP front serves: a `state` counts once, in time, in the browser that began. */

interface Node {
  readonly logins: Logins
  readonly origin: string
}

/** A node: its logins, and its pages at a port. Nodes of one vault take each other's callbacks. */
async function node(vault: OpenVault, authorizer: GrantingAuthorizer, options: object = {}): Promise<Node> {
  let origin = ''
  const logins = new Logins({
    authorizer,
    vault,
    events: UNHEARD,
    logger: SILENT,
    hosted: () => 'https://gateway.example',
    ...options,
  })
  const pages = new BrowserPages(new HostedPages(logins, () => true))
  const server = createServer((request, response) => {
    const path = (request.url as string).split('?')[0] as string
    pages.answer(request, response, path).catch((error: unknown) => {
      response.writeHead(error instanceof HttpError ? error.status : 500).end()
    })
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  onTestFinished(async () => {
    logins.close()
    server.closeAllConnections()
    await new Promise(resolve => server.close(resolve))
  })
  return { logins, origin }
}

async function setUp(options?: object) {
  const vault = new OpenVault()
  const authorizer = new GrantingAuthorizer(vault)
  const { logins, origin } = await node(vault, authorizer, options)
  const server = await remoteServer({ oauth: { per: 'client' } })
  const pending = await logins.begin(server, 'client:ann')
  const path = pending.url.replace('https://gateway.example', '')
  expect(pending.url).toMatch(/^https:\/\/gateway\.example\/oauth\/login\/[\w-]{43}$/)
  const [{ state, redirectUri }] = authorizer.begun as [(typeof authorizer.begun)[number]]
  expect(redirectUri).toBe('https://gateway.example/oauth/callback')
  return { vault, authorizer, logins, origin, pending, path, state }
}

/** A browser with its cookies. It follows no redirects. */
class Browser {
  readonly cookies = new Map<string, string>()
  readonly #origin: string

  constructor(origin: string) {
    this.#origin = origin
  }

  async open(path: string, init: RequestInit = {}, origin = this.#origin) {
    const cookie = [...this.cookies].map(([name, value]) => `${name}=${value}`).join('; ')
    const headers = { ...(cookie !== '' && { cookie }), ...(init.headers as Record<string, string>) }
    const response = await fetch(origin + path, { ...init, headers, redirect: 'manual' })
    for (const line of response.headers.getSetCookie()) {
      const [pair = ''] = line.split(';')
      this.cookies.set(pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1))
    }
    return { status: response.status, text: await response.text(), headers: response.headers }
  }

  /** Opens the page of a login and confirms. */
  async confirm(path: string, changes: { confirm?: string; headers?: Record<string, string> } = {}) {
    const { text } = await this.open(path)
    const confirm = changes.confirm ?? confirmIn(text)
    return await this.open(path, {
      method: 'POST',
      body: new URLSearchParams({ confirm }),
      ...(changes.headers && { headers: changes.headers }),
    })
  }
}

test('a person confirms, logs in, and the waiting calls go on; every step counts once', async () => {
  const { authorizer, origin, pending, path, state } = await setUp()
  const browser = new Browser(origin)
  const page = await browser.open(path)
  expect(page.status).toBe(200)
  expect(page.text).toContain('mail (mail.example)')
  expect(page.text).toContain('as.example')
  expect(page.text).toContain('only client &quot;ann&quot; of this gateway')
  expect(page.text).not.toContain(state)
  expect(page.headers.get('set-cookie')).toMatch(
    /^__Host-manifold-login-[\w-]{16}=[\w-]{43}; Path=\/; Max-Age=600; HttpOnly; SameSite=Lax; Secure$/,
  )
  expect(authorizer.finished).toEqual([])
  const confirmed = await browser.confirm(path)
  expect([confirmed.status, confirmed.headers.get('location')]).toEqual([
    303,
    `https://as.example/authorize?state=${state}`,
  ])
  const end = await browser.open(`/oauth/callback?code=good&state=${state}`)
  expect([end.status, end.text]).toEqual([200, expect.stringContaining('You are logged in to mail')])
  await pending.done
  expect(authorizer.finished[0]).toMatchObject({ state, verifier: `verifier-of-${state}` })
  const replayed = await browser.open(`/oauth/callback?code=good&state=${state}`)
  expect([replayed.status, replayed.text]).toEqual([409, expect.stringContaining('completed before')])
  expect((await browser.open(path)).status).toBe(410)
  expect(authorizer.finished).toHaveLength(1)
})

test('a stolen state in another browser gets a page that says so, and the first browser goes on', async () => {
  const { authorizer, origin, pending, path, state } = await setUp()
  const [first, thief] = [new Browser(origin), new Browser(origin)]
  await first.confirm(path)
  const stolen = await thief.open(`/oauth/callback?code=good&state=${state}`)
  expect([stolen.status, stolen.text]).toEqual([403, expect.stringContaining('begun in another browser')])
  expect(authorizer.finished).toEqual([])
  // Neither does the link work there any more.
  const link = await thief.open(path)
  expect([link.status, link.text]).toEqual([403, expect.stringContaining('goes on in another browser')])
  expect((await first.open(`/oauth/callback?code=good&state=${state}`)).status).toBe(200)
  await pending.done
})

test('a callback that no browser has begun is refused', async () => {
  const { authorizer, origin, path, state } = await setUp()
  const browser = new Browser(origin)
  // The page was opened, and not confirmed.
  await browser.open(path)
  expect((await browser.open(`/oauth/callback?code=good&state=${state}`)).status).toBe(403)
  expect(authorizer.finished).toEqual([])
})

test.each([
  ['a form of another site', { headers: { 'sec-fetch-site': 'cross-site' } }],
  ['a form with a guessed proof', { confirm: 'x'.repeat(43) }],
  ['a form without a proof', { confirm: '' }],
])('%s begins nothing', async (_, changes) => {
  const { origin, path, vault } = await setUp()
  const browser = new Browser(origin)
  const refused = await browser.confirm(path, changes)
  expect([refused.status, refused.text]).toEqual([403, expect.stringContaining('This form is not valid')])
  expect(JSON.stringify([...vault.records.values()])).not.toContain('"browser":"')
})

test('a form in a browser without the cookie of the page begins nothing', async () => {
  const { origin, path } = await setUp()
  const [one, other] = [new Browser(origin), new Browser(origin)]
  const confirm = confirmIn((await one.open(path)).text)
  const refused = await other.open(path, { method: 'POST', body: new URLSearchParams({ confirm }) })
  expect(refused.status).toBe(403)
})

test('a late link and a late callback say so', async () => {
  const { authorizer, origin, path, state } = await setUp({ lifeMs: 250 })
  const browser = new Browser(origin)
  await browser.confirm(path)
  await new Promise(resolve => setTimeout(resolve, 300))
  expect((await browser.open(path)).status).toBe(404)
  const late = await browser.open(`/oauth/callback?code=good&state=${state}`)
  expect([late.status, late.text]).toEqual([410, expect.stringContaining('not completed in time')])
  expect(authorizer.finished).toEqual([])
})

test('another node that shares the vault takes the callback, and the calls of this one go on', async () => {
  const { authorizer, vault, origin, pending, path, state } = await setUp()
  const other = await node(vault, authorizer)
  const browser = new Browser(origin)
  await browser.confirm(path)
  const end = await browser.open(`/oauth/callback?code=good&state=${state}`, {}, other.origin)
  expect(end.status).toBe(200)
  await pending.done
  expect((await browser.open(`/oauth/callback?code=good&state=${state}`)).status).toBe(409)
})

test('a login that fails at another node fails here, with the reason', async () => {
  const { authorizer, vault, origin, pending, path, state } = await setUp()
  const other = await node(vault, authorizer)
  const browser = new Browser(origin)
  await browser.confirm(path)
  const end = await browser.open(`/oauth/callback?error=access_denied&state=${state}`, {}, other.origin)
  expect(end.status).toBe(400)
  await expect(pending.done).rejects.toThrow('The login to server "mail" has failed')
})

test('unknown links, methods, and floods of requests are refused', async () => {
  const { origin, path } = await setUp()
  const browser = new Browser(origin)
  expect((await browser.open('/oauth/login/short')).status).toBe(404)
  expect((await browser.open(`/oauth/login/${'A'.repeat(43)}`)).status).toBe(404)
  expect((await browser.open('/oauth/other')).status).toBe(404)
  expect((await browser.open(path, { method: 'PUT' })).status).toBe(405)
  expect((await browser.open(path, { method: 'POST', body: '{}' })).status).toBe(415)
  expect(
    (await browser.open(path, { method: 'POST', body: new URLSearchParams({ x: 'y'.repeat(5000) }) })).status,
  ).toBe(413)
  const statuses = await Promise.all(
    Array.from({ length: 80 }, async () => (await browser.open(`/oauth/login/${'B'.repeat(43)}`)).status),
  )
  expect(statuses).toContain(429)
})
