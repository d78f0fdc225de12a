import { createHash, randomUUID } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

/** What is odd about it. It may be changed while it runs. */
export interface Oddities {
  /** `names`: only these names of clients, others get 403 and a page. Default: open. */
  registration?: 'open' | 'none' | { readonly names: readonly string[] }
  /** Path of the issuer. */
  path?: string
  /** The `issuer` of its metadata. */
  calls?: string
  /** Where its metadata stand in place of their proper address: at the root of its origin, or nowhere. */
  metadataAt?: 'root' | 'nowhere'
  /** Whether the server describes itself as a resource. Default `true`. */
  isDescribed?: boolean
  /** Where its endpoint for registrations stands: in the OpenID document alone. */
  registrationInOpenId?: boolean
  /** The only redirect address that it accepts. */
  redirect?: string
  /** Refuses requests with `resource`. */
  refusesResource?: boolean
  /** Answers of the token endpoint in place of its own. */
  token?: { readonly status: number; readonly type: string; readonly body: string }
  /** Never answers at the token endpoint. */
  hangs?: boolean
  expiresIn?: number
  refreshTokens?: boolean
  scopesSupported?: readonly string[]
  /** `scopes_supported` of the server. */
  serverScopes?: readonly string[]
  /** Answers with `iss` in callbacks. */
  iss?: boolean
  metadata?: Record<string, unknown>
  /** Address of a server that answers MCP in its place. */
  mcp?: string
}

export interface OddServer extends AsyncDisposable {
  readonly origin: string
  readonly issuer: string
  /** Of the server that needs the login. */
  readonly url: string
  readonly oddities: Oddities
  readonly registered: Record<string, unknown>[]
  readonly tokenForms: Record<string, string>[]
  readonly headersSeen: IncomingMessage['headers'][]
  /** Proofs (DPoP) at the token endpoint. Tokens are bound where there is one. */
  readonly proofs: string[]
  readonly redeemed: { code: number; refresh: number }
  /** The authorization server that the server names. Default: this one. */
  named: string
  /** Visits the page of a login, agrees, and returns what comes back. */
  agree(url: string): URLSearchParams
  forgetClients(): void
  isGood(accessToken: string): boolean
}

const SECRET_TEXT = 'description-that-quotes-s3cr3t'

