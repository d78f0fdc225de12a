import { clientValueNames } from '../../core/client-placeholders.ts'
import { isHeaderText } from '../../core/header-text.ts'
import { isLoopback } from '../../core/loopback.ts'
import { commandLine } from '../../program-output.ts'
import { isIP } from 'node:net'
import {
  LOCATION_KEYS,
  LOCATIONS,
  locationOfType,
  locationsOf,
  type LocationKey,
} from '../options/endpoint.ts'
import { MAX_PREFIX } from '../options/server.ts'
import { formatPath } from '../problem.ts'
import { checkCaches } from './cache.ts'
import { checkClients } from './clients.ts'
import { checkResilience } from './replicas.ts'
import { checkOAuth } from './oauth.ts'
import { checkNames } from './policy.ts'
import { toolPrefixOf } from './self-reference.ts'
import type { Path, Problem } from '../problem.ts'
import type { RulesContext } from './scope.ts'
import type { ReplicaEntry, ServersFile, ServerEntry } from '../options/file.ts'

/** Conditions over several values, which the schema cannot express. `file` has passed the schema. */
export function checkRules(file: ServersFile, context: RulesContext): Problem[] {
  const problems: Problem[] = []
  const prefixes = new Map<string, Path>()

  for (const root of ['mcpServers', 'servers'] as const) {
    for (const [name, server] of Object.entries(file[root] ?? {})) {
      const path = [root, name]
      if (root === 'servers' && file.mcpServers && Object.hasOwn(file.mcpServers, name)) {
        const fix = 'Remove one of the two, or give it another name.'
        problems.push({ path, about: 'key', cause: 'is also in mcpServers', fix })
        continue
      }
      problems.push(
        ...checkServer(server, path),
        ...checkSharing(server, path),
        ...checkPrefix(name, server, path, prefixes),
        ...checkCaches(server, path),
        ...checkOAuth(server, path),
      )
    }
  }
  const sectionOf = (name: string): Path => [
    Object.hasOwn(file.mcpServers ?? {}, name) ? 'mcpServers' : 'servers',
    name,
  ]
  problems.push(...checkNames(context.serverNames, sectionOf))
  return [...problems, ...checkResilience(file, context), ...checkClients(file, context)]
}

/** Clients cannot share a link that presents the credentials of one of them. */
function checkSharing({ isolation, ...entry }: ServerEntry, path: Path): Problem[] {
  if (isolation !== 'shared') return []
  const [name] = clientValueNames(JSON.stringify(entry))
  const logsIn = typeof entry.oauth === 'object' && entry.oauth.per === 'client'
  if (name === undefined && !logsIn) return []
  const why = logsIn ? 'each client logs in there ("oauth.per")' : `the entry uses \${client.${name}}`
  const cause = `lets all clients share one link, but ${why}`
  const fix = 'Remove "isolation": each client gets a link of its own.'
  return [{ path: [...path, 'isolation'], about: 'key', cause, fix }]
}

function checkServer(server: ServerEntry, path: Path): Problem[] {
  const { replicas } = server
  const problems = checkHelper(server, path)
  if (!replicas) return [...problems, ...checkEndpoint(server, path)]
  for (const key of locationsOf(server)) {
    const fix = 'Make it the first of the replicas, or remove the replicas.'
    problems.push({ path: [...path, key], about: 'key', cause: 'cannot stand beside replicas', fix })
  }
  if (server.headers) problems.push(...checkHeaders(server.headers, [...path, 'headers']))
  replicas.forEach((replica, at) =>
    problems.push(...checkEndpoint(replica, [...path, 'replicas', at], server.type)),
  )
  return problems
}

function checkHelper({ headersHelper }: ServerEntry, path: Path): Problem[] {
  if (headersHelper === undefined || commandLine(headersHelper)) return []
  const fix = 'Write "program argument", or a list as in "[\\"program\\",\\"argument\\"]". There is no shell.'
  return [{ path: [...path, 'headersHelper'], cause: 'names no program', fix }]
}

const USES = LOCATION_KEYS.flatMap(key =>
  LOCATIONS[key].use === undefined ? [] : [`"${key}" for ${LOCATIONS[key].use}`],
)

/** `a, b nor c`: the last word stands before the last item alone. */
function listed(items: readonly string[], word: string): string {
  return [items.slice(0, -1).join(', '), ...items.slice(-1)].join(word)
}

function nounsOf(keys: readonly LocationKey[]): string[] {
  return [...new Set(keys.map(key => LOCATIONS[key].noun))]
}

