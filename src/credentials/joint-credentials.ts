import type { GatewayError } from '../core/errors.ts'
import type {
  CredentialRefusal,
  CredentialRequest,
  UpstreamCredentials,
} from '../core/upstream-credentials.ts'

type List = readonly string[]

/** Two credentials of one link. Where both give a header of one name, that of `first` counts. */
export class JointCredentials implements UpstreamCredentials {
  readonly #first: UpstreamCredentials
  readonly #second: UpstreamCredentials
  #lists: readonly [List, List] = [[], []]
  #joint: List = []

  constructor(first: UpstreamCredentials, second: UpstreamCredentials) {
    this.#first = first
    this.#second = second
  }

  headers(request: CredentialRequest): List | Promise<List> {
    const [first, second] = [this.#first.headers(request), this.#second.headers(request)]
    if (!(first instanceof Promise) && !(second instanceof Promise)) return this.#join(first, second)
    return Promise.all([first, second]).then(([one, other]) => this.#join(one, other))
  }

  /** The first is asked first, because it can renew what it gave. */
  async refused(refusal: CredentialRefusal): Promise<true | GatewayError> {
    const [sentFirst, sentSecond] = refusal.sent === this.#joint ? this.#lists : [refusal.sent, refusal.sent]
    const outcome = await this.#first.refused({ ...refusal, sent: sentFirst })
    if (outcome === true) return true
    return (await this.#second.refused({ ...refusal, sent: sentSecond })) === true ? true : outcome
  }

  answered(headers: Parameters<NonNullable<UpstreamCredentials['answered']>>[0]): void {
    this.#first.answered?.(headers)
    this.#second.answered?.(headers)
  }

  #join(first: List, second: List): List {
    if (this.#lists[0] === first && this.#lists[1] === second) return this.#joint
    const names = new Set(first.filter((_, at) => at % 2 === 0))
    const rest: string[] = []
    for (let at = 0; at + 1 < second.length; at += 2)
      if (!names.has(second[at] as string)) rest.push(second[at] as string, second[at + 1] as string)
    this.#lists = [first, second]
    return (this.#joint = Object.freeze([...first, ...rest]))
  }
}
