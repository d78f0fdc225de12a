import { createHash, timingSafeEqual } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { monotonicNow } from '../core/clock.ts'
import { isLoopback } from '../core/loopback.ts'
import { AdminProblem } from './problem-details.ts'

/** Rate limit of authenticated requests. */
const RATE = { perSecond: 20, burst: 100 }
/**
 * Rate limit of requests with a wrong credential. It is separate, so that guessing does not block the right credential.
 */
const GUESSES = { perSecond: 0.5, burst: 10 }

export interface GuardOptions {
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
  readonly #requests = new Allowance(RATE)
  readonly #guesses = new Allowance(GUESSES)

  constructor({ hosts, token }: GuardOptions) {
    this.#hosts = hosts
    this.#digest = token === undefined ? undefined : digestOf(token)
  }

  /** @throws AdminProblem 401, 403 or 429 */
  check(request: IncomingMessage): AdminCaller {
    this.#checkPage(request)
    const caller = this.#callerOf(request)
    const waitSeconds = this.#requests.take()
    if (waitSeconds > 0) throw tooMany('The admin API takes 20 requests a second.', waitSeconds)
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
    const waitSeconds = this.#guesses.take()
    if (waitSeconds > 0) throw tooMany('There were too many requests with a wrong credential.', waitSeconds)
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

function tooMany(why: string, waitSeconds: number): AdminProblem {
  const seconds = Math.ceil(waitSeconds)
  return new AdminProblem(429, `${why} Try again in ${seconds} s.`, { 'retry-after': String(seconds) })
}

/** A token bucket: a sustained rate and a burst. */
class Allowance {
  readonly #perSecond: number
  readonly #burst: number
  #left: number
  #at = monotonicNow()

  constructor({ perSecond, burst }: { readonly perSecond: number; readonly burst: number }) {
    this.#perSecond = perSecond
    this.#burst = burst
    this.#left = burst
  }

  /** Takes one token; otherwise returns the seconds until the next one. */
  take(): number {
    const now = monotonicNow()
    this.#left = Math.min(this.#burst, this.#left + ((now - this.#at) / 1000) * this.#perSecond)
    this.#at = now
    if (this.#left < 1) return (1 - this.#left) / this.#perSecond
    this.#left--
    return 0
  }
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