function checkEndpoint(
  endpoint: ReplicaEntry | ServerEntry,
  path: Path,
  inherited?: ServerEntry['type'],
): Problem[] {
  const { url, serverUrl, headers } = endpoint
  const type = endpoint.type ?? inherited
  const addresses = [url, serverUrl].filter(address => address !== undefined)
  const problem = (cause: string, fix: string, key?: string): Problem[] => [
    { path: key === undefined ? path : [...path, key], about: 'key', cause, fix },
  ]
  const [location] = locationsOf(endpoint)
  const nouns = nounsOf(locationsOf(endpoint))
  if (nouns.length > 1) return problem(`has both ${nouns.join(' and ')}`, 'Remove one of them.')
  if (addresses.length > 1 && url !== serverUrl) {
    return problem('has both url and serverUrl', 'Remove one of them.')
  }
  if (location === undefined)
    return problem(`has neither ${listed(nounsOf(LOCATION_KEYS), ' nor ')}`, `Add ${listed(USES, ', or ')}.`)
  const wanted = type && locationOfType(type)
  if (wanted && LOCATIONS[wanted].noun !== LOCATIONS[location].noun)
    return problem(
      `says "${type}", but there is no ${wanted}`,
      `Add "${wanted}", or make the type "${LOCATIONS[location].types[0]}".`,
      'type',
    )
  const key = url === undefined ? 'serverUrl' : 'url'
  const address = addresses[0]
  return [
    ...(address === undefined ? [] : checkUrl(address, [...path, key])),
    ...(headers ? checkHeaders(headers, [...path, 'headers']) : []),
  ]
}

function checkUrl(address: string, path: Path): Problem[] {
  const url = URL.canParse(address) ? new URL(address) : undefined
  const scheme = missingScheme(address)
  if (scheme !== undefined)
    return [{ path, cause: 'has no scheme', fix: `Write "${scheme}//" in front of it.` }]
  if (/^[^:]*:\/\/[^/?#]*\$\{client\./.test(address)) {
    const fix = 'Use it after the host: what is sent to a server must not depend on a value of a client.'
    return [{ path, cause: 'has a value of the client in its host', fix }]
  }
  if (!url)
    return [{ path, cause: 'is not an absolute URL', fix: 'Write it as in "https://host.example/mcp".' }]
  if (url.protocol !== 'http:' && url.protocol !== 'https:') {
    return [{ path, cause: `has the scheme "${url.protocol}"`, fix: 'Only http: and https: are possible.' }]
  }
  if (url.username !== '' || url.password !== '') {
    const fix = 'Send it as a header instead: "headers": { "Authorization": "Basic ${CREDENTIALS}" }.'
    return [{ path, cause: 'holds a user name or a password', fix }]
  }
  return []
}

/** The scheme most likely meant by an address without one. A parser would read `localhost:` as a scheme. */
function missingScheme(address: string): 'http:' | 'https:' | undefined {
  const full = `http://${address}`
  if (!/^(?:[a-z\d][\w.-]*(?::\d+)?|\[[\da-f:]+\](?::\d+)?)(?:[/?#]|$)/i.test(address) || !URL.canParse(full))
    return undefined
  const { hostname, port } = new URL(full)
  const local = isLoopback(hostname) || isIP(hostname.replace(/^\[|\]$/g, '')) !== 0
  if (!local && port === '' && !hostname.includes('.')) return undefined
  return local || (port !== '' && port !== '443') ? 'http:' : 'https:'
}

function checkHeaders(headers: Readonly<Record<string, string>>, path: Path): Problem[] {
  const problems: Problem[] = []
  const seen = new Set<string>()
  for (const [name, value] of Object.entries(headers)) {
    if (seen.has(name.toLowerCase())) {
      const fix = 'Remove one of the two: case does not count in names of headers.'
      problems.push({ path: [...path, name], about: 'key', cause: 'is there twice', fix })
    }
    seen.add(name.toLowerCase())
    if (!isHeaderText(value)) {
      const fix =
        'Remove line breaks and characters that HTTP does not allow, also from the variables it uses.'
      problems.push({ path: [...path, name], cause: 'cannot be sent as a header', fix })
    }
  }
  return problems
}

function checkPrefix(name: string, server: ServerEntry, path: Path, taken: Map<string, Path>): Problem[] {
  const prefix = toolPrefixOf(name, server)
  if (prefix === false) return []
  const other = taken.get(prefix)
  if (!other) {
    taken.set(prefix, path)
    return []
  }
  const fix = `Give one of them a "prefix" of its own, 1 to ${MAX_PREFIX} letters, digits, "-" or "_".`
  return [{ path, about: 'key', cause: `has the same prefix "${prefix}" as ${formatPath(other)}`, fix }]
}
