import { isIP } from 'node:net'
import type { Path, Problem } from '../problem.ts'
import type { ServersFile } from '../options/file.ts'

/** Checks that the settings for authentication are unambiguous. `file` and `unsound` as in `checkRules`. */
export function checkIdentities(file: ServersFile, unsound: ReadonlySet<string>): Problem[] {
  // Authentication can only be checked as a whole.
  if (unsound.has('gateway')) return []
  return [...checkIssuers(file), ...checkSubjects(file), ...checkProxy(file), ...checkWays(file)]
}

function issuersOf(file: ServersFile): string[] {
  return (file.gateway?.auth?.jwt ?? []).flatMap(({ issuer }) => issuer ?? [])
}

function checkIssuers(file: ServersFile): Problem[] {
  const issuers = issuersOf(file)
  return (file.gateway?.auth?.jwt ?? []).flatMap(({ issuer }, at): Problem[] =>
    issuer !== undefined && issuers.indexOf(issuer) < at
      ? [
          {
            path: ['gateway', 'auth', 'jwt', at, 'issuer'],
            cause: 'is there twice',
            fix: 'Put its audiences and scopes into one entry.',
          },
        ]
      : [],
  )
}

/** With several issuers, each can issue any subject. */
function checkSubjects(file: ServersFile): Problem[] {
  const issuers = issuersOf(file)
  return Object.entries(file.clients ?? {}).flatMap(([name, { subjects = [] }]) =>
    subjects.flatMap((subject, at): Problem[] => {
      const path = ['clients', name, 'subjects', at]
      if (issuers.length === 0)
        return [
          { path, cause: 'is of no issuer', fix: 'Add the issuer of its tokens to "gateway.auth.jwt".' },
        ]
      if (issuers.length === 1 || issuers.some(issuer => subject.startsWith(`${issuer} `))) return []
      const fix = 'Write the issuer before it, as in "https://login.example alice".'
      return [{ path, cause: 'does not say which of several issuers it is of', fix }]
    }),
  )
}

/** Headers that cannot name a user. */
const NOT_A_USER = new Set([
  'authorization',
  'cookie',
  'host',
  'content-type',
  'content-length',
  'mcp-session-id',
])

function checkProxy(file: ServersFile): Problem[] {
  const proxy = file.gateway?.auth?.proxy
  const path: Path = ['gateway', 'auth', 'proxy']
  const networks = (proxy?.from ?? []).flatMap((network, at): Problem[] =>
    isNetwork(network)
      ? []
      : [
          {
            path: [...path, 'from', at],
            cause: 'is neither an address nor a network',
            fix: 'Write it as in "10.0.0.7" or "10.0.0.0/8"; names are not looked up.',
          },
        ],
  )
  if (proxy?.header === undefined || !NOT_A_USER.has(proxy.header.toLowerCase())) return networks
  const fix = 'Choose one of its own, such as "X-Forwarded-User".'
  return [...networks, { path: [...path, 'header'], cause: 'is the header of something else', fix }]
}

function isNetwork(text: string): boolean {
  const [address = '', prefix, ...rest] = text.split('/')
  const family = isIP(address)
  if (family === 0 || rest.length > 0) return false
  return prefix === undefined || (/^\d{1,3}$/.test(prefix) && Number(prefix) <= (family === 4 ? 32 : 128))
}

/** An authentication method that nothing supports would only be noticed by refused callers. */
function checkWays(file: ServersFile): Problem[] {
  return Object.entries(file.clients ?? {}).flatMap(
    ([name, { certificates = [], users = [] }]): Problem[] => [
      ...(certificates.length > 0 && file.gateway?.http?.tls?.ca === undefined
        ? [
            {
              path: ['clients', name, 'certificates'],
              about: 'key' as const,
              cause: 'cannot be checked without an authority',
              fix: 'Add "ca" to "gateway.http.tls".',
            },
          ]
        : []),
      ...(users.length > 0 && file.gateway?.auth?.proxy === undefined
        ? [
            {
              path: ['clients', name, 'users'],
              about: 'key' as const,
              cause: 'are named by no proxy',
              fix: 'Add the proxy to "gateway.auth.proxy".',
            },
          ]
        : []),
    ],
  )
}
