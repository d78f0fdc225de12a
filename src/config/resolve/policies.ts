import { resolveQuota } from './quotas.ts'
import { WEIGHT } from '../defaults.ts'
import { formatPath, type Path } from '../problem.ts'
import type { ClientEntry, RoleEntry, ServersFile } from '../schema/file.ts'
import type { ClientConfig, ProfileConfig, RoleConfig, RuleConfig } from '../types.ts'

/** Clients, roles and profiles of a file, resolved: who may use what, and how much. */

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
    match: entry.tools ?? [],
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
    keys: (entry.keys ?? []).map(key => key.slice('sha256:'.length).toLowerCase()),
    subjects: entry.subjects ?? [],
    certificates: entry.certificates ?? [],
    users: entry.users ?? [],
    roles: entry.roles ?? [],
    rules,
    // An empty list of what is allowed allows nothing.
    default:
      entry.default ??
      (entry.allow !== undefined || rules.some(({ effect }) => effect === 'allow') ? 'deny' : 'allow'),
    shadow: entry.shadow ?? false,
    quota: resolveQuota(entry),
    limits: Object.entries(entry.limits ?? {}).map(([match, quota]) => ({
      match,
      quota: resolveQuota(quota),
    })),
    weight: entry.weight ?? WEIGHT.default,
  }
}
