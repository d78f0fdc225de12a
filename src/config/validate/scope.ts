import { isJsonObject } from '../../core/json-object.ts'
import { LOCATION_KEYS, TYPES } from '../options/endpoint.ts'
import type { Prefixed } from '../../policy/pattern.ts'
import type { Problem } from '../problem.ts'
import { toolPrefixOf } from './self-reference.ts'

/** The sections of a file that contain servers by name. */
export const SERVER_SECTIONS = ['mcpServers', 'servers'] as const

/** Information about a file besides its valid parts. */
export interface RulesContext {
  /** Sections that failed the schema and were left out of the file; they must not be reported as missing. */
  readonly unsound: ReadonlySet<string>
  /** Names of all servers, including those left out because their entries failed the schema. */
  readonly serverNames: readonly string[]
}

/** Whether a value elsewhere in the file has the form of a server entry. */
export function looksLikeServer(value: unknown): boolean {
  if (!isJsonObject(value)) return false
  const { type } = value
  const isTransport = type === undefined || (typeof type === 'string' && TYPES.has(type.toLowerCase()))
  return isTransport && LOCATION_KEYS.some(key => typeof value[key] === 'string')
}

/** Names of all servers of a file, valid or not. */
export function serverNames(file: unknown): string[] {
  if (!isJsonObject(file)) return []
  return SERVER_SECTIONS.flatMap(section => (isJsonObject(file[section]) ? Object.keys(file[section]) : []))
}

/** The prefixes of all servers of a file, valid or not. */
export function prefixesOf(file: unknown): Prefixed[] {
  if (!isJsonObject(file)) return []
  return SERVER_SECTIONS.flatMap(section => {
    const servers = file[section]
    if (!isJsonObject(servers)) return []
    return Object.entries(servers).map(([name, entry]) => {
      const prefix = isJsonObject(entry) ? entry['prefix'] : undefined
      return {
        name,
        prefix: toolPrefixOf(name, typeof prefix === 'string' || prefix === false ? { prefix } : {}),
      }
    })
  })
}

/**
 * The server whose entry contains a problem, when the problem affects no other; `undefined` when it affects the whole
 * file. A name in both sections is one server, because the intended entry is unknown.
 */
export function serverOfProblem({ path: [section, name], ofFile }: Problem): string | undefined {
  if (ofFile || name === undefined) return undefined
  return section === 'mcpServers' || section === 'servers' ? String(name) : undefined
}

/**
 * A file in which an entry with a problem is reduced to whether it is required. This includes entries that were left
 * out because they are disabled.
 */
export function withoutEntries(file: unknown, names: ReadonlySet<string>): unknown {
  if (names.size === 0 || !isJsonObject(file)) return file
  const copy = { ...file }
  const known = new Set(serverNames(file))
  const added = [...names].filter(name => !known.has(name)).map(name => [name, { required: false }])
  for (const section of SERVER_SECTIONS) {
    const servers = file[section]
    if (!isJsonObject(servers)) continue
    copy[section] = Object.fromEntries(
      Object.entries(servers).map(([name, entry]) => [
        name,
        names.has(name) ? { required: isJsonObject(entry) && entry['required'] === true } : entry,
      ]),
    )
  }
  if (added.length > 0) copy['mcpServers'] = { ...objectOf(copy['mcpServers']), ...Object.fromEntries(added) }
  return copy
}

function objectOf(value: unknown): object {
  return isJsonObject(value) ? value : {}
}
