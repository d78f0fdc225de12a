import { isSame } from '../config/source/differences.ts'
import { isJsonObject } from '../core/json-object.ts'
import { otherSecretPlaces, secretsIn } from './secrets.ts'
import { shownServer } from './shown-server.ts'
import type { FoundFile } from './find.ts'
import type { MergedServer, Source } from './merge.ts'

/** What a first run would do, as data: without secrets, for people and for programs. */
export interface Plan {
  readonly version: 1
  readonly options: PlanOptions
  /** The configuration of the gateway; `hash` is `null` where there is none yet. */
  readonly config: { readonly file: string; readonly hash: string | null }
  readonly servers: readonly PlannedServer[]
  readonly files: readonly PlannedFile[]
}

export interface PlanOptions {
  readonly only?: readonly string[]
  /** Also servers of the project. */
  readonly project: boolean
  /** Name of the entry of the gateway in client files. */
  readonly name: string
  /** Where secrets go that stand in entries. */
  readonly secrets: 'config' | 'keyring'
}

export interface PlannedServer {
  /** Whether it is taken over. A plan that is edited may say `false`. */
  readonly take: boolean
  readonly name: string
  readonly kind: 'program' | 'address'
  readonly shown: string
  readonly from: readonly Source[]
  readonly isKnown: boolean
  readonly conflict?: string
  readonly disabled?: true
  /** Names of its variables and headers whose values are secrets. */
  readonly secrets: readonly string[]
  /** Where else a secret stands. It stays there, wherever the others go. */
  readonly otherSecrets: readonly string[]
  readonly dropped: readonly string[]
  readonly hint?: string
  /** Why it stays with its application. It is not taken over, whatever a plan says. */
  readonly left?: string
}

export interface PlannedFile {
  /** Whether the file is changed. A plan that is edited may say `false`. */
  readonly change: boolean
  readonly application: string
  readonly title: string
  readonly file: string
  readonly section: readonly string[]
  readonly scope: 'user' | 'project'
  readonly hash: string | null
  /** Names of entries that the one entry of the gateway replaces. */
  readonly moved: readonly string[]
  readonly left: readonly { readonly name: string; readonly reason: string }[]
  readonly own: readonly string[]
  /** Why the file is left alone. */
  readonly problem?: string
}

export interface PlanParts {
  readonly options: PlanOptions
  readonly config: Plan['config']
  readonly files: readonly FoundFile[]
  readonly servers: readonly MergedServer[]
  /** A sentence about a server that is found to be wrong, if any. */
  readonly hintOf: (server: MergedServer) => string | undefined
}

export function firstRunPlan({ options, config, files, servers, hintOf }: PlanParts): Plan {
  const staying = new Set(
    servers.flatMap(({ left, from }) => (left === undefined ? [] : from.map(sourceKey))),
  )
  const movedOf = ({ file, servers: own }: FoundFile): string[] =>
    own.map(({ name }) => name).filter(name => !staying.has(sourceKey({ file, name })))
  return {
    version: 1,
    options,
    config,
    servers: servers.map((server): PlannedServer => {
      const { name, entry, from, isKnown, conflict, dropped, left } = server
      const hint = hintOf(server)
      return {
        take: left === undefined,
        name,
        kind: entry['url'] === undefined ? 'program' : 'address',
        shown: shownServer(entry),
        from,
        isKnown,
        ...(conflict !== undefined && { conflict }),
        ...(entry['disabled'] === true && { disabled: true as const }),
        secrets: secretsIn(entry).map(secret => secret.name),
        otherSecrets: otherSecretPlaces(entry),
        dropped,
        ...(hint !== undefined && { hint }),
        ...(left !== undefined && { left }),
      }
    }),
    files: files.map(file => ({
      change: file.problem === undefined && movedOf(file).length > 0,
      application: file.application.id,
      title: file.application.title,
      file: file.file,
      section: file.section.path,
      scope: file.scope,
      hash: file.content?.hash ?? null,
      moved: movedOf(file),
      left: file.left,
      own: file.inPlace,
      ...(file.problem !== undefined && { problem: file.problem }),
    })),
  }
}

/**
 * The plan as it was given, when it is the one that would be made now. A given plan may leave out servers and files,
 * and changes nothing else.
 * @returns a sentence that says what differs, when it is another one
 */
export function checkedPlan(given: unknown, now: Plan): Plan | string {
  if (!isPlan(given)) return 'It is no plan of this version of mcp-manifold.'
  if (given.config.hash !== now.config.hash) return `${now.config.file} has changed since.`
  const changed = given.files.find(file => {
    const same = now.files.find(other => other.file === file.file && isSame(other.section, file.section))
    return same?.hash !== file.hash
  })
  if (changed) return `${changed.file} has changed since.`
  const all = (plan: Plan): unknown => ({
    ...plan,
    // A hint depends on the PATH and the folder of the command, and changes nothing.
    servers: plan.servers.map(({ hint: _hint, ...server }) => ({ ...server, take: true })),
    files: plan.files.map(file => ({ ...file, change: file.problem === undefined && file.moved.length > 0 })),
  })
  if (!isSame(all(given), all(now))) return 'The machine has other client files or servers than it had then.'
  const servers = given.servers.map(server => ({ ...server, take: server.take && server.left === undefined }))
  const files = given.files.map(file => ({
    ...file,
    change: file.change && file.problem === undefined && file.moved.length > 0,
  }))
  return { ...given, servers, files }
}

/** A source as a text. */
export function sourceKey({ file, name }: { readonly file: string; readonly name: string }): string {
  return `${file}\0${name}`
}

function isPlan(value: unknown): value is Plan {
  if (!isJsonObject(value) || value['version'] !== 1 || !isJsonObject(value['config'])) return false
  const { servers, files, options } = value
  const all = (list: unknown, key: string): boolean =>
    Array.isArray(list) && list.every(item => isJsonObject(item) && typeof item[key] === 'boolean')
  return isJsonObject(options) && all(servers, 'take') && all(files, 'change')
}

/** The options of a plan that was given. @throws TypeError for something else */
export function optionsOf(given: unknown): PlanOptions {
  if (!isPlan(given)) throw new TypeError('It is no plan of this version of mcp-manifold.')
  return given.options
}
