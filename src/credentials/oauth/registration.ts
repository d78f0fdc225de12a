import { jsonObjectIn } from '../../core/json-object.ts'
import { isLoopback } from '../../core/loopback.ts'
import type { OAuthConfig } from '../../config/types.ts'
import type { RecordName, Vault } from '../../vault/vault.ts'
import type { GuardedFetch } from '../fetch/guarded-fetch.ts'
import { GATEWAY_OWNER } from '../owner.ts'
import { OAuthFailure } from './failure.ts'
import { isSameIssuer } from './issuer.ts'
import type { AuthorizationServerMetadata } from './metadata.ts'

/** What an authorization server knows the gateway as. */
export interface Registration {
  readonly clientId: string
  readonly clientSecret?: string
  /** `configured`: by the file; `document`: by the address of a document (CIMD); `dynamic`: by registration (DCR). */
  readonly kind: 'configured' | 'document' | 'dynamic'
  /** Of a dynamic registration: the address it was made with. */
  readonly redirectUri?: string
  /** Of a dynamic registration: the name it was made with. */
  readonly clientName?: string
  /** Of a dynamic registration: the grant that it was made for, besides the codes of browsers. */
  readonly grantType?: string
  /** Of a dynamic registration: how the gateway authenticates at the token endpoint, as the server has decided. */
  readonly authMethod?: string
  /** Of a dynamic registration: Unix milliseconds at which the secret ends. */
  readonly secretExpiresAt?: number
}

/** What the configuration says of the gateway as a client. */
export type ClientSettings = Pick<
  OAuthConfig,
  'clientId' | 'clientSecret' | 'clientMetadataUrl' | 'privateKey' | 'authMethod'
>

export interface RegistrationRequest {
  readonly server: string
  readonly oauth: OAuthConfig
  readonly metadata: AuthorizationServerMetadata
  readonly redirectUri: string
  /** A grant besides the codes of browsers, which authorization servers allow only where it was registered. */
  readonly grantType?: string | undefined
  readonly vault: Vault
  readonly fetch: GuardedFetch
  readonly signal: AbortSignal
}

/** For grants without a browser: some authorization servers want an address nevertheless. */
export const NO_REDIRECT = 'http://127.0.0.1/callback'

const MAX_ID = 2048
/** Methods in the order in which the gateway takes them, where it has no secret yet. */
const METHODS = ['none', 'client_secret_basic', 'client_secret_post'] as const
/** Methods that an authorization server may decide on. */
const DECIDED = [...METHODS, 'private_key_jwt'] as const

function registrationRecord(server: string): RecordName {
  return { kind: 'registration', server, owner: GATEWAY_OWNER }
}

/** The registration that needs no request: that of the file, or a document that the authorization server reads. */
export function knownRegistration(
  oauth: ClientSettings,
  metadata: AuthorizationServerMetadata,
): Registration | undefined {
  const { clientId, clientSecret, clientMetadataUrl } = oauth
  if (clientId !== undefined)
    return { kind: 'configured', clientId, ...(clientSecret !== undefined && { clientSecret }) }
  if (clientMetadataUrl !== undefined && metadata.client_id_metadata_document_supported)
    return { kind: 'document', clientId: clientMetadataUrl }
  return undefined
}

/**
 * What the gateway is known as: the configured identifier, else its document, else the registration that was made for
 * this address and issuer, else a new one. @throws OAuthFailure that names the key to set
 */
export async function registrationFor(request: RegistrationRequest): Promise<Registration> {
  const { server, oauth, metadata, vault } = request
  const known = knownRegistration(oauth, metadata)
  if (known) return known
  const name = registrationRecord(server)
  return await vault.exclusively(name, async () => {
    const kept = await vault.read<Registration>(name)
    if (kept && isSameIssuer(kept.issuer, metadata.issuer) && isUsable(kept.value, request)) return kept.value
    const made = await register(request)
    await vault.write(name, { issuer: metadata.issuer, value: made })
    return made
  })
}

function isUsable(
  { redirectUri, clientName, grantType, secretExpiresAt }: Registration,
  request: Pick<RegistrationRequest, 'redirectUri' | 'grantType' | 'oauth'>,
): boolean {
  return (
    redirectUri === request.redirectUri &&
    clientName === request.oauth.clientName &&
    grantType === request.grantType &&
    (secretExpiresAt === undefined || secretExpiresAt > Date.now())
  )
}

/** What is kept of a registration with what was got by it: one that was made may be replaced for another address. */
export function keptRegistration(registration: Registration): { readonly registration?: Registration } {
  return registration.kind === 'dynamic' ? { registration } : {}
}

/** The registration with which a login was begun or got. `undefined`: it is gone, and the login cannot go on. */
export async function registrationOf(
  { clientId, registration: own }: { readonly clientId: string; readonly registration?: Registration },
  {
    server,
    oauth,
    metadata,
    vault,
  }: Pick<RegistrationRequest, 'server' | 'metadata' | 'vault'> & { readonly oauth: ClientSettings },
): Promise<Registration | undefined> {
  const known = knownRegistration(oauth, metadata)
  if (known?.clientId === clientId) return known
  if (own) return own
  const kept = await vault.read<Registration>(registrationRecord(server))
  if (!kept || !isSameIssuer(kept.issuer, metadata.issuer)) return undefined
  return kept.value.clientId === clientId ? kept.value : undefined
}

