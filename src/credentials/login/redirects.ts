import type { ServerConfig } from '../../config/types.ts'
import { GatewayError } from '../../core/errors.ts'
import { isLoopback } from '../../core/loopback.ts'
import type { LoopbackListeners } from './loopback-listeners.ts'
import type { LoginRecords } from './login-records.ts'

/** Path of the callback of every login, below the public address. */
export const CALLBACK_PATH = '/oauth/callback'
/** Path of the page that begins a login, before its id. */
export const LOGIN_PATH = '/oauth/login/'

/** Where the authorization server sends the browser back to. */
export interface Redirect {
  readonly uri: string
  /** Address of the front whose pages begin and end the login; `undefined`: a listener on this machine ends it. */
  readonly hosted: string | undefined
  release(): void
}

export interface RedirectsOptions {
  readonly listeners: LoopbackListeners
  readonly records: Pick<LoginRecords, 'portOf' | 'setPort'>
  /** Public address of the HTTP front, without a slash at its end; `undefined` where browsers cannot reach one. */
  readonly hosted: () => string | undefined
}

const NOTHING = (): void => undefined

/**
 * Decides where browsers come back to: a configured address, else the hosted one, else a port of this machine. The port
 * is kept with the server, because many authorization servers accept exactly the address that was registered.
 */
export class Redirects {
  readonly #options: RedirectsOptions

  constructor(options: RedirectsOptions) {
    this.#options = options
  }

  /** @throws GatewayError `needs_login` when the configured address cannot be used */
  async open({ name, oauth }: ServerConfig): Promise<Redirect> {
    const wanted = oauth === false ? undefined : oauth.redirect
    const { hosted: hostedAt, listeners, records } = this.#options
    const hosted = hostedAt()
    if (typeof wanted === 'string') {
      const url = new URL(wanted)
      if (url.protocol === 'http:' && isLoopback(url.hostname) && url.origin !== hosted) {
        const port = Number(url.port || 80)
        const host = url.hostname === 'localhost' ? 'localhost' : '127.0.0.1'
        const path = url.pathname
        const place = await listeners.open({ server: name, host, port, path, fixed: true })
        return { uri: wanted, hosted: undefined, release: place.release }
      }
      if (hosted === undefined)
        throw new GatewayError(
          'needs_login',
          `Server "${name}" needs a login, but its "oauth.redirect" ${url.origin} is an address of the HTTP front, which this gateway does not serve. Log in at the gateway that does, or set a redirect to http://127.0.0.1.`,
          { server: name },
        )
      return { uri: wanted, hosted, release: NOTHING }
    }
    const { port, path = '/callback' } = wanted ?? {}
    if (port === undefined && hosted !== undefined)
      return { uri: hosted + CALLBACK_PATH, hosted, release: NOTHING }
    const before = port ?? (await records.portOf(name)) ?? 0
    const fixed = port !== undefined
    const place = await listeners.open({ server: name, host: '127.0.0.1', port: before, path, fixed })
    if (place.port !== before)
      await records.setPort(name, place.port).catch((error: unknown) => {
        place.release()
        throw error
      })
    return { uri: place.uri, hosted: undefined, release: place.release }
  }
}
