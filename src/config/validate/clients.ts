import { isLoopback } from '../../core/loopback.ts'
import { nearest } from './nearest.ts'
import { checkAdmin } from './admin.ts'
import { checkIdentities } from './auth.ts'
import { checkPolicies } from './policy.ts'
import type { Path, Problem } from '../problem.ts'
import type { RulesContext } from './scope.ts'
import type { ClientEntry, ServersFile } from '../options/file.ts'
import { withoutEnd } from '../../core/without-end.ts'

/** Conditions over several values of clients, roles, profiles and authentication. `file` as in `checkRules`. */
export function checkClients(file: ServersFile, { unsound, serverNames }: RulesContext): Problem[] {
  const clients = Object.entries(file.clients ?? {})
  const known = (section: 'roles' | 'clients'): Known | undefined =>
    unsound.has(section) ? undefined : (file[section] ?? {})
  const servers =
    unsound.has('mcpServers') || unsound.has('servers')
      ? undefined
      : Object.fromEntries(serverNames.map(name => [name, true]))
  return [
    ...clients.flatMap(([name, client]) =>
      checkReferences(client.roles ?? [], ['clients', name, 'roles'], known('roles'), 'role', 'roles'),
    ),
    ...checkUnique(clients, 'keys'),
    ...checkUnique(clients, 'subjects'),
    ...checkUnique(clients, 'certificates'),
    ...checkUnique(clients, 'users'),
    ...checkPolicies(file, serverNames),
    ...checkProfiles(file, servers),
    ...checkAuth(file, known('clients'), known('roles')),
    ...checkIdentities(file, unsound),
    ...checkTls(file),
    ...checkAdmin(file),
    ...checkTimeZone(file),
  ]
}

/** The definitions by name; `undefined` when they are unknown. */
type Known = Readonly<Record<string, unknown>>

function checkReferences(
  names: readonly string[],
  path: Path,
  known: Known | undefined,
  what: string,
  section: string,
): Problem[] {
  return names.flatMap((name, at) => {
    if (!known || Object.hasOwn(known, name)) return []
    const near = nearest(name, Object.keys(known))
    const fix = near === undefined ? `Add it to "${section}", or remove it here.` : `Did you mean "${near}"?`
    return [{ path: [...path, at], cause: `there is no such ${what}`, fix }]
  })
}

/** A credential may identify only one client. */
function checkUnique(
  clients: readonly (readonly [string, ClientEntry])[],
  key: 'keys' | 'subjects' | 'certificates' | 'users',
): Problem[] {
  const owners = new Map<string, string>()
  return clients.flatMap(([name, client]) =>
    (client[key] ?? []).flatMap((value, at): Problem[] => {
      // Only digests are case-insensitive.
      const same = key === 'keys' ? value.toLowerCase() : value
      const owner = owners.get(same)
      owners.set(same, name)
      if (owner === undefined) return []
      const cause = owner === name ? 'is there twice' : `also identifies the client "${owner}"`
      return [
        { path: ['clients', name, key, at], about: 'hidden value', cause, fix: 'Remove one of the two.' },
      ]
    }),
  )
}

function checkProfiles(file: ServersFile, servers: Known | undefined): Problem[] {
  return Object.entries(file.profiles ?? {}).flatMap(([name, profile]): Problem[] => {
    const path = ['profiles', name]
    const taken: Problem[] =
      servers && Object.hasOwn(servers, name)
        ? [
            {
              path,
              about: 'key',
              cause: 'is also the name of a server, which has the endpoint of that name',
              fix: 'Give it another name.',
            },
          ]
        : []
    return [
      ...taken,
      ...checkReferences(profile.servers ?? [], [...path, 'servers'], servers, 'server', 'mcpServers'),
    ]
  })
}

function checkAuth(file: ServersFile, clients: Known | undefined, roles: Known | undefined): Problem[] {
  const { jwt = [], proxy, anonymous } = file.gateway?.auth ?? {}
  const path: Path = ['gateway', 'auth']
  const problems: Problem[] = []
  const client = (name: string | undefined, at: Path): void => {
    if (name !== undefined)
      problems.push(
        ...checkReferences([name], at, clients, 'client', 'clients').map(problem => ({
          ...problem,
          path: at,
        })),
      )
  }
  client(anonymous, [...path, 'anonymous'])
  jwt.forEach((entry, at) => {
    const here = [...path, 'jwt', at]
    if (entry.issuer === undefined)
      problems.push({
        path: here,
        about: 'key',
        cause: 'names no issuer',
        fix: 'Add "issuer", as in the "iss" of its tokens.',
      })
    else problems.push(...checkAddress(entry.issuer, [...here, 'issuer']))
    if (entry.jwks !== undefined) problems.push(...checkAddress(entry.jwks, [...here, 'jwks']))
    client(entry.client, [...here, 'client'])
    for (const [scope, names] of Object.entries(entry.scopes ?? {}))
      problems.push(...checkReferences(names, [...here, 'scopes', scope], roles, 'role', 'roles'))
  })
  if (proxy) {
    if (proxy.header === undefined)
      problems.push({
        path: [...path, 'proxy'],
        about: 'key',
        cause: 'names no header',
        fix: 'Add "header".',
      })
    if ((proxy.from ?? []).length === 0)
      problems.push({
        path: [...path, 'proxy'],
        about: 'key',
        cause: 'does not say where the proxy is',
        fix: 'Add "from" with its addresses: otherwise any caller could send the header.',
      })
    client(proxy.client, [...path, 'proxy', 'client'])
  }
  return problems
}

/** Keys fetched over an insecure connection prove no identity. */
function checkAddress(address: string, path: Path): Problem[] {
  const url = URL.canParse(address) ? new URL(address) : undefined
  if (url?.protocol === 'https:' || (url?.protocol === 'http:' && isLoopback(url.hostname))) return []
  return [
    {
      path,
      cause: 'is no https URL',
      fix: 'Write it as in "https://login.example"; http: is only possible on this machine.',
    },
  ]
}

function checkTls(file: ServersFile): Problem[] {
  const { tls, publicUrl } = file.gateway?.http ?? {}
  const path: Path = ['gateway', 'http']
  const problems: Problem[] = []
  if (tls && (tls.cert === undefined || tls.key === undefined))
    problems.push({
      path: [...path, 'tls'],
      about: 'key',
      cause: 'needs both a certificate and its key',
      fix: 'Add "cert" and "key".',
    })
  if (tls?.clientCertificates !== undefined && tls.ca === undefined)
    problems.push({
      path: [...path, 'tls', 'clientCertificates'],
      about: 'key',
      cause: 'cannot be checked without an authority',
      fix: 'Add "ca".',
    })
  if (
    publicUrl !== undefined &&
    !(URL.canParse(publicUrl) && new URL(publicUrl).origin === withoutEnd(publicUrl, '/'))
  )
    problems.push({
      path: [...path, 'publicUrl'],
      cause: 'is no origin',
      fix: 'Write it as in "https://mcp.example", without a path.',
    })
  return problems
}

function checkTimeZone(file: ServersFile): Problem[] {
  const timeZone = file.gateway?.timeZone
  if (timeZone === undefined) return []
  try {
    Intl.DateTimeFormat('en', { timeZone })
    return []
  } catch {
    return [
      {
        path: ['gateway', 'timeZone'],
        cause: 'is no time zone that this machine knows',
        fix: 'Write it as in "Europe/Berlin" or "UTC".',
      },
    ]
  }
}
