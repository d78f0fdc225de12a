import { CLOCK } from '../core/clock.ts'
import type { GatewayError } from '../core/errors.ts'
import type { EventSink } from '../core/event-bus.ts'
import type {
  CredentialRefusal,
  CredentialRequest,
  UpstreamCredentials,
} from '../core/upstream-credentials.ts'

/** Credentials whose refusals are events, where nothing else can be presented. */
export class ReportedCredentials implements UpstreamCredentials {
  readonly #credentials: UpstreamCredentials
  readonly #about: { readonly server: string; readonly owner: string }
  readonly #events: EventSink

  constructor(
    credentials: UpstreamCredentials,
    about: { readonly server: string; readonly owner: string },
    events: EventSink,
  ) {
    this.#credentials = credentials
    this.#about = about
    this.#events = events
  }

  headers(request: CredentialRequest): readonly string[] | Promise<readonly string[]> {
    return this.#credentials.headers(request)
  }

  async refused(refusal: CredentialRefusal): Promise<true | GatewayError> {
    const outcome = await this.#credentials.refused(refusal)
    // A request that carried nothing is how a server says that it wants a login.
    if (outcome !== true && refusal.sent.length > 0 && this.#events.heard['credential.refused']) {
      const { status } = refusal
      this.#events.emit({
        type: 'credential.refused',
        time: CLOCK.wall(),
        ...this.#about,
        status,
        error: outcome,
      })
    }
    return outcome
  }

  answered(headers: Parameters<NonNullable<UpstreamCredentials['answered']>>[0]): void {
    this.#credentials.answered?.(headers)
  }
}
