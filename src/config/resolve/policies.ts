import { resolveQuota } from './quotas.ts'
import { CLIENT, PROFILE } from '../options/client.ts'
import { resolveSection } from '../options/option.ts'
import { formatPath, type Path } from '../problem.ts'
import type { ClientEntry, RoleEntry, ServersFile } from '../options/file.ts'
import type { ClientConfig, ProfileConfig, RoleConfig, RuleConfig } from '../types.ts'

/** Resolves the clients, roles and profiles of a file: permissions and quotas. */

export function resolveClients(file: ServersFile): ClientConfig[] {
  return Object.entries(file.clients ?? {}).map(([name, entry]) => resolveClient(name, entry))
}

export function resolveRoles(file: ServersFile): RoleConfig[] {
  return Object.entries(file.roles ?? {}).map(([name, entry]) => ({
    name,
    rules: resolveRules(entry, ['roles', name]),
  }))
}

/** `servers` are the names of all servers, in their order. */
export function resolveProfiles(file: ServersFile, servers: readonly string[]): ProfileConfig[] {
  return Object.entries(file.profiles ?? {}).map(([name, entry]) => ({
    name,
    servers: entry.servers ? servers.filter(server => entry.servers?.includes(server)) : servers,
    ...resolveSection(PROFILE, entry),
  }))
}

/** `allow` and `deny` are rules without a condition, and come first. */
export function resolveRules({ allow, deny, rules = [] }: RoleEntry, path: Path): RuleConfig[] {
  const resolved: RuleConfig[] = []
  const plain = (effect: 'allow' | 'deny', match: readonly string[] | undefined): void => {
    if (match && match.length > 0)
      resolved.push({
        location: formatPath([...path, effect]),
        effect,
        match,
        when: undefined,
        shadow: false,
      })
  }
  plain('deny', deny)
  plain('allow', allow)
  rules.forEach(({ effect = 'deny', match = [], when, shadow = false }, at) =>
    resolved.push({ location: formatPath([...path, 'rules', at]), effect, match, when, shadow }),
  )
  return resolved
}

function resolveClient(name: string, entry: ClientEntry): ClientConfig {
  const path = ['clients', name]
  const rules = resolveRules(entry, path)
  return {
    name,
    ...resolveSection(CLIENT, entry),
    keys: (entry.keys ?? []).map(key => key.slice('sha256:'.length).toLowerCase()),
    rules,
    values: entry.values ?? {},
    // An empty `allow` list allows nothing.
    default:
      entry.default ??
      (entry.allow !== undefined || rules.some(({ effect }) => effect === 'allow') ? 'deny' : 'allow'),
    quota: resolveQuota(entry),
    limits: Object.entries(entry.limits ?? {}).map(([match, quota]) => ({
      match,
      quota: resolveQuota(quota),
    })),
  }
}
