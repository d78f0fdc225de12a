import { createHash, randomBytes } from 'node:crypto'
import type { ServerConfig } from '../../config/types.ts'
import type { Logger } from '../../core/logger.ts'
import { redact } from '../../observe/redact.ts'
import type {
  AuthorizationRequest,
  Authorizer,
  DeviceRequest,
  PendingAuthorization,
} from '../oauth/authorization.ts'
import { DpopKey } from '../oauth/dpop-key.ts'
import { OAuthFailure } from '../oauth/failure.ts'
import { beginDevice, DEVICE_CODE } from '../oauth/grants/device.ts'
import { requestGrant } from '../oauth/grants/granted.ts'
import type { Discovered } from '../oauth/discovery.ts'
import type { AuthorizationServerMetadata } from '../oauth/metadata.ts'
import {
  forgetRegistration,
  keptRegistration,
  NO_REDIRECT,
  registrationFor,
  registrationOf,
  type Registration,
} from '../oauth/registration.ts'
import { scopesOf } from '../oauth/scopes.ts'
import type { TokenSet } from '../oauth/token-set.ts'
import type { Account } from './account.ts'
import type { Accounts } from './accounts.ts'
import type { ServerLogin } from './server-login.ts'

const S256 = 'S256'
const MAX_CODE = 8192
/** More than browsers and servers take is never asked for. */
const MAX_ADDRESS = 16_384

/** What is shown of the errors that a browser brings back (RFC 6749, 8707). Others are not shown. */
const REFUSALS: Readonly<Record<string, string>> = {
  access_denied: 'The permission was refused. Log in again to give it.',
  invalid_scope: 'Set "oauth.scopes" to scopes that exist there.',
  invalid_target: 'Set "oauth.resource" to "none": the authorization server refuses the resource.',
  invalid_request: 'Check "oauth.redirect" and "oauth.clientId" against what is registered there.',
  unauthorized_client: 'Check "oauth.clientId" and what it is allowed there.',
  invalid_client: 'Check "oauth.clientId".',
  unsupported_response_type: 'Allow the authorization code for this app there.',
  temporarily_unavailable: 'Try again later.',
  server_error: 'Try again later.',
  login_required: 'Log in again.',
  consent_required: 'Log in again.',
}
/** With these, a registration that the gateway made itself is believed to be gone. */
const FORGOTTEN = new Set(['invalid_client', 'unauthorized_client'])

/** Logins by authorization code with PKCE (OAuth 2.1), and by device code. */
export class CodeAuthorizer implements Authorizer {
  readonly #accounts: Accounts
  readonly #logger: Logger

  constructor(accounts: Accounts, logger: Logger) {
    this.#accounts = accounts
    this.#logger = logger
  }