/** An authorization server and the server that it protects, in one process, with odd habits of real ones. */
export async function startOddServer(oddities: Oddities = {}): Promise<OddServer> {
  const clients = new Map<string, Record<string, unknown>>()
  const codes = new Map<string, { challenge: string; scope: string; clientId: string }>()
  const refresh = new Map<string, { family: string; isUsed: boolean; scope: string }>()
  const access = new Map<string, string>()
  const server = createServer((request, response) => void answer(request, response))
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const issuer = origin + (oddities.path ?? '')
  const odd: OddServer = {
    origin,
    issuer,
    url: `${origin}/mcp`,
    oddities,
    registered: [],
    tokenForms: [],
    headersSeen: [],
    proofs: [],
    redeemed: { code: 0, refresh: 0 },
    named: issuer,
    agree,
    forgetClients: () => clients.clear(),
    isGood: token => access.has(token),
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections()
      await new Promise(resolve => server.close(resolve))
    },
  }
  return odd

  function metadata(isOpenId: boolean): object {
    const hasRegistration = oddities.registration !== 'none' && (isOpenId || !oddities.registrationInOpenId)
    return {
      issuer: oddities.calls ?? issuer,
      authorization_endpoint: `${issuer}/authorize`,
      token_endpoint: `${issuer}/token`,
      ...(hasRegistration && { registration_endpoint: `${issuer}/register` }),
      code_challenge_methods_supported: ['S256'],
      ...(oddities.scopesSupported && { scopes_supported: oddities.scopesSupported }),
      ...(oddities.iss && { authorization_response_iss_parameter_supported: true }),
      ...oddities.metadata,
    }
  }

  function agree(address: string): URLSearchParams {
    const asked = new URL(address).searchParams
    const back = new URLSearchParams({ state: asked.get('state') ?? '' })
    if (oddities.iss) back.set('iss', oddities.calls ?? issuer)
    const refuse = (error: string): URLSearchParams => {
      back.set('error', error)
      back.set('error_description', SECRET_TEXT)
      return back
    }
    const clientId = asked.get('client_id') ?? ''
    if (!clients.has(clientId) && !clientId.startsWith('by-hand') && !clientId.startsWith('https:'))
      return refuse('invalid_client')
    if (oddities.redirect !== undefined && asked.get('redirect_uri') !== oddities.redirect)
      return refuse('invalid_request')
    if (oddities.refusesResource && asked.has('resource')) return refuse('invalid_target')
    const code = randomUUID()
    codes.set(code, {
      challenge: asked.get('code_challenge') ?? '',
      scope: asked.get('scope') ?? '',
      clientId,
    })
    back.set('code', code)
    return back
  }

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    odd.headersSeen.push(request.headers)
    const { pathname } = new URL(request.url ?? '/', origin)
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    const body = Buffer.concat(chunks).toString()
    const send = (status: number, value: unknown): void => {
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value))
    }
    const path = oddities.path ?? ''
    const { metadataAt, isDescribed = true } = oddities
    if (isDescribed && pathname === '/.well-known/oauth-protected-resource/mcp')
      return send(200, {
        resource: odd.url,
        authorization_servers: [odd.named],
        ...(oddities.serverScopes && { scopes_supported: oddities.serverScopes }),
      })
    const own = metadataAt === 'root' ? '' : path
    if (metadataAt !== 'nowhere') {
      if (pathname === `/.well-known/oauth-authorization-server${own}`) return send(200, metadata(false))
      if (pathname === `/.well-known/openid-configuration${own}`) return send(200, metadata(true))
    }
    if (pathname === `${path}/authorize`) return send(200, {})
    if (pathname === `${path}/register`)
      return register(JSON.parse(body) as Record<string, unknown>, response, send)
    if (pathname === `${path}/token`)
      return token(Object.fromEntries(new URLSearchParams(body)), request.headers['dpop'], response, send)
    if (pathname === '/mcp' && oddities.mcp !== undefined && request.method === 'POST')
      return await forward(oddities.mcp, request, body, response)
    response.writeHead(404).end('<html>nothing here</html>')
  }

  function register(
    asked: Record<string, unknown>,
    response: ServerResponse,
    send: (status: number, value: unknown) => void,
  ): void {
    odd.registered.push(asked)
    const { registration = 'open' } = oddities
    if (typeof registration === 'object' && !registration.names.includes(String(asked['client_name']))) {
      response.writeHead(403, { 'content-type': 'text/html' }).end('<html>Forbidden</html>')
      return
    }
    const [redirect] = asked['redirect_uris'] as string[]
    if (oddities.redirect !== undefined && redirect !== oddities.redirect)
      return send(400, { error: 'invalid_redirect_uri', error_description: SECRET_TEXT })
    const clientId = `client-${clients.size + 1}-${randomUUID()}`
    clients.set(clientId, asked)
    send(201, { ...asked, client_id: clientId })
  }

  function token(
    form: Record<string, string>,
    proof: string | string[] | undefined,
    response: ServerResponse,
    send: (status: number, value: unknown) => void,
  ): void {
    odd.tokenForms.push(form)
    if (typeof proof === 'string') odd.proofs.push(proof)
    const refuse = (error: string): void => send(400, { error, error_description: SECRET_TEXT })
    if (oddities.hangs) return
    if (oddities.token) {
      const { status, type, body } = oddities.token
      response.writeHead(status, { 'content-type': type }).end(body)
      return
    }
    const clientId = form['client_id'] ?? ''
    if (!clients.has(clientId) && !clientId.startsWith('by-hand') && !clientId.startsWith('https:'))
      return refuse('invalid_client')
    if (oddities.refusesResource && form['resource'] !== undefined) return refuse('invalid_target')
    let family = randomUUID() as string
    let scope: string
    if (form['grant_type'] === 'authorization_code') {
      const code = codes.get(form['code'] ?? '')
      codes.delete(form['code'] ?? '')
      const made = createHash('sha256')
        .update(form['code_verifier'] ?? '')
        .digest('base64url')
      if (!code || code.challenge !== made || code.clientId !== clientId) return refuse('invalid_grant')
      odd.redeemed.code++
      scope = code.scope
    } else if (form['grant_type'] === 'refresh_token') {
      const known = refresh.get(form['refresh_token'] ?? '')
      if (!known) return refuse('invalid_grant')
      if (known.isUsed) {
        // A reuse revokes the whole login.
        for (const [name, one] of refresh) if (one.family === known.family) refresh.delete(name)
        for (const [name, of] of access) if (of === known.family) access.delete(name)
        return refuse('invalid_grant')
      }
      known.isUsed = true
      odd.redeemed.refresh++
      ;({ family, scope } = known)
    } else scope = form['scope'] ?? ''
    const accessToken = `access-${randomUUID()}`
    const refreshToken = `refresh-${randomUUID()}`
    access.set(accessToken, family)
    refresh.set(refreshToken, { family, isUsed: false, scope })
    send(200, {
      access_token: accessToken,
      token_type: typeof proof === 'string' ? 'DPoP' : 'Bearer',
      expires_in: oddities.expiresIn ?? 3600,
      ...(oddities.refreshTokens !== false && { refresh_token: refreshToken }),
      ...(scope !== '' && { scope }),
    })
  }
}

async function forward(
  url: string,
  { headers }: IncomingMessage,
  body: string,
  response: ServerResponse,
): Promise<void> {
  const sent = Object.entries(headers).filter(([name]) => /^(?:accept|content-type|mcp-.*)$/.test(name))
  const answer = await fetch(url, { method: 'POST', headers: sent as [string, string][], body })
  const kept = [...answer.headers].filter(([name]) => /^(?:content-type|mcp-.*)$/.test(name))
  response.writeHead(answer.status, Object.fromEntries(kept)).end(await answer.text())
}
