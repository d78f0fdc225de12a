import { randomBytes } from 'node:crypto'
import type { PageAnswer, PageRequest, PageSource } from '../../core/page.ts'
import { digestOf, isEqual, type LoginRecord } from './login-records.ts'
import type { Logins } from './logins.ts'
import { confirmPage, messagePage, redirectTo } from './pages.ts'
import { CALLBACK_PATH, LOGIN_PATH } from './redirects.ts'

/** Maximum age of the cookie of a login, as long as the login. */
const COOKIE_SECONDS = 600
const COOKIE = /^[\w-]{43}$/

/**
 * The pages of logins at the HTTP front: one that asks before a login begins, and the callback. The first gives the
 * browser a cookie; the callback is accepted from that browser only. So a stolen link or `state` is of no use
 * elsewhere, and no browser ends a login that another one began.
 */
export class HostedPages implements PageSource {
  readonly #logins: Pick<Logins, 'callback' | 'records'>
  /** Whether browsers reach the pages over https. */
  readonly #secure: () => boolean

  constructor(logins: Pick<Logins, 'callback' | 'records'>, secure: () => boolean) {
    this.#logins = logins
    this.#secure = secure
  }

  answer(request: PageRequest): Promise<PageAnswer> | undefined {
    const { path } = request
    if (path === CALLBACK_PATH) return this.#callback(request)
    if (path.startsWith(LOGIN_PATH)) return this.#login(request, path.slice(LOGIN_PATH.length))
    return undefined
  }

  refusal(status: number, why: string): PageAnswer {
    return messagePage(status, 'This page cannot be shown', why)
  }

  async #callback({ method, query, cookies }: PageRequest): Promise<PageAnswer> {
    if (method !== 'GET') return notAllowed('GET')
    return await this.#logins.callback({ query, browser: id => cookies.get(this.#nameOf(id)) })
  }

  async #login(request: PageRequest, id: string): Promise<PageAnswer> {
    const { method, cookies } = request
    if (method !== 'GET' && method !== 'POST') return notAllowed('GET, POST')
    const login = await this.#logins.records.get(id)
    const given = cookies.get(this.#nameOf(id))
    const known = given !== undefined && COOKIE.test(given) ? given : undefined
    const refusal = refusalOf(login, known)
    if (refusal || !login) return refusal ?? gone()
    if (method === 'POST') return await this.#begin(request, id, known)
    const cookie = known ?? randomBytes(32).toString('base64url')
    return confirmPage(login.about, confirmOf(id, cookie), { 'set-cookie': this.#cookie(id, cookie) })
  }

  /** The person has confirmed: the login belongs to this browser from now on. */
  async #begin(
    { fetchSite, form }: PageRequest,
    id: string,
    cookie: string | undefined,
  ): Promise<PageAnswer> {
    const isOwnPage = fetchSite === undefined || fetchSite === 'same-origin'
    const confirm = form.get('confirm') ?? ''
    if (!isOwnPage || cookie === undefined || !isEqual(confirm, confirmOf(id, cookie)))
      return messagePage(
        403,
        'This form is not valid',
        'It does not come from the page of the login in this browser, or the browser accepts no cookies. Nothing was stored. Open the link of the login again.',
      )
    const browser = digestOf(cookie)
    const begun = await this.#logins.records.change(id, login =>
      refusalOf(login, cookie) ? undefined : { ...login, browser },
    )
    return begun ? redirectTo(begun.url) : (refusalOf(await this.#logins.records.get(id), cookie) ?? gone())
  }

  #nameOf(id: string): string {
    // A host prefix keeps other sites of the same domain from setting it. Browsers accept that over https only.
    return `${this.#secure() ? '__Host-' : ''}manifold-login-${id.slice(0, 16)}`
  }

  #cookie(id: string, value: string): string {
    const secure = this.#secure() ? '; Secure' : ''
    return `${this.#nameOf(id)}=${value}; Path=/; Max-Age=${COOKIE_SECONDS}; HttpOnly; SameSite=Lax${secure}`
  }
}

/** Proves that a form is of the page that this browser got. */
function confirmOf(id: string, cookie: string): string {
  return digestOf(`confirm ${id} ${cookie}`)
}

/** Why a browser with this cookie may not begin a login; `undefined`: it may. */
function refusalOf(login: LoginRecord | undefined, cookie: string | undefined): PageAnswer | undefined {
  if (!login?.hosted || login.expiresAt <= Date.now()) return gone()
  if (login.stage !== 'begun')
    return messagePage(410, 'This link was used before', 'The login it was for has ended.')
  if (login.browser === undefined) return undefined
  if (cookie !== undefined && isEqual(login.browser, digestOf(cookie))) return undefined
  return messagePage(
    403,
    'This login goes on in another browser',
    'A link belongs to the browser that has begun with it. Go on there, or wait ten minutes and make the call again for a new link.',
  )
}

function gone(): PageAnswer {
  return messagePage(
    404,
    'This link is not valid',
    'It has expired, was never given out, or was of a gateway that has ended. Make the call in your MCP client again, or run "mcp-manifold login" again, for a new link.',
  )
}

function notAllowed(allow: string): PageAnswer {
  const { headers, ...page } = messagePage(405, 'Nothing here', 'This page does not take such a request.')
  return { ...page, headers: { ...headers, allow } }
}