  async begin(server: ServerConfig, owner: string, redirectUri: string): Promise<AuthorizationRequest> {
    const account = this.#accounts.account(server, owner)
    const { login } = account
    return await this.#logged(server.name, async () => {
      const found = await login.discover(account.asked.resourceMetadata)
      await login.checkIssuer(found)
      const { metadata } = found
      const { authorization_endpoint: endpoint, token_endpoint: tokenEndpoint } = metadata
      const { host } = new URL(metadata.issuer)
      if (endpoint === undefined || tokenEndpoint === undefined)
        throw new OAuthFailure(
          `The authorization server ${host} of server "${server.name}" has no login in a browser. Fix: set "oauth.grant" to one that it has.`,
        )
      if (
        metadata.code_challenge_methods_supported &&
        !metadata.code_challenge_methods_supported.includes(S256)
      )
        throw new OAuthFailure(
          `The authorization server ${host} of server "${server.name}" does not support PKCE with S256, without which a login is not safe. Fix: use another one with "oauth.issuer".`,
        )
      const resource = login.resource(found)
      const scopes = await scopesFor(account, found)
      const registration = await registeredFor(login, metadata, redirectUri)
      const pending: PendingAuthorization = {
        server: server.name,
        owner,
        serverUrl: login.url,
        state: randomBytes(32).toString('base64url'),
        verifier: randomBytes(48).toString('base64url'),
        redirectUri,
        issuer: metadata.issuer,
        clientId: registration.clientId,
        ...keptRegistration(registration),
        tokenEndpoint,
        resource,
        scope: scopes?.join(' '),
        startedAt: Date.now(),
        expectsIssuer: metadata.authorization_response_iss_parameter_supported === true,
        bindsTokens: login.bindsTokens(found, account.asked.takesProof),
      }
      const url = addressOf(endpoint, pending, login.oauth.extraParams)
      if (url.length > MAX_ADDRESS)
        throw new OAuthFailure(
          `The login to server "${server.name}" would ask for too much: its address has ${url.length} characters, with ${scopes?.length ?? 0} scopes. Fix: set "oauth.scopes" to those that are needed.`,
        )
      return { url, pending }
    })
  }

  async finish(pending: PendingAuthorization, callback: URLSearchParams): Promise<void> {
    const account = this.#accounts.known(pending.server, pending.owner)
    if (!account)
      throw new OAuthFailure(
        `Server "${pending.server}" is no longer configured, or needs no login. Fix: nothing; this login is over.`,
      )
    const { login } = account
    const { server, issuer, serverUrl, clientId } = pending
    if (!login.trusts({ issuer, value: { serverUrl, clientId } }))
      throw new OAuthFailure(
        `Server "${server}" was configured anew after this login began, and its tokens would go to another place. Fix: log in again.`,
      )
    await this.#logged(pending.server, async () => {
      const code = await this.#codeIn(pending, callback)
      const metadata = { ...(await login.issuer(pending.issuer)), token_endpoint: pending.tokenEndpoint }
      const { oauth, vault } = login
      const registration = await registrationOf(pending, {
        server: pending.server,
        oauth,
        metadata,
        vault,
      })
      if (!registration)
        throw new OAuthFailure(
          `The registration with which the login to server "${pending.server}" began is gone. Fix: log in again.`,
        )
      const context = login.context({
        metadata,
        registration,
        resource: pending.resource,
        dpop: pending.bindsTokens ? DpopKey.generate() : undefined,
      })
      let tokens: TokenSet
      try {
        tokens = await requestGrant(context, {
          grant_type: 'authorization_code',
          code,
          redirect_uri: pending.redirectUri,
          code_verifier: pending.verifier,
        })
      } catch (caught) {
        throw await this.#forgetting(pending, caught)
      }
      const scope = tokens.scope ?? pending.scope
      await account.save(pending.issuer, { ...tokens, ...(scope !== undefined && { scope }) })
    })
  }

  async beginDevice(server: ServerConfig, owner: string, signal: AbortSignal): Promise<DeviceRequest> {
    const account = this.#accounts.account(server, owner)
    const { login } = account
    return await this.#logged(server.name, async () => {
      const found = await login.discover(account.asked.resourceMetadata)
      await login.checkIssuer(found)
      const { metadata } = found
      const scopes = await scopesFor(account, found)
      const registration = await registeredFor(login, metadata, NO_REDIRECT, DEVICE_CODE)
      const resource = login.resource(found)
      const dpop = login.bindsTokens(found, account.asked.takesProof) ? DpopKey.generate() : undefined
      const context = login.context({ metadata, registration, resource, scopes, dpop })
      const ended = AbortSignal.any([login.ended, signal])
      const device = await beginDevice({ ...context, signal: ended })
      const done = this.#logged(server.name, async () => {
        const tokens = await device.tokens
        ended.throwIfAborted()
        await account.save(metadata.issuer, tokens)
      })
      done.catch(() => undefined)
      return {
        verificationUri: device.completeUri ?? device.verificationUri,
        userCode: device.userCode,
        expiresInSeconds: device.expiresInSeconds,
        done,
      }
    })
  }

  /** The code of a callback. `iss` comes first (RFC 9207): the errors of another server are of no interest. */
  async #codeIn(pending: PendingAuthorization, callback: URLSearchParams): Promise<string> {
    const { server, state, issuer } = pending
    const refuse = (cause: string): never => {
      throw new OAuthFailure(`The login to server "${server}" ${cause}. Fix: log in again.`)
    }
    if (callback.get('state') !== state) return refuse('came back with a state that is not its own')
    const iss = callback.get('iss')
    if (iss === null ? pending.expectsIssuer : iss !== issuer)
      return refuse(
        iss === null
          ? 'came back without the issuer that its authorization server promises to name'
          : 'came back from another authorization server',
      )
    const error = callback.get('error')
    if (error !== null) {
      const known = Object.hasOwn(REFUSALS, error) ? error : undefined
      const failure = new OAuthFailure(
        `The authorization server of server "${server}" refused the login${known === undefined ? '' : ` (${known})`}. Fix: ${known === undefined ? 'Its page, or the log of the gateway, has the cause.' : REFUSALS[known]}`,
        { code: known, detail: [error, callback.get('error_description') ?? ''].join(': ') },
      )
      throw await this.#forgetting(pending, failure)
    }
    const code = callback.get('code')
    if (code === null || code === '' || code.length > MAX_CODE) return refuse('came back without a code')
    return code
  }

  /** A registration that the authorization server does not know any more is made anew by the next login. */
  async #forgetting({ server, clientId }: PendingAuthorization, caught: unknown): Promise<unknown> {
    if (!(caught instanceof OAuthFailure) || !FORGOTTEN.has(caught.code ?? '')) return caught
    const { vault } = this.#accounts
    if (!(await forgetRegistration(vault, server, clientId))) return caught
    return new OAuthFailure(
      `The authorization server of server "${server}" has forgotten the registration of the gateway. Fix: log in again; the gateway registers itself anew.`,
      { code: caught.code, detail: caught.detail, cause: caught },
    )
  }

  /** What an authorization server says of a failure stands in the log alone. */
  async #logged<T>(server: string, run: () => Promise<T>): Promise<T> {
    try {
      return await run()
    } catch (caught) {
      const detail = caught instanceof OAuthFailure ? caught.detail : undefined
      if (detail !== undefined)
        this.#logger.warn('the authorization server refused a request', {
          server,
          detail: redact(detail).slice(0, 500),
        })
      throw caught
    }
  }
}

