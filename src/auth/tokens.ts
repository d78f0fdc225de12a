import type { IncomingMessage } from 'node:http'
import type { JWTPayload, ProtectedHeaderParameters } from 'jose'
import type { ClientConfig, JwtConfig } from '../config/types.ts'
import { monotonicNow } from '../core/clock.ts'
import { growingLru } from '../core/growing-lru.ts'
import { HttpError } from '../core/http-error.ts'
import type { Principal } from '../core/principal.ts'
import type { Credential, Evidence } from '../front/authenticator.ts'
import { forbidden, insufficient, invalid, type Challenge } from './challenge.ts'
import type { IssuerKeySets } from './issuer-key-sets.ts'
import type { IssuerKeys } from './issuer-keys.ts'
import type { Principals } from './principals.ts'
import type { Resources } from './resources.ts'

/** All headers of a request together are limited to 16 KiB. */
const MAX_CHARS = 8192
const MAX_SUBJECT_CHARS = 512
/** How long a verdict is cached, so that revoked issuer keys take effect. */
const BELIEVED_MS = 5 * 60_000
const MAX_REMEMBERED = 2000
/** RFC 9068 uses `at+jwt`; many issuers use `JWT`, or nothing. Any other type is not an access token. */
const TYPES: ReadonlySet<string> = new Set(['jwt', 'at+jwt'])

type TokenEvidence = Extract<Evidence, { by: 'token' }>

/** The cached result of verifying a token. */
export interface TokenVerdict {
  readonly credential: Credential
  /** Unix milliseconds. */
  readonly until: number
  readonly issuer: JwtConfig
  readonly audiences: readonly string[]
}

export interface TokensOptions {
  readonly jwt: readonly JwtConfig[]
  readonly clients: readonly ClientConfig[]
  readonly principals: Principals
  readonly resources: Resources
  readonly issuerKeys: IssuerKeySets
}

interface Issuer {
  readonly config: JwtConfig
  readonly keys: IssuerKeys
}

/**
 * Bearer tokens: JWTs of configured issuers, verified as by an OAuth 2.1 resource server (RFC 6750, RFC 9068, RFC
 * 8707). Only the configuration and the published keys of the issuer decide; a token only selects among them.
 */
export class Tokens {
  readonly #options: TokensOptions
  readonly #issuers: ReadonlyMap<string, Issuer>
  /** Clients by issuer and subject. */
  readonly #subjects = new Map<string, string>()
  readonly #verdicts = growingLru<string, TokenVerdict>(MAX_REMEMBERED)

  constructor(options: TokensOptions) {
    const { jwt, clients, issuerKeys } = options
    this.#options = options
    this.#issuers = new Map(jwt.map(config => [config.issuer, { config, keys: issuerKeys.of(config) }]))
    for (const { name, subjects } of clients)
      for (const subject of subjects) {
        const issuer = jwt.find(config => subject.startsWith(`${config.issuer} `))
        if (issuer) this.#subjects.set(subject, name)
        // With several issuers, a subject without an issuer would be ambiguous.
        else if (jwt.length === 1) this.#subjects.set(`${jwt[0]?.issuer} ${subject}`, name)
      }
  }

  /** Whether tokens are accepted at all. */
  get accepted(): boolean {
    return this.#issuers.size > 0
  }

  /**
   * The cached result of a token, when it is valid for the endpoint.
   * @param digest SHA-256 of the token
   */
  remembered(digest: string, endpoint: string): TokenVerdict | undefined {
    const verdict = this.#verdicts.get(digest)
    return verdict !== undefined &&
      verdict.until > monotonicNow() &&
      // The wall clock may have been set in the meantime.
      verdict.credential.expiresAt > Date.now() &&
      this.#isFor(verdict.issuer, verdict.audiences, endpoint)
      ? verdict
      : undefined
  }

  /** Whether a token is valid for every endpoint, not only for those it was issued for. */
  isForAll({ issuer }: TokenVerdict): boolean {
    return issuer.audience.length > 0
  }

