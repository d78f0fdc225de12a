import type { GatewayError } from '../../core/errors.ts'
import { loginErrorOf, loginFailure } from './login-errors.ts'

/** A login that a person has to do, for those that wait for it. */
export interface PendingLogin {
  /** The address to open in a browser. */
  readonly url: string
  /** The code to enter there; only of a device login. */
  readonly code?: string | undefined
  /** Unix milliseconds. */
  readonly expiresAt: number
  /** Resolves when the gateway is logged in. Rejects with GatewayError `needs_login`, or `shutting_down`. */
  readonly done: Promise<void>
}

/** How a login ended. */
export type LoginOutcome = 'done' | 'failed' | 'expired' | 'abandoned'

/** One login of one server and owner, from its first request to its end. */
export class LoginUnderWay {
  readonly server: string
  readonly owner: string
  /** Settings of the server that it began under. */
  readonly settings: string | undefined
  readonly startedAt = performance.now()
  /** Settles when the address to open is known. */
  readonly ready: Promise<PendingLogin>
  readonly done: Promise<void>
  /** Id of its record, once it has one. */
  id: string | undefined
  /** Whether its callback has come, here. */
  isFinishing = false
  /** The login of its owner when it began. */
  loginBefore: string | undefined
  #resolve: () => void = () => undefined
  #reject: (error: GatewayError) => void = () => undefined
  readonly #retry: string
  readonly #onEnd: (login: LoginUnderWay, outcome: LoginOutcome) => void
  readonly #releases: (() => void)[] = []
  #timer: NodeJS.Timeout | undefined
  #ended = false

  constructor(
    server: string,
    owner: string,
    settings: string | undefined,
    retry: string,
    begin: (login: LoginUnderWay) => Promise<Omit<PendingLogin, 'done'>>,
    onEnd: (login: LoginUnderWay, outcome: LoginOutcome) => void,
  ) {
    this.server = server
    this.owner = owner
    this.settings = settings
    this.#retry = retry
    this.#onEnd = onEnd
    this.done = new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
    // A call may have gone before its login fails.
    this.done.catch(() => undefined)
    this.ready = begin(this).then(
      ({ url, code, expiresAt }) => {
        if (!this.#ended) {
          this.#timer = setTimeout(() => this.#expire(), Math.max(0, expiresAt - Date.now()))
          this.#timer.unref()
        }
        return { url, code, expiresAt, done: this.done }
      },
      (caught: unknown) => {
        const error = loginErrorOf(caught, server)
        this.fail('failed', error)
        throw error
      },
    )
    this.ready.catch(() => undefined)
  }

  get isOver(): boolean {
    return this.#ended
  }

  /** Adds what has to be given back at its end. */
  holds(release: () => void): void {
    if (this.#ended) release()
    else this.#releases.push(release)
  }

  succeed(): void {
    if (this.#end('done')) this.#resolve()
  }

  fail(outcome: Exclude<LoginOutcome, 'done'>, error: GatewayError): void {
    if (this.#end(outcome)) this.#reject(error)
  }

  #expire(): void {
    this.fail(
      'expired',
      loginFailure(
        this.server,
        `The login to server "${this.server}" was not completed in time. ${this.#retry}`,
      ),
    )
  }

  /** `false`: it has ended before. */
  #end(outcome: LoginOutcome): boolean {
    if (this.#ended) return false
    this.#ended = true
    clearTimeout(this.#timer)
    this.#onEnd(this, outcome)
    for (const release of this.#releases.splice(0)) release()
    return true
  }
}