async function scopesFor(
  account: Account,
  { metadata, resource }: Discovered,
): Promise<readonly string[] | undefined> {
  return scopesOf({
    configured: account.login.oauth.scopes,
    challenged: account.asked.scope,
    resource: resource?.scopes_supported,
    issuer: metadata.scopes_supported,
    wanted: await account.wantedScope(),
  })
}

async function registeredFor(
  { server, oauth, vault, fetch, signal }: ServerLogin,
  metadata: AuthorizationServerMetadata,
  redirectUri: string,
  grantType?: string,
): Promise<Registration> {
  const asked = { server: server.name, oauth, metadata, redirectUri, grantType }
  return await registrationFor({ ...asked, vault, fetch, signal })
}

function addressOf(
  endpoint: string,
  pending: PendingAuthorization,
  extra: Readonly<Record<string, string>>,
): string {
  const url = new URL(endpoint)
  const { searchParams: query } = url
  const parameters = {
    ...(pending.scope?.split(' ').includes('offline_access') && { prompt: 'consent' }),
    ...extra,
    response_type: 'code',
    client_id: pending.clientId,
    redirect_uri: pending.redirectUri,
    state: pending.state,
    code_challenge: createHash('sha256').update(pending.verifier).digest('base64url'),
    code_challenge_method: S256,
    scope: pending.scope,
    resource: pending.resource,
  }
  for (const [name, value] of Object.entries(parameters)) if (value !== undefined) query.set(name, value)
  return url.href
}
