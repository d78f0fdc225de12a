import { createHash, createPrivateKey, generateKeyPairSync, randomUUID, sign } from 'node:crypto'
import type { JsonWebKey, KeyObject } from 'node:crypto'

/** A nonce is a short text; a longer one is not believed. */
const MAX_NONCE_CHARS = 1024
/** Origins whose nonce is kept: the authorization server and the server, and those that they moved from. */
const MAX_NONCES = 8

export const DPOP_ALGORITHM = 'ES256'
const ES256_KEY = ['crv', 'd', 'kty', 'x', 'y'] as const

/**
 * The key that the tokens of one account are bound to, and the proofs that it is here (DPoP, RFC 9449). A proof is made
 * at once, without a promise: every request to the server has one of its own.
 */
export class DpopKey {
  /** The private key, to be kept with the tokens. */
  readonly jwk: JsonWebKey
  readonly #key: KeyObject
  readonly #header: string
  /** Origin → the nonce that it gave last. */
  readonly #nonces = new Map<string, string>()

  private constructor(key: KeyObject) {
    this.#key = key
    this.jwk = key.export({ format: 'jwk' })
    const { crv, kty, x, y } = this.jwk
    this.#header = encoded({ typ: 'dpop+jwt', alg: DPOP_ALGORITHM, jwk: { crv, kty, x, y } })
  }

  static generate(): DpopKey {
    return new DpopKey(generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey)
  }

  /** A key that was kept. `undefined`: it is none. */
  static from(jwk: JsonWebKey): DpopKey | undefined {
    if (jwk.crv !== 'P-256' || ES256_KEY.some(member => typeof jwk[member] !== 'string')) return undefined
    try {
      return new DpopKey(createPrivateKey({ key: jwk, format: 'jwk' }))
    } catch {
      return undefined
    }
  }

  /**
   * The value of the header `dpop` for one request.
   * @param url without regard to its query and fragment
   * @param accessToken that the request carries; none at a token endpoint
   */
  proof(method: string, url: string, accessToken?: string): string {
    const { origin, href } = new URL(url)
    const nonce = this.#nonces.get(origin)
    const signed = `${this.#header}.${encoded({
      jti: randomUUID(),
      htm: method,
      htu: href.replace(/[?#].*$/s, ''),
      iat: Math.floor(Date.now() / 1000),
      ...(accessToken !== undefined && { ath: createHash('sha256').update(accessToken).digest('base64url') }),
      ...(nonce !== undefined && { nonce }),
    })}`
    const signature = sign('sha256', Buffer.from(signed), { key: this.#key, dsaEncoding: 'ieee-p1363' })
    return `${signed}.${signature.toString('base64url')}`
  }

  /** Whether the proof in a list of headers lacks the nonce that its origin has given last. */
  lacksNonce(url: string, sent: readonly string[]): boolean {
    const nonce = this.#nonces.get(new URL(url).origin)
    const at = sent.indexOf('dpop')
    return nonce !== undefined && at >= 0 && nonceIn(sent[at + 1] ?? '') !== nonce
  }

  /**
   * Keeps the nonce of a response for the next requests to its origin.
   * @returns whether it is new
   */
  noteNonce(url: string, nonce: string | null | undefined): boolean {
    if (nonce === null || nonce === undefined || !/^[\x21-\x7e]+$/.test(nonce)) return false
    if (nonce.length > MAX_NONCE_CHARS) return false
    const { origin } = new URL(url)
    if (this.#nonces.get(origin) === nonce) return false
    this.#nonces.delete(origin)
    this.#nonces.set(origin, nonce)
    const [oldest] = this.#nonces.keys()
    if (this.#nonces.size > MAX_NONCES && oldest !== undefined) this.#nonces.delete(oldest)
    return true
  }
}

/** Whether a challenge (`www-authenticate`) asks for a proof with the nonce that came beside it. */
export function asksForNonce(wwwAuthenticate: string | undefined): boolean {
  return wwwAuthenticate !== undefined && /\bDPoP\b[^]*\berror="?use_dpop_nonce\b/i.test(wwwAuthenticate)
}

/** Of a proof of this gateway. */
function nonceIn(proof: string): string | undefined {
  const [, payload = ''] = proof.split('.')
  const claims = JSON.parse(Buffer.from(payload, 'base64url').toString()) as { readonly nonce?: string }
  return claims.nonce
}

function encoded(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url')
}