  /** @throws HttpError 401, 403, 503 */
  async verify(
    token: string,
    digest: string,
    request: IncomingMessage,
    endpoint: string,
  ): Promise<TokenVerdict> {
    const challenge = this.challenge(request)
    if (token.length > MAX_CHARS)
      throw invalid(`The token is longer than ${MAX_CHARS} characters.`, challenge)
    const { decodeJwt, decodeProtectedHeader, jwtVerify } = await import('jose')
    let header: ProtectedHeaderParameters
    let claimed: JWTPayload
    try {
      header = decodeProtectedHeader(token)
      claimed = decodeJwt(token)
    } catch {
      throw invalid('The token is no JWT.', challenge)
    }
    const issuer = typeof claimed.iss === 'string' ? this.#issuers.get(claimed.iss) : undefined
    if (!issuer) throw invalid('The token is of an issuer that is not accepted here.', challenge)
    const type = header.typ === undefined ? 'jwt' : String(header.typ).toLowerCase()
    if (!TYPES.has(type.replace(/^application\//, '')))
      throw invalid('The token is no access token (typ).', challenge)
    const { config } = issuer
    let payload: JWTPayload
    let algorithm: string
    try {
      const verified = await jwtVerify(token, issuer.keys.key, {
        algorithms: [...config.algorithms],
        issuer: config.issuer,
        requiredClaims: ['exp', 'sub', 'aud'],
        clockTolerance: config.clockToleranceMs / 1000,
      })
      payload = verified.payload
      algorithm = verified.protectedHeader.alg
    } catch (error) {
      if (error instanceof HttpError) throw error
      throw invalid(reasonOf(error), challenge)
    }
    const audiences = (Array.isArray(payload.aud) ? payload.aud : [payload.aud]).filter(
      audience => typeof audience === 'string',
    )
    // The token is bound to a key that the request does not prove, so it may be stolen (RFC 8705, RFC 9449).
    if (payload.cnf !== undefined)
      throw invalid('The token is bound to a key, which cannot be checked here.', challenge)
    const expiresAt = (payload.exp as number) * 1000
    const verdict: TokenVerdict = {
      credential: {
        principal: this.#principalOf(payload, config, challenge),
        expiresAt: expiresAt + config.clockToleranceMs,
        renewable: true,
        evidence: {
          by: 'token',
          issuer: config.issuer,
          subject: payload.sub as string,
          scopes: scopesOf(payload),
          audiences,
          algorithm,
          jwks: config.jwks,
          expiresAt,
        },
      },
      until: monotonicNow() + BELIEVED_MS,
      issuer: config,
      audiences,
    }
    if (!this.#isFor(config, audiences, endpoint))
      throw invalid('The token was issued for something else (aud).', challenge)
    this.#verdicts.set(digest, verdict)
    return verdict
  }

  /** The challenge for a caller without credentials. */
  challenge(request: IncomingMessage): Challenge {
    const { jwt, resources } = this.#options
    return {
      metadata: resources.metadataUrl(request),
      scopes: jwt.length === 1 ? (jwt[0]?.requiredScopes ?? []) : [],
    }
  }

  #isFor(issuer: JwtConfig, audiences: readonly string[], endpoint: string): boolean {
    return issuer.audience.length > 0
      ? audiences.some(audience => issuer.audience.includes(audience))
      : this.#options.resources.accepts(audiences, endpoint)
  }

  /**
   * The credential, in this configuration, of a token that was verified under another one. Only the token itself could
   * show that a key set at another address has its key: it is not kept, so the token is refused then.
   */
  renewed(credential: Credential, evidence: TokenEvidence, endpoint: string): Credential | undefined {
    const config = this.#issuers.get(evidence.issuer)?.config
    if (
      config === undefined ||
      config.jwks !== evidence.jwks ||
      !config.algorithms.includes(evidence.algorithm) ||
      !this.#isFor(config, evidence.audiences, endpoint)
    )
      return undefined
    const claims = { sub: evidence.subject, scope: evidence.scopes.join(' ') }
    try {
      return {
        ...credential,
        principal: this.#principalOf(claims, config, { metadata: undefined, scopes: [] }),
        expiresAt: evidence.expiresAt + config.clockToleranceMs,
      }
    } catch {
      return undefined
    }
  }

  #principalOf(payload: JWTPayload, config: JwtConfig, challenge: Challenge): Principal {
    const { principals } = this.#options
    const subject = payload.sub
    if (typeof subject !== 'string' || subject === '' || subject.length > MAX_SUBJECT_CHARS)
      throw invalid('The token names no subject (sub).', challenge)
    const scopes = scopesOf(payload)
    const lacking = config.requiredScopes.filter(scope => !scopes.includes(scope))
    if (lacking.length > 0)
      throw insufficient(`The token lacks the scope ${lacking.join(', ')}.`, {
        ...challenge,
        scopes: config.requiredScopes,
      })
    const roles = [...new Set(scopes.flatMap(scope => ownValue(config.scopes, scope) ?? []))].sort()
    const client = this.#subjects.get(`${config.issuer} ${subject}`)
    if (client !== undefined) {
      const principal = principals.client(client, roles)
      if (principal) return principal
    }
    if (config.client === undefined && roles.length === 0) {
      const known = Object.keys(config.scopes)
      if (known.length === 0) throw forbidden('The subject of the token is not known here.')
      throw insufficient('The token has no scope that allows anything here.', {
        ...challenge,
        scopes: [...new Set([...config.requiredScopes, ...known])],
      })
    }
    return principals.user(config.issuer, subject, config.client, roles)
  }
}

/** `scope` of RFC 9068, and `scp` of some issuers. */
function scopesOf({ scope, scp }: JWTPayload & { scope?: unknown; scp?: unknown }): string[] {
  return [scope, scp].flatMap((value: unknown) =>
    typeof value === 'string'
      ? value.split(' ').filter(name => name !== '')
      : Array.isArray(value)
        ? value.filter(name => typeof name === 'string')
        : [],
  )
}

function ownValue<T>(table: Readonly<Record<string, T>>, key: string): T | undefined {
  return Object.hasOwn(table, key) ? table[key] : undefined
}

/** Why a token is invalid, from the errors of `jose`; safe to show to its sender. */
function reasonOf(error: unknown): string {
  const { code, claim } = error as { code?: unknown; claim?: unknown }
  switch (code) {
    case 'ERR_JWT_EXPIRED':
      return 'The token has expired.'
    case 'ERR_JWT_CLAIM_VALIDATION_FAILED':
      return claim === 'nbf'
        ? 'The token is not valid yet.'
        : `The token lacks a claim, or has a wrong one (${String(claim)}).`
    case 'ERR_JOSE_ALG_NOT_ALLOWED':
      return 'The token is signed with an algorithm that is not accepted here.'
    case 'ERR_JWKS_NO_MATCHING_KEY':
      return 'The token is signed with a key that its issuer does not publish.'
    case 'ERR_JWKS_MULTIPLE_MATCHING_KEYS':
      return 'The token does not say which of several keys it is signed with (kid).'
    case 'ERR_JWS_SIGNATURE_VERIFICATION_FAILED':
      return 'The signature of the token is not valid.'
    default:
      return 'The token is not valid.'
  }
}
