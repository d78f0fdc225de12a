import { z } from 'zod'
import { CLOCK_TOLERANCE, JWT_ALGORITHMS } from '../defaults.ts'
import { choice, duration, list, option, section, table, text, texts } from './options.ts'

/** The part of the format that says how callers over HTTP are identified. */

const jwt = section('gateway.auth.jwt.*', {
  issuer: text('Issuer (`iss`) whose tokens are accepted, exactly as it stands in them; an https URL.'),
  jwks: text('Address of its keys.', { default: 'found through the metadata of the issuer' }),
  audience: texts('Audiences (`aud`) a token may have.', 'expected a list of URLs'),
  algorithms: option(
    'list of strings',
    'Signatures that are accepted; symmetric ones never are.',
    z.array(z.enum(JWT_ALGORITHMS, { error: `expected one of ${JWT_ALGORITHMS.join(', ')}` }), {
      error: 'expected a list of algorithms',
    }),
    { default: JWT_ALGORITHMS.join(', ') },
  ),
  scopes: table('object', 'Roles that a scope brings.', z.array(z.string()), {
    expected: 'expected the name of a scope',
  }),
  requiredScopes: texts('Scopes without which a token is refused.'),
  client: text(
    'Client whose rules and limits apply to subjects that no client names; each subject has counters of its own.',
    {
      default: 'none: they may do what the roles of their scopes allow',
    },
  ),
  clockTolerance: duration('What clocks may differ by.', CLOCK_TOLERANCE),
})

const proxy = section('gateway.auth.proxy', {
  header: text('Header in which the proxy names the user.', {
    pattern: /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/,
    expected: 'expected the name of an HTTP header',
  }),
  from: texts('Addresses or networks (`10.0.0.0/8`) of the proxy; the header counts from nowhere else.'),
  client: text('Client whose rules and limits apply to users that no client names.', {
    default: 'none: they are refused',
  }),
})

export const auth = section('gateway.auth', {
  jwt: list('list of issuers', 'Issuers of bearer tokens (JWT) that are accepted.', jwt),
  proxy: option('object', 'A proxy in front that has checked who is calling.', proxy),
  anonymous: text('Client that callers without credentials are.', {
    default: 'none: they are refused as soon as there are clients',
  }),
})

export const tls = section('gateway.http.tls', {
  cert: text('File with the certificate chain (PEM), relative to the configuration file.'),
  key: text('File with the private key (PEM).'),
  ca: text('File with the authorities that sign client certificates (PEM).'),
  clientCertificates: choice('Whether clients have to show a certificate.', ['request', 'require'], {
    default: '"request" with `ca`, else not asked for',
  }),
})
