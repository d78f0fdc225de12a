import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import type { AuthConfig, ClientConfig, HttpFrontConfig } from '../config/types.ts'
import type { CallerTokens } from '../core/caller-tokens.ts'
import { monotonicNow } from '../core/clock.ts'
import { ANONYMOUS, type Principal } from '../core/principal.ts'
import type { Logger } from '../core/logger.ts'
import type { Authenticator, Credential } from '../front/authenticator.ts'
import type { Store } from '../state/store.ts'
import { ApiKeys } from './api-keys.ts'
import { ClientCertificates } from './certificates.ts'
import { invalid, malformed, missing } from './challenge.ts'
import type { IssuerKeySets } from './issuer-key-sets.ts'
import { JointCredential } from './joint-credential.ts'
import { keyDigestOf, API_KEY_PREFIX } from './key-records.ts'
import { Principals } from './principals.ts'
import { TrustedProxy } from './proxy.ts'
import { Resources } from './resources.ts'
import { Tokens } from './tokens.ts'

export interface GatekeeperOptions {
  readonly auth: AuthConfig
  readonly http: Pick<HttpFrontConfig, 'publicUrl'>
  /** As in `listensAt`, where it is known already. */
  readonly origin?: string | undefined
  readonly clients: readonly ClientConfig[]
  readonly issuerKeys: IssuerKeySets
  /** Where the tokens of callers are kept, if a server needs them. */
  readonly callerTokens?: CallerTokens | undefined
  readonly store: Store
  readonly logger: Logger
  /** Called when credentials were checked by something that had to be waited for. */
  readonly onChecked?: ((durationMs: number) => void) | undefined
}

/** Paths of files are not shown to callers; the report at the start contains the whole command. */
const CREATE_KEY = 'made with: mcp-manifold keys create <client>'

/** A verified credential, and where and how long it is valid without another check. */
interface Verdict {
  readonly credential: Credential
  /** On the clock of `monotonicNow`. */
  readonly until: number
  /** Earliest expiry of the presented credentials, by the wall clock. */
  readonly endsAt: number
  /** The endpoint for which it is valid; `undefined`: all endpoints. */
  readonly endpoint: string | undefined
}

/** The last verdict on a connection. */
interface Shown extends Verdict {
  readonly authorization: string | undefined
  readonly user: string | string[] | undefined
}

/**
 * Identifies the caller of an HTTP request. Each kind of credential has its own file; this one contains their order and
 * the cache. An invalid credential is never treated as a missing one, and two different identities are refused.
 */
export class Gatekeeper implements Authenticator {
  readonly #certificates: ClientCertificates
  readonly #proxy: TrustedProxy | undefined
  readonly #keys: ApiKeys
  readonly #tokens: Tokens
  readonly #callerTokens: CallerTokens | undefined
  readonly #resources: Resources
  /** For callers without credentials; `undefined`: they are refused. */
  readonly #anonymous: Credential | undefined
  /** Whether no kind of credential is configured. */
  readonly #open: boolean
  readonly #onChecked: GatekeeperOptions['onChecked']
  readonly #shown = new WeakMap<Socket, Shown>()
  /** The error text for callers without the required credentials. */
  readonly #needed: string
  readonly noLogin: string | undefined

