import { isSame } from '../config/source/differences.ts'
import { toolPrefixOf } from '../config/validate/self-reference.ts'
import { isJsonObject } from '../core/json-object.ts'
import type { FoundFile, ClientServer } from './find.ts'
import type { JsonObject } from '../core/exchange.ts'

/** Where a server was found. */
export interface Source {
  readonly application: string
  readonly file: string
  readonly name: string
}

/** A server that is found once or several times. */
export interface MergedServer {
  /** Its name in `servers.json`. */
  readonly name: string
  readonly entry: JsonObject
  readonly from: readonly Source[]
  /** The configuration has it already, under this name. */
  readonly isKnown: boolean
  /** The name that it was found with, where another server has it. */
  readonly conflict?: string
  readonly dropped: readonly string[]
  /** Why it stays with its application; the part of a sentence that follows its name. */
  readonly left?: string | undefined
}

/**
 * Makes one server of all that are the same: the same command, arguments and variables, or the same address and
 * headers. Two with one name and other values are both kept, the later one under another name.
 * @param known the servers of the configuration
 */
export function mergeServers(
  files: readonly FoundFile[],
  known: Readonly<Record<string, unknown>>,
): MergedServer[] {
  const merged: {
    name: string
    entry: JsonObject
    from: Source[]
    isKnown: boolean
    conflict?: string
    dropped: string[]
    left?: string | undefined
  }[] = []
  const prefixes = new Set(Object.entries(known).map(([name, entry]) => prefixOf(name, entry)))
  for (const { application, file, servers } of files)
    for (const { name, entry, dropped } of servers) {
      const source = { application: application.id, file, name }
      const same = merged.find(other => isSameServer(other.entry, entry))
      if (same) {
        same.from.push(source)
        same.dropped.push(...dropped.filter(key => !same.dropped.includes(key)))
        // A server that is on for one application is on.
        if (same.entry['disabled'] === true && entry['disabled'] !== true) {
          same.entry = entry
          if (same.isKnown) same.left ??= whyLeft(same.name, known[same.name], entry)
        }
        continue
      }
      const there = Object.entries(known).find(
        ([, other]) => isJsonObject(other) && isSameServer(other, entry),
      )
      const chosen = there?.[0] ?? freeName(name, application.id, prefixes)
      if (!there) prefixes.add(prefixOf(chosen, undefined))
      const left = there && whyLeft(chosen, there[1], entry)
      merged.push({
        name: chosen,
        entry,
        from: [source],
        isKnown: there !== undefined,
        ...(chosen !== name && !there && { conflict: name }),
        dropped: [...dropped],
        ...(left !== undefined && { left }),
      })
    }
  return merged
}

/** Behind an entry that is off, a server that is on would be gone. */
function whyLeft(name: string, known: unknown, entry: JsonObject): string | undefined {
  const isOff = isJsonObject(known) && known['disabled'] === true && entry['disabled'] !== true
  return isOff ? `the configuration has it, and there it is off: mcp-manifold enable ${name}` : undefined
}

/** What makes a server the one that it is; not its name, and not whether it is off. */
function isSameServer(a: JsonObject, b: ClientServer['entry']): boolean {
  return isSame(identity(a), identity(b))
}

function identity(entry: JsonObject): JsonObject {
  const { command, args, env, envFile, cwd, type, headers, headersHelper } = entry
  const { oauth, auth, tools, disabledTools } = entry
  const url = entry['url'] ?? entry['serverUrl']
  const isEmpty = (value: unknown): boolean =>
    value === undefined || (typeof value === 'object' && value !== null && Object.keys(value).length === 0)
  return {
    command,
    args: isEmpty(args) ? undefined : args,
    env: isEmpty(env) ? undefined : env,
    envFile,
    cwd,
    type: type === 'sse' ? type : undefined,
    url: typeof url === 'string' ? url.replace(/\/$/, '') : url,
    headers: isEmpty(headers) ? undefined : headers,
    headersHelper,
    oauth: isEmpty(oauth) ? undefined : oauth,
    auth: isEmpty(auth) ? undefined : auth,
    tools: isEmpty(tools) ? undefined : tools,
    disabledTools: isEmpty(disabledTools) ? undefined : disabledTools,
  }
}

function freeName(name: string, application: string, prefixes: ReadonlySet<string>): string {
  const usable = name.trim() === '' ? application : name
  if (!prefixes.has(prefixOf(usable, undefined))) return usable
  const other = `${usable}-${application}`
  for (let at = 1; ; at++) {
    const next = at === 1 ? other : `${other}-${at}`
    if (!prefixes.has(prefixOf(next, undefined))) return next
  }
}

function prefixOf(name: string, entry: unknown): string {
  const prefix = isJsonObject(entry) ? entry['prefix'] : undefined
  const own = toolPrefixOf(name, typeof prefix === 'string' ? { prefix } : {})
  return String(own).toLowerCase()
}
