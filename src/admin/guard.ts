import { createHash, timingSafeEqual } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { monotonicNow } from '../core/clock.ts'
import { isLoopback } from '../core/loopback.ts'
import { TokenBucket } from '../core/token-bucket.ts'
import { AdminProblem } from './problem-details.ts'

/** Rate limit of authenticated requests. */
const RATE = { perSecond: 20, burst: 100 }
/**
 * Rate limit of requests with a wrong credential. It is separate, so that guessing does not block the right credential.
 */
const GUESSES = { perSecond: 0.5, burst: 10 }

interface GuardOptions {
  /** Host names of the API besides loopback names; `undefined`: any. */
  readonly hosts: ReadonlySet<string> | undefined
  /** `undefined` for the socket, which is protected by its file mode. */
  readonly token: string | undefined
}

/** The caller, as named in the audit log. */
export interface AdminCaller {
  readonly by: string
  readonly from: string | undefined
}

/** Checks every request before its path is examined. */
export class AdminGuard {
  readonly #hosts: ReadonlySet<string> | undefined
  readonly #digest: Buffer | undefined
  readonly #requests = new TokenBucket(RATE)
  readonly #guesses = new TokenBucket(GUESSES)

  constructor({ hosts, token }: GuardOptions) {
    this.#hosts = hosts
    this.#digest = token === undefined ? undefined : digestOf(token)
  }

  /** @throws AdminProblem 401, 403 or 429 */
  check(request: IncomingMessage): AdminCaller {
    this.#checkPage(request)
    const caller = this.#callerOf(request)
    if (!this.#requests.tryTake(monotonicNow()))
      throw tooMany('The admin API takes 20 requests a second.', this.#requests)
    return caller
  }

  /** Whether a request has the credential, where one is needed. Takes nothing from the rates. */
  hasCredential({ headers }: IncomingMessage): boolean {
    const given = tokenOf(headers.authorization)
    return given !== undefined && this.#digest !== undefined && timingSafeEqual(digestOf(given), this.#digest)
  }

  /** Blocks requests from web pages, including those whose own host name resolves to this machine (DNS rebinding). */
  #checkPage({ headers }: IncomingMessage): void {
    const site = headers['sec-fetch-site']
    if (headers.origin !== undefined || (site !== undefined && site !== 'none'))
      throw new AdminProblem(403, 'The admin API is not for web pages: send no Origin.')
    const host = hostname(headers.host ?? '')
    if (this.#hosts && !isLoopback(host) && !this.#hosts.has(host))
      throw new AdminProblem(
        403,
        `The host ${JSON.stringify(headers.host?.slice(0, 255) ?? '')} is not allowed here. Use the address of "gateway.admin.listen".`,
      )
  }

  #callerOf(request: IncomingMessage): AdminCaller {
    if (this.#digest === undefined) return { by: `socket uid=${process.getuid?.() ?? '?'}`, from: undefined }
    if (this.hasCredential(request)) return { by: 'token', from: request.socket.remoteAddress }
    const given = tokenOf(request.headers.authorization)
    if (!this.#guesses.tryTake(monotonicNow()))
      throw tooMany('There were too many requests with a wrong credential.', this.#guesses)
    throw new AdminProblem(
      401,
      `${given === undefined ? 'A credential is missing' : 'The credential is wrong'}. Send "Authorization: Bearer " and the value of "gateway.admin.token".`,
      { 'www-authenticate': 'Bearer realm="admin"' },
    )
  }
}

function tokenOf(authorization = ''): string | undefined {
  return /^bearer +([\x21-\x7e]{1,512})$/i.exec(authorization)?.[1]
}

function tooMany(why: string, empty: TokenBucket): AdminProblem {
  const seconds = Math.ceil(empty.waitMs() / 1000)
  return new AdminProblem(429, `${why} Try again in ${seconds} s.`, { 'retry-after': String(seconds) })
}

/** Digests have equal lengths, so that a comparison reveals nothing about the text. */
function digestOf(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}

function hostname(host: string): string {
  const name = host.toLowerCase()
  if (name.startsWith('[')) return name.slice(0, name.indexOf(']') + 1)
  const colon = name.indexOf(':')
  return colon < 0 ? name : name.slice(0, colon)
}
