import { choice, duration, group, list, listOf, tableOf, text, texts } from './kinds.ts'
import { section, type Check } from './option.ts'

/** Options for the authentication of HTTP callers. */

/** Asymmetric algorithms only: a shared secret would have to be in the file, and `none` is no signature. */
const JWT_ALGORITHMS = [
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
] as const

const algorithms = listOf(
  {
    kind: 'choice',
    values: JWT_ALGORITHMS,
    expected: `expected one of ${JWT_ALGORITHMS.join(', ')}`,
  },
  'Signatures that are accepted; symmetric ones never are.',
  { expected: 'expected a list of algorithms', shown: JWT_ALGORITHMS.join(', ') },
)

export const JWT = section('gateway.auth.jwt.*', {
  issuer: text('Issuer (`iss`) whose tokens are accepted, exactly as it stands in them; an https URL.', {
    as: false,
  }),
  jwks: text('Address of its keys.', { shown: 'found through the metadata of the issuer' }),
  audience: texts('Audiences (`aud`) a token may have.', { expected: 'expected a list of URLs' }),
  algorithms: {
    ...algorithms,
    resolve: (written: readonly unknown[] | undefined) => (written ?? JWT_ALGORITHMS) as readonly string[],
  },
  scopes: tableOf(
    'object',
    'Roles that a scope brings.',
    { kind: 'list', of: { kind: 'text' }, expected: 'expected a list of roles' } as Check<readonly string[]>,
    { expected: 'expected the name of a scope' },
  ),
  requiredScopes: texts('Scopes without which a token is refused.'),
  client: text(
    'Client whose rules and limits apply to subjects that no client names; each subject has counters of its own.',
    { shown: 'none: they may do what the roles of their scopes allow' },
  ),
  // Maximum clock difference between an identity provider and this machine.
  clockTolerance: duration('Largest difference between the clocks of the gateway and the issuer.', {
    default: '30s',
    min: '1s',
    max: '10m',
    off: true,
  }),
})

export const PROXY = section('gateway.auth.proxy', {
  header: text('Header in which the proxy names the user.', {
    as: false,
    pattern: /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/,
    expected: 'expected the name of an HTTP header',
  }),
  from: texts(
    'Addresses or networks (`10.0.0.0/8`) of the proxy; from other addresses the header is ignored.',
  ),
  client: text('Client whose rules and limits apply to users that no client names.', {
    shown: 'none: they are refused',
  }),
})

export const AUTH = section('gateway.auth', {
  jwt: list('list of issuers', 'Issuers of bearer tokens (JWT) that are accepted.', JWT),
  proxy: group('A proxy in front that has authenticated the caller.', PROXY, { as: false }),
  anonymous: text('Client that stands for callers without credentials.', {
    shown: 'none: they are refused as soon as there are clients',
  }),
})

export const TLS = section('gateway.http.tls', {
  cert: text('File with the certificate chain (PEM), relative to the configuration file.', { as: false }),
  key: text('File with the private key (PEM).', { as: false }),
  ca: text('File with the authorities that sign client certificates (PEM).', { as: false }),
  clientCertificates: choice('Whether clients have to show a certificate.', ['request', 'require'], {
    as: false,
    shown: '"request" with `ca`, else not asked for',
    restart: 'a listener asks for certificates, or does not, from its start to its end',
  }),
})