  constructor(options: GatekeeperOptions) {
    const { auth, http, origin, clients, issuerKeys, callerTokens, store, logger } = options
    this.#onChecked = options.onChecked
    const principals = new Principals(clients)
    this.#open = clients.length === 0 && auth.jwt.length === 0
    this.#needed = `Credentials are needed here: send the header "Authorization: Bearer <${auth.jwt.length > 0 ? 'key or access token' : 'key'}>". Ask the operator of the gateway for a key, ${CREATE_KEY}`
    this.noLogin =
      this.#open || auth.jwt.length > 0 ? undefined : `There is no OAuth login here. ${this.#needed}`
    this.#certificates = new ClientCertificates(clients, principals)
    this.#proxy = auth.proxy && new TrustedProxy(auth.proxy, clients, principals)
    this.#keys = new ApiKeys({ clients, principals, store, logger })
    this.#resources = new Resources(http, auth.jwt)
    if (origin !== undefined) this.#resources.listensAt(origin)
    this.#tokens = new Tokens({ jwt: auth.jwt, clients, principals, resources: this.#resources, issuerKeys })
    this.#callerTokens = callerTokens
    const anonymous =
      auth.anonymous !== undefined ? principals.client(auth.anonymous) : this.#open ? ANONYMOUS : undefined
    this.#anonymous = anonymous && {
      principal: anonymous,
      expiresAt: Infinity,
      renewable: false,
      evidence: { by: 'nothing' },
    }
  }

  authenticate(request: IncomingMessage, endpoint: string): Credential | Promise<Credential> {
    const { authorization } = request.headers
    const user = this.#proxy && request.headers[this.#proxy.header]
    const shown = this.#shown.get(request.socket)
    if (
      shown !== undefined &&
      shown.authorization === authorization &&
      shown.user === user &&
      (shown.endpoint === undefined || shown.endpoint === endpoint)
    ) {
      if (stillCounts(shown)) return shown.credential
    }
    const keep = (verdict: Verdict): Credential => {
      this.#shown.set(request.socket, { ...verdict, authorization, user })
      return verdict.credential
    }
    const verdict = this.#verdict(request, endpoint)
    return verdict instanceof Promise ? this.#measured(verdict).then(keep) : keep(verdict)
  }

  async #measured(verdict: Promise<Verdict>): Promise<Verdict> {
    const since = performance.now()
    try {
      return await verdict
    } finally {
      this.#onChecked?.(performance.now() - since)
    }
  }

  resourceMetadata(request: IncomingMessage, path: string): string | undefined {
    return this.#resources.metadata(request, path)
  }

  /** Reads known keys immediately, so that the first request does not wait for them. */
  listensAt(origin: string | undefined): void {
    if (origin !== undefined) this.#resources.listensAt(origin)
    if (!this.#open) void this.#keys.reread()
  }

  /** Keeps what another one has looked up, and follows it. To be called before `listensAt`. */
  succeed(former: Authenticator): void {
    if (former instanceof Gatekeeper) this.#keys.adoptAll(former.#keys)
  }

  renewed(credential: Credential, endpoint: string): Credential | undefined {
    const renewed = this.#renewed(credential, endpoint)
    return renewed?.principal.id === credential.principal.id ? renewed : undefined
  }

  #renewed(credential: Credential, endpoint: string): Credential | undefined {
    const { evidence } = credential
    const as = (principal: Principal | undefined): Credential | undefined =>
      principal && { ...credential, principal }
    switch (evidence.by) {
      case 'key': {
        const { digest, isStored } = evidence
        return this.#keys.known(digest) ?? (isStored ? this.#keys.adopt(digest, credential) : undefined)
      }
      case 'certificate':
        return as(this.#certificates.principalOf(evidence.name))
      case 'user':
        return as(this.#proxy?.principal(evidence))
      case 'token':
        return this.#tokens.renewed(credential, evidence, endpoint)
      case 'all':
        return this.#allRenewed(evidence.of, endpoint)
      case 'nothing':
        return this.#anonymous
    }
  }

  /** `undefined`: one of them is not valid any more, or they are of several identities now. */
  #allRenewed(credentials: readonly Credential[], endpoint: string): Credential | undefined {
    const renewed = credentials.flatMap(credential => this.renewed(credential, endpoint) ?? [])
    const [first, ...others] = renewed
    return first && renewed.length === credentials.length ? new JointCredential(first, ...others) : undefined
  }

  close(): void {
    this.#keys.close()
  }

  #verdict(request: IncomingMessage, endpoint: string): Verdict | Promise<Verdict> {
    const others = this.#open ? [] : this.#besideBearer(request)
    const bearer = this.#bearer(request, endpoint)
    if (bearer instanceof Promise) return bearer.then(verdict => this.#one(request, [verdict, ...others]))
    return this.#one(request, bearer === undefined ? others : [bearer, ...others])
  }

  /** The single identity of all presented credentials. */
  #one(request: IncomingMessage, verdicts: readonly Verdict[]): Verdict {
    const [first] = verdicts
    if (first === undefined) {
      if (this.#anonymous) return lasting(this.#anonymous)
      throw missing(this.#needed, this.#tokens.challenge(request))
    }
    if (verdicts.some(({ credential }) => credential.principal.id !== first.credential.principal.id))
      throw malformed('The request shows two different identities; show one.')
    const [, ...others] = verdicts.map(({ credential }) => credential)
    return {
      ...first,
      credential: others.length === 0 ? first.credential : new JointCredential(first.credential, ...others),
      until: Math.min(...verdicts.map(({ until }) => until)),
      endsAt: Math.min(...verdicts.map(({ endsAt }) => endsAt)),
    }
  }

  /** Credentials from the connection and from a proxy. */
  #besideBearer(request: IncomingMessage): Verdict[] {
    const verdicts: Verdict[] = []
    const certificate = this.#certificates.credential(request.socket)
    if (certificate) verdicts.push(lasting(certificate))
    const user = this.#proxy?.credential(request)
    if (user) verdicts.push(lasting(user))
    return verdicts
  }

  #bearer(request: IncomingMessage, endpoint: string): Verdict | Promise<Verdict> | undefined {
    const { authorization } = request.headers
    if (authorization === undefined) return undefined
    const token = /^Bearer +([\w.~+/-]+=*) *$/i.exec(authorization)?.[1]
    // A gateway without credentials ignores a bearer token. A key of the gateway is refused, because it belongs to
    // another configuration.
    if (this.#open && !token?.startsWith(API_KEY_PREFIX)) return undefined
    if (token === undefined) {
      // Node joins repeated headers with commas.
      if (authorization.includes(','))
        throw malformed('There is more than one Authorization header; send one.')
      throw invalid(
        'Only "Authorization: Bearer" with a key or a token is known here.',
        this.#tokens.challenge(request),
      )
    }
    const digest = keyDigestOf(token)
    const key = this.#keys.known(digest)
    if (key) return lasting(key)
    if (this.#tokens.accepted && token.split('.').length === 3)
      return this.#token(token, digest, request, endpoint)
    return this.#unknownKey(token, digest, request)
  }

  #token(
    token: string,
    digest: string,
    request: IncomingMessage,
    endpoint: string,
  ): Verdict | Promise<Verdict> {
    const remembered = this.#tokens.remembered(digest, endpoint)
    const toVerdict = (verdict: NonNullable<typeof remembered>): Verdict => {
      const { credential, until } = verdict
      const { principal, expiresAt } = credential
      this.#callerTokens?.keep(principal.id, token, expiresAt)
      const forEndpoint = this.#tokens.isForAll(verdict) ? undefined : endpoint
      return { credential, until, endsAt: expiresAt, endpoint: forEndpoint }
    }
    return remembered
      ? toVerdict(remembered)
      : this.#tokens.verify(token, digest, request, endpoint).then(toVerdict)
  }

  async #unknownKey(token: string, digest: string, request: IncomingMessage): Promise<Verdict> {
    const credential =
      token.startsWith(API_KEY_PREFIX) && !this.#open ? await this.#keys.lookUp(digest) : undefined
    if (credential) return lasting(credential)
    throw invalid(
      `The key is not known here: it is mistyped, expired or revoked, or its client is in no configuration that the gateway has read. Ask the operator for a new one, ${CREATE_KEY}`,
      this.#tokens.challenge(request),
    )
  }
}

/** Most verdicts never expire and need no clock. */
function stillCounts({ credential, until, endsAt }: Verdict): boolean {
  const end = Math.min(endsAt, credential.expiresAt)
  return (until === Infinity || monotonicNow() < until) && (end === Infinity || Date.now() < end)
}

/** A credential that is valid everywhere until it expires. */
function lasting(credential: Credential): Verdict {
  return { credential, until: Infinity, endsAt: credential.expiresAt, endpoint: undefined }
}
