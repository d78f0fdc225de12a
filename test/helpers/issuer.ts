import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { exportJWK, generateKeyPair, SignJWT } from 'jose'
import type { CryptoKey, JWK, JWTHeaderParameters } from 'jose'

/** An issuer of tokens on this machine, as far as a resource server sees it. */
export interface Issuer extends AsyncDisposable {
  /** `http://127.0.0.1:<port>` */
  readonly url: string
  /** Paths that were asked for. */
  readonly asked: string[]
  /** Whether it answers at all. */
  up: boolean
  /** What it publishes. */
  keys: JWK[]
  /** Makes a key, publishes it unless told otherwise, and signs with it from now on. */
  rotate(options?: { publish?: boolean }): Promise<void>
  /** A token that is right, but for what is given. `undefined` removes a claim. */
  token(claims?: Readonly<Record<string, unknown>>, header?: Partial<JWTHeaderParameters>): Promise<string>
  /** The key that signs. */
  readonly privateKey: CryptoKey
}

const now = (): number => Math.floor(Date.now() / 1000)

/** @param audience of its tokens, unless they say otherwise */
export async function startIssuer(audience = 'https://mcp.example/mcp'): Promise<Issuer> {
  let made = 0
  let kid = ''
  const server = createServer((request, response) => {
    issuer.asked.push(request.url ?? '')
    const documents: Record<string, unknown> = {
      '/.well-known/oauth-authorization-server': {
        issuer: issuer.url,
        jwks_uri: `${issuer.url}/keys`,
        authorization_endpoint: `${issuer.url}/authorize`,
        token_endpoint: `${issuer.url}/token`,
        response_types_supported: ['code'],
        code_challenge_methods_supported: ['S256'],
      },
      '/keys': { keys: issuer.keys },
    }
    const document = issuer.up ? documents[request.url ?? ''] : undefined
    response.writeHead(!issuer.up ? 503 : document ? 200 : 404, { 'content-type': 'application/json' })
    response.end(JSON.stringify(document ?? {}))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const issuer = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked: [] as string[],
    up: true,
    keys: [] as JWK[],
    privateKey: undefined as unknown as CryptoKey,
    async rotate({ publish = true } = {}) {
      const pair = await generateKeyPair('ES256', { extractable: true })
      kid = `key-${++made}`
      issuer.privateKey = pair.privateKey
      if (publish) issuer.keys = [{ ...(await exportJWK(pair.publicKey)), kid, alg: 'ES256', use: 'sig' }]
    },
    token(claims: Readonly<Record<string, unknown>> = {}, header: Partial<JWTHeaderParameters> = {}) {
      const payload = {
        iss: issuer.url,
        aud: audience,
        sub: 'ada',
        iat: now(),
        exp: now() + 600,
        ...claims,
      }
      return new SignJWT(JSON.parse(JSON.stringify(payload)) as Record<string, unknown>)
        .setProtectedHeader({ alg: 'ES256', typ: 'at+jwt', kid, ...header })
        .sign(issuer.privateKey)
    },
    async [Symbol.asyncDispose]() {
      server.close()
      server.closeAllConnections()
      await once(server, 'close')
    },
  }
  await issuer.rotate()
  return issuer
}
