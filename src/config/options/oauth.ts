import { choice, flag, group, integer, option, tableOf, text } from './kinds.ts'
import { section, type Check, type Written } from './option.ts'

/** Options of a login at a server: what the gateway is known as there, and how it gets tokens. */

const urlExpected = 'expected an address such as "https://login.example"'
const isHttpUrl = (written: string): boolean =>
  URL.canParse(written) && /^https?:$/.test(new URL(written).protocol)
const URL_TEXT: Check<string> = { kind: 'text', expected: urlExpected, passes: isHttpUrl }

const scopesExpected = 'expected a list of scopes, or one text with spaces between them'
const SCOPE: Check<string> = {
  kind: 'text',
  pattern: /^[\x21\x23-\x5b\x5d-\x7e]+$/,
  expected: scopesExpected,
}
const SCOPES: Check<string | readonly string[]> = {
  kind: 'either',
  of: [{ kind: 'text' }, { kind: 'list', of: SCOPE, expected: scopesExpected }],
  expected: scopesExpected,
}

const path = text('Path of the address on this machine that a login ends at.', {
  default: '/callback',
  pattern: /^\/[A-Za-z0-9._~/-]*$/,
  expected: 'expected a path such as "/callback"',
})

export const REDIRECT = section('mcpServers.*.oauth.redirect', {
  port: integer('Port of that address.', {
    shown: 'a free one, which is kept for later logins',
    min: 1,
    max: 65_535,
  }),
  path,
})
const redirect: Check<string | Written<(typeof REDIRECT)['options']>> = {
  kind: 'either',
  of: [URL_TEXT, { kind: 'section', section: REDIRECT }],
  expected: 'expected an address, or an object with port and path',
}

export const IDP = section('mcpServers.*.oauth.idp', {
  issuer: option<string, string | undefined>(
    'string',
    'Issuer of the identity provider, whose metadata names its token endpoint.',
    URL_TEXT,
  ),
  tokenEndpoint: option<string, string | undefined>(
    'string',
    'Token endpoint of the identity provider.',
    URL_TEXT,
    {
      shown: 'found through the metadata of the issuer',
    },
  ),
  clientId: text('Identifier of the gateway at the identity provider.', { shown: 'none' }),
  clientSecret: text('Secret that belongs to it.', { shown: 'none' }),
  subjectToken: text(
    'Token of the subject that is exchanged or asserted: itself, "file:" with an absolute path that is read each time, or "caller" for the one with which the caller logged in at the gateway.',
    { shown: 'none' },
  ),
})

const AUTH_METHODS = ['client_secret_basic', 'client_secret_post', 'private_key_jwt', 'none'] as const
const GRANTS = ['code', 'device', 'client_credentials', 'jwt_bearer', 'token_exchange', 'id_jag'] as const

const resourceExpected = 'expected "auto", "none" or an absolute URI'

export const OAUTH = section('mcpServers.*.oauth', {
  clientId: text('Identifier of the gateway at the authorization server, where one was registered by hand.', {
    as: false,
    shown: 'the gateway registers itself',
  }),
  client_id: text('Another name for `clientId`, as Codex has it.', { as: false }),
  clientSecret: text('Secret that belongs to `clientId`.', { as: false }),
  privateKey: text('Private key (PEM or JWK) with which the gateway authenticates in place of a secret.', {
    as: false,
  }),
  authMethod: choice('How the gateway authenticates at the token endpoint.', AUTH_METHODS, {
    shown: 'what the authorization server supports and the gateway has',
  }),
  scopes: option('list of strings', 'Scopes to ask for; also as one text with spaces between them.', SCOPES, {
    as: false,
    shown: 'what the server asks for',
  }),
  scope: option('string', 'Another name for `scopes`, as OpenCode has it.', SCOPES, { as: false }),
  redirect: option(
    'object \\| string',
    'Address that a login ends at: the port and path on this machine, or a full URL, exactly as registered.',
    redirect,
    { as: false, shown: 'the hosted page with `gateway.http.publicUrl`, else a port of this machine' },
  ),
  redirectUri: option('string', 'Another name for `redirect`, as OpenCode has it.', URL_TEXT, { as: false }),
  callbackPort: integer('Another name for the port of `redirect`, as Claude Code has it.', {
    as: false,
    min: 1,
    max: 65_535,
  }),
  clientName: text('Name under which the gateway registers itself; some servers accept certain names only.', {
    default: 'mcp-manifold',
  }),
  clientMetadataUrl: option<string, string | undefined>(
    'string',
    'Address of a document that describes the gateway (CIMD), used as its identifier where that is supported.',
    {
      kind: 'text',
      expected: 'expected an https address with a path, such as "https://host/client.json"',
      passes: (written: string) =>
        URL.canParse(written) && new URL(written).protocol === 'https:' && new URL(written).pathname !== '/',
    } as Check<string>,
  ),
  resource: option(
    '"auto" \\| "none" \\| string',
    'Resource that tokens are asked for (RFC 8707): the one in the metadata of the server, none, or this URI.',
    {
      kind: 'text',
      expected: resourceExpected,
      passes: (written: string) => written === 'auto' || written === 'none' || URL.canParse(written),
    } as Check<string>,
    { shown: 'auto' },
    (written = 'auto') => written,
  ),
  issuer: option<string, string | undefined>('string', 'Authorization server to use.', URL_TEXT, {
    shown: 'the one that the server names',
  }),
  extraParams: tableOf(
    'object of strings',
    'Further parameters of authorization and token requests, such as `audience`.',
    { kind: 'text', expected: 'expected a text; put numbers in quotes' } as Check<string>,
    { pattern: /^[A-Za-z0-9._-]{1,64}$/, expected: 'expected the name of a parameter' },
  ),
  dpop: flag('Binds tokens to a key of the gateway (DPoP).', {
    shown: 'when the server asks for it, in its metadata or its challenge',
  }),
  grant: choice(
    'How tokens are got: "code" by a login in a browser, "device" by a code that is typed in elsewhere, the others without a person.',
    GRANTS,
    { default: 'code' },
  ),
  per: choice(
    'Whether all callers use one account at the server, or each client has its own login.',
    ['gateway', 'client'],
    { default: 'gateway' },
  ),
  idp: group('Identity provider for the grants "token_exchange", "id_jag" and "jwt_bearer".', IDP, {
    as: false,
  }),
})

const cursorScopes = option('list of strings', 'Another name for `oauth.scopes`.', SCOPES, { as: false })

/** `auth` of a server, as in the files of Cursor. */
export const CURSOR_AUTH = section('mcpServers.*.auth', {
  CLIENT_ID: text('Another name for `oauth.clientId`.', { as: false }),
  CLIENT_SECRET: text('Another name for `oauth.clientSecret`.', { as: false }),
  scopes: cursorScopes,
})

export type OAuthEntry = Written<(typeof OAUTH)['options']>

const oauth: Check<false | OAuthEntry> = {
  kind: 'either',
  of: [
    { kind: 'literal', value: false },
    { kind: 'section', section: OAUTH },
  ],
  expected: 'expected an object, or false',
}

/** `oauth` of a server. */
export const SERVER_OAUTH = option(
  'object \\| false',
  'Login at the server, where it asks for one ([credentials](credentials.md)); false never logs in.',
  oauth,
  { as: false, shown: 'on for a `url` without an `Authorization` header' },
)
