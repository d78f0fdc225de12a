import { isJsonObject } from '../../core/json-object.ts'
import { convertOpenCode, convertZed, type Converted } from './client-entries.ts'
import { IGNORED_ROOT_KEYS } from '../options/foreign-keys.ts'
import { nearest } from '../validate/nearest.ts'
import { looksLikeServer } from '../validate/scope.ts'
import type { JsonObject } from '../../core/exchange.ts'
import type { Path } from '../problem.ts'

/** A file in the gateway's own form. */
export interface Adopted {
  readonly value: unknown
  /** Sentences about the parts of the file that are not used. */
  readonly hints: readonly string[]
  /** Translates a path in `value` to the path in the original file. */
  readonly origin: (path: Path) => Path
  /**
   * Translates a path in the original file to the path in `value`, at least of its server. `undefined` for parts that
   * are left out.
   */
  readonly owner: (origin: Path) => Path | undefined
}

const OWN_KEYS = [
  '$schema',
  'include',
  'mcpServers',
  'servers',
  'inputs',
  'clients',
  'roles',
  'profiles',
  'gateway',
]
/** A file with one of these keys was written for the gateway, so unknown keys are errors. */
const OURS = ['gateway', 'clients', 'roles', 'include']
/** Keys of `gateway`. At the top of a file they are misplaced; ignoring them could disable a protection. */
const MISPLACED =
  /^(?:http|host|port|tls|state|log|catalog|auth|jwt|policy|rules|allow|deny|audit|cache|asks|listen|dns|queue|maxConcurrentCalls|concurrency|rate|budget|quotaFailureMode|fail|timeZone)$/

/**
 * Extracts the servers from the file of a client: `mcp` of OpenCode and of VS Code's settings, `context_servers` of
 * Zed, `projects` of Claude Code. The rest of such a file belongs to its client and is left out. A file written for the
 * gateway stays unchanged.
 * @param cwd the project whose servers are used, in a file with several projects
 */
export function adopt(file: unknown, cwd: string): Adopted {
  if (!isJsonObject(file)) return { value: file, hints: [], origin: path => path, owner: path => path }
  const hints: string[] = []
  const taken = new Map<string, { readonly base: Path; readonly source: (rest: Path) => Path }>()
  const servers: JsonObject = {}
  let { inputs } = file

  const take = (
    entries: unknown,
    base: Path,
    convert?: (entry: JsonObject) => Converted | undefined,
  ): void => {
    for (const [name, entry] of Object.entries(isJsonObject(entries) ? entries : {})) {
      const converted = convert && isJsonObject(entry) ? convert(entry) : undefined
      if (convert && isJsonObject(entry) && !converted) {
        hints.push(`The server "${name}" is left out: only its client knows how to start it.`)
        continue
      }
      servers[name] = converted?.entry ?? entry
      taken.set(name, { base, source: converted?.source ?? (rest => rest) })
    }
  }

  const { mcp, context_servers: contextServers, projects } = file
  const isForeign = !OURS.some(key => key in file)
  const settings = isJsonObject(mcp) && isSection(mcp['servers']) ? mcp : undefined
  if (settings) {
    take(settings['servers'], ['mcp', 'servers'])
    inputs ??= settings['inputs']
  } else take(mcp, ['mcp'], convertOpenCode)
  take(contextServers, ['context_servers'], convertZed)
  if (isForeign && isJsonObject(projects)) {
    const own = projects[cwd]
    if (isJsonObject(own)) take(own['mcpServers'], ['projects', cwd, 'mcpServers'])
    const others = Object.entries(projects).filter(
      ([folder, project]) => folder !== cwd && isJsonObject(project) && isSection(project['mcpServers']),
    ).length
    if (others > 0)
      hints.push(`Servers of ${others} other project${others === 1 ? '' : 's'} in this file are left out.`)
  }
  const known = [...OWN_KEYS, ...Object.keys(IGNORED_ROOT_KEYS)]
  const adopts = isJsonObject(mcp) || isJsonObject(contextServers) || (isForeign && isJsonObject(projects))
  const value: JsonObject = {}
  const left: string[] = []
  for (const [key, child] of Object.entries(file)) {
    if ((key === 'mcp' && isJsonObject(mcp)) || (key === 'context_servers' && isJsonObject(contextServers)))
      continue
    const isKnown = known.includes(key) && !(adopts && isForeign && key === 'profiles')
    if (isKnown || !isForeign || !(adopts || 'mcpServers' in file || 'servers' in file)) value[key] = child
    else if (isMistake(key, adopts)) value[key] = child
    else left.push(key)
  }
  hints.unshift(...(left.length > 0 ? [leftOut(left)] : []), ...misplaced(left, file))
  if (inputs !== undefined) value['inputs'] = inputs
  if (taken.size > 0 && (value['mcpServers'] === undefined || isJsonObject(value['mcpServers'])))
    value['mcpServers'] = { ...value['mcpServers'], ...servers }
  return {
    value,
    hints,
    owner: path => {
      for (const [name, { base }] of taken)
        if ([...base, name].every((part, at) => path[at] === part)) return ['mcpServers', name]
      return Object.hasOwn(value, String(path[0])) ? path : undefined
    },
    origin: ([section, name, ...rest]) => {
      const from = section === 'mcpServers' && name !== undefined ? taken.get(String(name)) : undefined
      if (from) return [...from.base, name as string, ...from.source(rest)]
      return [section, name, ...rest].filter(part => part !== undefined)
    },
  }
}

/** Whether a value contains servers by name, and is not itself a server with the name of a section. */
function isSection(value: unknown): boolean {
  return isJsonObject(value) && Object.keys(value).length > 0 && Object.values(value).every(isJsonObject)
}

/** Whether an unknown key was meant for the gateway. */
function isMistake(key: string, adopts: boolean): boolean {
  if (adopts) return nearest(key, ['mcpServers', 'clients', 'gateway']) !== undefined
  return MISPLACED.test(key) || nearest(key, OWN_KEYS) !== undefined
}

/** A sentence about keys of a client's file that look like misplaced servers. */
function misplaced(keys: readonly string[], file: JsonObject): string[] {
  return keys
    .filter(key => looksLikeServer(file[key]))
    .slice(0, 3)
    .map(
      key =>
        `${JSON.stringify(key.slice(0, 60))} looks like a server and is left out, since it is outside of "mcpServers". Put it under mcpServers.`,
    )
}

function leftOut(keys: readonly string[]): string {
  const shown = keys.slice(0, 3).map(key => JSON.stringify(key.slice(0, 60)))
  const more = keys.length - shown.length
  const names = more > 0 ? `${shown.join(', ')} and ${more} more` : shown.join(', ')
  return `The file is that of another program: only its MCP servers are used, and ${names} ${keys.length === 1 ? 'is' : 'are'} left out.`
}
