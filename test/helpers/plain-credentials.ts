import { createHash, randomBytes } from 'node:crypto'
import type { ServerConfig } from '../../src/config/types.ts'
import { GatewayError } from '../../src/core/errors.ts'
import type { Authorizer, PendingAuthorization } from '../../src/credentials/oauth/authorization.ts'
import { ownerOf } from '../../src/credentials/owner.ts'
import type { CredentialParts } from '../../src/gateway/server-logins.ts'
import { OpenVault } from './login-doubles.ts'

/** The least that logs in at a real authorization server: registration, code with PKCE, bearer tokens, no renewal. */
export class PlainCredentials implements CredentialParts {
  readonly vault = new OpenVault()
  readonly authorizer: Authorizer = {
    begin: (server, owner, redirectUri) => this.#begin(server, owner, redirectUri),
    finish: (pending, callback) => this.#finish(pending, callback),
  }

  readonly source: CredentialParts['source'] = (server, principal) => {
    if (server.oauth === false) return undefined
    const owner = principal ? ownerOf(server, principal) : 'gateway'
    const name = { kind: 'tokens', server: server.name, owner } as const
    return {
      headers: async () => {
        const record = await this.vault.read<{ accessToken: string }>(name)
        return record ? ['authorization', `Bearer ${record.value.accessToken}`] : []
      },
      refused: async () => {
        await this.vault.remove(name)
        return new GatewayError('needs_login', `Server "${server.name}" needs a login.`, {
          server: server.name,
        })
      },
    }
  }

  async #begin({ name, replicas }: ServerConfig, owner: string, redirectUri: string) {
    const url = new URL(replicas[0]?.endpoint.url ?? '')
    const about = await json(`${url.origin}/.well-known/oauth-protected-resource${url.pathname}`)
    const issuer = String((about.authorization_servers as string[])[0])
    const at = await json(`${issuer}/.well-known/oauth-authorization-server`)
    const registered = await json(String(at.registration_endpoint), {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({
        client_name: 'plain',
        redirect_uris: [redirectUri],
        token_endpoint_auth_method: 'none',
        application_type: 'native',
      }),
    })
    const [state, verifier] = [randomBytes(24).toString('base64url'), randomBytes(32).toString('base64url')]
    const pending: PendingAuthorization = {
      server: name,
      owner,
      state,
      verifier,
      redirectUri,
      issuer,
      clientId: String(registered.client_id),
      tokenEndpoint: String(at.token_endpoint),
      resource: url.href,
      scope: 'mcp',
      startedAt: Date.now(),
    }
    const asked = new URL(String(at.authorization_endpoint))
    asked.search = new URLSearchParams({
      client_id: pending.clientId,
      response_type: 'code',
      redirect_uri: redirectUri,
      scope: 'mcp',
      state,
      code_challenge: createHash('sha256').update(verifier).digest('base64url'),
      code_challenge_method: 'S256',
      resource: url.href,
    }).toString()
    return { url: asked.href, pending }
  }

  async #finish(pending: PendingAuthorization, callback: URLSearchParams): Promise<void> {
    const { clientId, tokenEndpoint, redirectUri, verifier, resource = '', server, owner, issuer } = pending
    const tokens = await json(tokenEndpoint, {
      method: 'POST',
      body: new URLSearchParams({
        grant_type: 'authorization_code',
        client_id: clientId,
        code: callback.get('code') ?? '',
        redirect_uri: redirectUri,
        code_verifier: verifier,
        resource,
      }),
    })
    if (typeof tokens.access_token !== 'string') throw new Error('no token')
    const value = { accessToken: tokens.access_token, obtainedAt: Date.now() }
    await this.vault.write({ kind: 'tokens', server, owner }, { issuer, value })
  }
}

async function json(url: string, init?: RequestInit): Promise<Record<string, unknown>> {
  return (await (await fetch(url, init)).json()) as Record<string, unknown>
}
