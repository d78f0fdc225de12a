import { fileURLToPath } from 'node:url'
import { startAuthorizationServer } from '../fixtures/authorization-server/server.js'
import type {
  AuthorizationServer,
  AuthorizationServerOptions,
} from '../fixtures/authorization-server/server.d.ts'
import { serve } from './served.ts'

export { startAuthorizationServer }
export type { AuthorizationServer, AuthorizationServerOptions }

const MAIN = fileURLToPath(new URL('../fixtures/authorization-server/main.js', import.meta.url))

/** Starts an authorization server in a process of its own. */
export async function spawnAuthorizationServer(
  options: AuthorizationServerOptions = {},
): Promise<AuthorizationServer> {
  const served = await serve([MAIN, JSON.stringify(options)], { ready: /listening (\{.*\})\n/ })
  const control = /control (\S+)/.exec(served.said)?.[1] ?? ''
  const call = async <T>(name: string, ...args: unknown[]): Promise<T> => {
    const answer = await fetch(control, { method: 'POST', body: JSON.stringify({ call: name, args }) })
    return ((await answer.json()) as { result: T }).result
  }
  return {
    ...(JSON.parse(served.origin) as Pick<
      AuthorizationServer,
      'issuer' | 'metadataUrl' | 'jwksUrl' | 'resourceServer'
    >),
    happened: () => call('happened'),
    behave: (endpoint, behaviour) => call('behave', endpoint, behaviour),
    forgetClients: () => call('forgetClients'),
    revoke: kind => call('revoke', kind),
    trust: (issuer, keysUrl) => call('trust', issuer, keysUrl),
    identityToken: (...args) => call('identityToken', ...args),
    [Symbol.asyncDispose]: () => served[Symbol.asyncDispose](),
  }
}

/** A browser as far as these pages need one: it keeps cookies by host and follows redirects there. */
export class Browser {
  readonly #cookies = new Map<string, Map<string, string>>()

  /** Asks once, with the cookies of the host. Follows no redirect. */
  async ask(url: string, init: RequestInit = {}): Promise<Response> {
    const { host } = new URL(url)
    const cookies = this.#cookies.get(host) ?? new Map<string, string>()
    this.#cookies.set(host, cookies)
    const headers = new Headers(init.headers)
    if (cookies.size > 0) headers.set('cookie', [...cookies].map(pair => pair.join('=')).join('; '))
    const response = await fetch(url, { ...init, headers, redirect: 'manual' })
    for (const cookie of response.headers.getSetCookie()) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(cookie) ?? []
      const over = value === '' || /expires=Thu, 01 Jan 1970/i.test(cookie)
      if (over) cookies.delete(name)
      else cookies.set(name, value)
    }
    return response
  }

  /**
   * Asks, and follows redirects within the origin of `url`.
   * @returns the first address elsewhere that it is sent to, or the page that it ends on
   */
  async go(url: string, init: RequestInit = {}): Promise<{ readonly at: string; readonly page?: string }> {
    const { origin } = new URL(url)
    let at = url
    let response = await this.ask(at, init)
    for (let hops = 0; hops < 20; hops++) {
      const location = response.headers.get('location')
      if (location === null) return { at, page: await response.text() }
      await response.arrayBuffer()
      at = new URL(location, at).href
      if (new URL(at).origin !== origin) return { at }
      response = await this.ask(at)
    }
    throw new Error(`${url} redirects without end`)
  }

  /** Sends a form as a page does. */
  submit(url: string, form: Readonly<Record<string, string>>): ReturnType<Browser['go']> {
    return this.go(url, {
      method: 'POST',
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      body: new URLSearchParams(form).toString(),
    })
  }
}

interface Decision {
  /** Default `ada`. */
  readonly user?: string
  /** Default `approve`. */
  readonly decision?: 'approve' | 'deny'
  /** One that may be logged in already. Default: a new one. */
  readonly browser?: Browser
}

/**
 * A person opens the link of an authorization request, logs in and decides.
 * @returns the address that the authorization server sends the browser to. Nothing has asked for it yet.
 * @throws Error with the page where the authorization server shows an error instead
 */
export async function decide(url: string, options: Decision = {}): Promise<string> {
  const { user = 'ada', decision = 'approve', browser = new Browser() } = options
  let reached = await browser.go(url)
  if (reached.page?.includes('id="approve"')) reached = await browser.submit(reached.at, { user, decision })
  if (reached.page !== undefined) throw new Error(`${reached.at} shows: ${reached.page}`)
  return reached.at
}

/** A person opens the link of a device login, enters the code where the link has none, logs in and decides. */
export async function decideDevice(link: string, userCode: string, options: Decision = {}): Promise<void> {
  const { user = 'ada', decision = 'approve', browser = new Browser() } = options
  const { at, page = '' } = await browser.go(link)
  const asked = await browser.submit(at, { ...hidden(page), user_code: userCode })
  const confirm = await browser.submit(asked.at, {
    ...hidden(asked.page),
    confirm: 'yes',
    user_code: userCode,
  })
  if (!confirm.page?.includes('id="approve"')) throw new Error(`${confirm.at} shows: ${confirm.page}`)
  await browser.submit(confirm.at, { user, decision })
}

/** The hidden fields of a form. */
const hidden = (page = ''): Record<string, string> =>
  Object.fromEntries(
    [...page.matchAll(/<input type="hidden" name="([^"]+)" value="([^"]*)"/g)].map(([, name, value]) => [
      name,
      value,
    ]),
  ) as Record<string, string>
