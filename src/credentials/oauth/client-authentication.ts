import { createPrivateKey, randomUUID } from 'node:crypto'
import type { JsonWebKey, KeyObject } from 'node:crypto'
import { OAuthFailure } from './failure.ts'
import type { AuthorizationServerMetadata } from './metadata.ts'
import type { ClientSettings, Registration } from './registration.ts'

/** How the gateway authenticates at a token endpoint. */
export interface ClientAuthentication {
  /** What a message calls the keys of it, such as `oauth`. */
  readonly key: string
  readonly clientId: string
  readonly clientSecret?: string | undefined
  /** PEM or JWK. */
  readonly privateKey?: string | undefined
  /** `undefined`: what the authorization server supports of what there is. */
  readonly method?: string | undefined
  /** Methods that the authorization server supports; `undefined`: it does not say. */
  readonly supported?: readonly string[] | undefined
  /** Algorithms that it supports for `private_key_jwt`; `undefined`: it does not say. */
  readonly algorithms?: readonly string[] | undefined
  /** Issuer of the authorization server, or its token endpoint where the issuer is not known. */
  readonly audience: string
}

const ASSERTION_TYPE = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer'
/** An assertion is used at once. */
const ASSERTION_SECONDS = 60

/** How the gateway authenticates at the authorization server of a server, by what is configured and registered. */
export function authenticationOf({
  oauth,
  registration,
  metadata,
}: {
  readonly oauth: Pick<ClientSettings, 'privateKey' | 'authMethod'>
  readonly registration: Registration
  readonly metadata: AuthorizationServerMetadata
}): ClientAuthentication {
  return {
    key: 'oauth',
    clientId: registration.clientId,
    clientSecret: registration.clientSecret,
    privateKey: oauth.privateKey,
    method: oauth.authMethod ?? registration.authMethod,
    supported: metadata.token_endpoint_auth_methods_supported,
    algorithms: metadata.token_endpoint_auth_signing_alg_values_supported,
    audience: metadata.issuer,
  }
}

/** Adds to a request what authenticates the gateway. @throws OAuthFailure that names the key to set */
export async function authenticateClient(
  form: URLSearchParams,
  headers: Headers,
  by: ClientAuthentication,
): Promise<void> {
  const { clientId, clientSecret = '' } = by
  switch (methodOf(by)) {
    case 'client_secret_basic':
      headers.set(
        'authorization',
        `Basic ${Buffer.from(`${quoted(clientId)}:${quoted(clientSecret)}`).toString('base64')}`,
      )
      return
    case 'client_secret_post':
      form.set('client_id', clientId)
      form.set('client_secret', clientSecret)
      return
    case 'private_key_jwt':
      form.set('client_id', clientId)
      form.set('client_assertion_type', ASSERTION_TYPE)
      form.set('client_assertion', await assertionOf(by))
      return
    default:
      form.set('client_id', clientId)
  }
}

/** RFC 6749, section 2.3.1: identifier and secret are form-encoded before they are joined. */
function quoted(text: string): string {
  return new URLSearchParams({ '': text }).toString().slice(1)
}

function methodOf({ method, supported, clientSecret, privateKey }: ClientAuthentication): string {
  if (method !== undefined) return method
  if (privateKey !== undefined) return 'private_key_jwt'
  if (clientSecret === undefined) return 'none'
  // RFC 8414: an authorization server that does not say has this one.
  const prefersPost = supported?.includes('client_secret_post') && !supported.includes('client_secret_basic')
  return prefersPost ? 'client_secret_post' : 'client_secret_basic'
}

async function assertionOf({
  key,
  clientId,
  privateKey,
  audience,
  algorithms,
}: ClientAuthentication): Promise<string> {
  return await signAssertion(signingKey(privateKey, key), algorithms, {
    iss: clientId,
    sub: clientId,
    aud: audience,
    lifetimeSeconds: ASSERTION_SECONDS,
  })
}

/** A key that signs, and what a verifier finds it by. */
export interface SigningKey {
  readonly key: KeyObject
  readonly kid: string | undefined
  readonly algorithms: readonly string[]
}

/**
 * The private key of a configuration: PEM, or a JWK as JSON.
 * @param of key of the configuration that it belongs to, for messages
 * @throws OAuthFailure
 */
export function signingKey(written: string | undefined, of: string): SigningKey {
  const text = (written ?? '').trim()
  try {
    const jwk = text.startsWith('{')
      ? (JSON.parse(text) as JsonWebKey & { kid?: unknown; alg?: unknown })
      : undefined
    const key = createPrivateKey(jwk ? { key: jwk, format: 'jwk' } : text)
    const algorithms = typeof jwk?.alg === 'string' ? [jwk.alg] : algorithmsOf(key)
    return { key, kid: typeof jwk?.kid === 'string' ? jwk.kid : undefined, algorithms }
  } catch (cause) {
    // The cause may quote the key.
    const code = (cause as { code?: unknown }).code
    const message = `${of}.privateKey is no private key. Fix: set it to a PEM text ("-----BEGIN PRIVATE KEY-----") or a private JWK.`
    throw new OAuthFailure(message, { detail: typeof code === 'string' ? code : undefined })
  }
}

/** The algorithms of a key, the most common first. */
function algorithmsOf(key: KeyObject): readonly string[] {
  switch (key.asymmetricKeyType) {
    case 'rsa':
      return ['RS256', 'PS256']
    case 'rsa-pss':
      return ['PS256']
    case 'ed25519':
      return ['EdDSA', 'Ed25519']
    case 'ec':
      return [
        { prime256v1: 'ES256', secp384r1: 'ES384', secp521r1: 'ES512' }[
          key.asymmetricKeyDetails?.namedCurve ?? ''
        ] ?? 'ES256',
      ]
    default:
      throw new TypeError('a key that cannot sign')
  }
}

/**
 * A JWT by which the gateway speaks for itself or for a subject.
 * @param supported algorithms of the authorization server; `undefined`: it does not say
 */
export async function signAssertion(
  { key, kid, algorithms }: SigningKey,
  supported: readonly string[] | undefined,
  claims: { iss: string; sub: string; aud: string; lifetimeSeconds: number },
): Promise<string> {
  const { SignJWT } = await import('jose')
  const alg = algorithms.find(name => supported?.includes(name)) ?? (algorithms[0] as string)
  return await new SignJWT()
    .setProtectedHeader({ alg, ...(kid !== undefined && { kid }) })
    .setIssuer(claims.iss)
    .setSubject(claims.sub)
    .setAudience(claims.aud)
    .setJti(randomUUID())
    .setIssuedAt()
    .setExpirationTime(`${claims.lifetimeSeconds}s`)
    .sign(key)
}
