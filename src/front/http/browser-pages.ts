import type { IncomingMessage, ServerResponse } from 'node:http'
import { monotonicNow } from '../../core/clock.ts'
import { growingLru } from '../../core/growing-lru.ts'
import { HttpError } from '../../core/http-error.ts'
import type { PageAnswer, PageSource } from '../../core/page.ts'
import { TokenBucket } from '../../core/token-bucket.ts'

/** Path of every page for browsers; the pages themselves are below it. */
export const PAGES_PATH = '/oauth/'

const MAX_URL_CHARS = 8192
const MAX_FORM_BYTES = 4096
const MAX_COOKIES = 200
/** Requests of one address: more than a person makes, fewer than a search for links needs. */
const RATE = { burst: 60, perSecond: 2 }
const MAX_ADDRESSES = 10_000

/** Serves the pages for browsers. They need no credentials, so requests of an address are rate limited. */
export class BrowserPages {
  readonly #pages: PageSource
  readonly #rates = growingLru<string, TokenBucket>(MAX_ADDRESSES)

  constructor(pages: PageSource) {
    this.#pages = pages
  }

  /** @throws HttpError 404, 413, 414, 429 */
  async answer(request: IncomingMessage, response: ServerResponse, path: string): Promise<void> {
    this.#checkRate(request)
    const url = request.url as string
    if (url.length > MAX_URL_CHARS) throw new HttpError(414, 'The address is too long.')
    const at = url.indexOf('?')
    const { cookie = '', 'sec-fetch-site': fetchSite } = request.headers
    const answer = this.#pages.answer({
      method: request.method ?? '',
      path,
      query: new URLSearchParams(at < 0 ? '' : url.slice(at + 1)),
      cookies: cookiesOf(cookie),
      fetchSite: typeof fetchSite === 'string' ? fetchSite : undefined,
      form: new URLSearchParams(request.method === 'POST' ? await formOf(request) : ''),
    })
    if (!answer) throw new HttpError(404, 'There is no such page.')
    send(response, await answer)
  }

  /** Answers a refusal by a page, where a browser asks for one. `undefined`: the request is not for a page. */
  refusalOf(request: IncomingMessage, response: ServerResponse): ((error: HttpError) => void) | undefined {
    if (request.url?.startsWith(PAGES_PATH) !== true) return undefined
    if (request.headers.accept?.includes('text/html') !== true) return undefined
    return ({ status, message, headers }) => {
      const page = this.#pages.refusal(status, message)
      send(response, { ...page, headers: { ...page.headers, ...headers } })
    }
  }

  #checkRate({ socket: { remoteAddress = '' } }: IncomingMessage): void {
    const now = monotonicNow()
    let rate = this.#rates.get(remoteAddress)
    if (!rate) this.#rates.set(remoteAddress, (rate = new TokenBucket(RATE)))
    if (!rate.tryTake(now))
      throw new HttpError(429, 'Too many requests for pages come from this address.', {
        'retry-after': String(Math.ceil(rate.waitMs() / 1000)),
      })
  }
}

function send(response: ServerResponse, { status, headers, body }: PageAnswer): void {
  if (response.destroyed) return
  response.writeHead(status, { ...headers, 'content-length': Buffer.byteLength(body) }).end(body)
}

/** The cookies of a request. Of two with one name, the first counts, which browsers send for the longer path. */
function cookiesOf(header: string): Map<string, string> {
  const cookies = new Map<string, string>()
  for (const part of header.split(';', MAX_COOKIES)) {
    const equals = part.indexOf('=')
    const name = part.slice(0, equals).trim()
    if (equals > 0 && !cookies.has(name)) cookies.set(name, part.slice(equals + 1).trim())
  }
  return cookies
}

/** The body of a form. @throws HttpError 413, 415 */
async function formOf(request: IncomingMessage): Promise<string> {
  const type = request.headers['content-type']?.split(';')[0]?.trim().toLowerCase()
  if (type !== 'application/x-www-form-urlencoded')
    throw new HttpError(415, 'The body is not a form.', { connection: 'close' })
  const parts: Buffer[] = []
  let bytes = 0
  for await (const part of request as AsyncIterable<Buffer>) {
    bytes += part.length
    if (bytes > MAX_FORM_BYTES) throw new HttpError(413, 'The form is too large.', { connection: 'close' })
    parts.push(part)
  }
  return Buffer.concat(parts).toString('utf8')
}