/** Forgets a registration that the authorization server no longer knows. The next login makes another. */
export async function forgetRegistration(vault: Vault, server: string, clientId: string): Promise<boolean> {
  return await vault.remove(
    registrationRecord(server),
    ({ value }) => (value as Partial<Registration>).clientId === clientId,
  )
}

async function register(request: RegistrationRequest): Promise<Registration> {
  const { server, oauth, metadata, redirectUri, grantType, fetch, signal } = request
  const { host } = new URL(metadata.issuer)
  const endpoint = metadata.registration_endpoint
  const byHand = `Register an app there with the redirect address ${redirectUri}, and set "mcpServers.${server}.oauth.clientId".`
  if (endpoint === undefined)
    throw new OAuthFailure(
      `The authorization server ${host} of server "${server}" does not let the gateway register itself. Fix: ${byHand}`,
    )
  const method = oauth.authMethod ?? methodFor(metadata.token_endpoint_auth_methods_supported)
  const more = grantType === undefined ? [] : [grantType]
  let response: Response
  try {
    response = await fetch(endpoint, {
      method: 'POST',
      headers: { 'content-type': 'application/json', accept: 'application/json' },
      body: JSON.stringify({
        client_name: oauth.clientName,
        redirect_uris: [redirectUri],
        grant_types: ['authorization_code', 'refresh_token', ...more],
        response_types: ['code'],
        token_endpoint_auth_method: method,
        // Without scopes: a registration for those of this login would refuse the next one that needs more.
        application_type: isLoopback(new URL(redirectUri).hostname) ? 'native' : 'web',
      }),
      redirect: 'error',
      signal,
    })
  } catch (cause) {
    signal.throwIfAborted()
    const why = cause instanceof Error ? cause.message : ''
    throw new OAuthFailure(
      `The gateway could not register itself at ${host} for server "${server}". ${why} Or: ${byHand}`,
      { cause, isTransient: true },
    )
  }
  const body = jsonObjectIn(await response.text())
  const clientId = body?.['client_id']
  if (response.ok && typeof clientId === 'string' && clientId !== '' && clientId.length <= MAX_ID)
    return {
      ...registrationIn(clientId, body ?? {}, method),
      redirectUri,
      clientName: oauth.clientName,
      ...(grantType !== undefined && { grantType }),
    }
  throw refusal(response, body, { server, host, redirectUri, byHand })
}

function registrationIn(
  clientId: string,
  body: Readonly<Record<string, unknown>>,
  asked: string,
): Registration {
  const { client_secret: secret, client_secret_expires_at: ends, token_endpoint_auth_method: decided } = body
  const clientSecret = typeof secret === 'string' && secret.length <= MAX_ID ? secret : undefined
  const authMethod = DECIDED.find(method => method === decided) ?? asked
  return {
    kind: 'dynamic',
    clientId,
    authMethod: clientSecret === undefined && authMethod !== 'private_key_jwt' ? 'none' : authMethod,
    ...(clientSecret !== undefined && { clientSecret }),
    ...(typeof ends === 'number' && ends > 0 && { secretExpiresAt: ends * 1000 }),
  }
}

function methodFor(supported: readonly string[] | undefined): string {
  if (!supported) return 'none'
  return METHODS.find(method => supported.includes(method)) ?? 'none'
}

/** A refusal, a page in place of JSON, or an answer without an identifier: none is a fault of the connection. */
function refusal(
  response: Response,
  body: Readonly<Record<string, unknown>> | undefined,
  about: {
    readonly server: string
    readonly host: string
    readonly redirectUri: string
    readonly byHand: string
  },
): OAuthFailure {
  const { server, host, redirectUri, byHand } = about
  const { status } = response
  const error = typeof body?.['error'] === 'string' ? body['error'] : undefined
  const description = body?.['error_description']
  const detail = [error, description].filter(text => typeof text === 'string').join(': ') || undefined
  const isTransient = status === 429 || status >= 500
  const more = { code: error === 'invalid_redirect_uri' ? error : undefined, detail, isTransient }
  if (error === 'invalid_redirect_uri')
    return new OAuthFailure(
      `The authorization server ${host} of server "${server}" does not accept the redirect address ${redirectUri}. Fix: set "oauth.redirect" to one that it accepts. Or: ${byHand}`,
      more,
    )
  if (response.ok)
    return new OAuthFailure(
      `The authorization server ${host} of server "${server}" answered a registration with what is none. Fix: ${byHand}`,
      more,
    )
  const fix =
    status === 403
      ? `${byHand} Or set "oauth.clientName" to a name that it accepts.`
      : isTransient
        ? `Try again later. Or: ${byHand}`
        : byHand
  return new OAuthFailure(
    `The authorization server ${host} of server "${server}" refuses the registration of the gateway (status ${status}). Fix: ${fix}`,
    more,
  )
}
