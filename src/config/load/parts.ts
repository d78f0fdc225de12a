import { isJsonObject } from '../../core/json-object.ts'
import { adopt } from './adopt.ts'
import { withPresentNames, type PresentNames } from './old-names.ts'
import type { JsonObject } from '../../core/exchange.ts'
import type { Path, Problem } from '../problem.ts'

/** One file of a configuration: the main file or an included one. */
export interface Part {
  /** Absolute path; `undefined` when the configuration was given as an object. */
  readonly file: string | undefined
  readonly text: string | undefined
  readonly written: unknown
  readonly adopted: PresentNames
  /** Base folder of its relative paths. */
  readonly folder: string
}

/** The sections that an included file may have. */
export const INCLUDED_SECTIONS = ['mcpServers', 'servers', 'clients', 'roles', 'profiles'] as const

/** The merged files of a configuration, and which file contains which entry. */
export class Parts {
  readonly main: Part
  readonly included: readonly Part[]
  /** In the gateway's own form, as written. */
  readonly raw: unknown
  readonly #owners = new Map<string, Part>()
  /** Problems whose file is known, regardless of their paths. */
  readonly #of = new WeakMap<Problem, Part>()

  constructor(main: Part, included: readonly Part[]) {
    this.main = main
    this.included = included
    this.raw = this.merge(({ adopted }) => adopted.value)
    for (const part of [main, ...included])
      for (const path of entriesOf(part.adopted.value))
        if (!this.#owners.has(path.join('\0'))) this.#owners.set(path.join('\0'), part)
  }

  /** The file of a problem. */
  partOf(problem: Problem): Part {
    return this.#of.get(problem) ?? this.partAt(problem.path)
  }

  /** The file that contains the entry at a path. */
  partAt(path: Path): Part {
    return this.#owners.get(path.slice(0, 2).join('\0')) ?? this.main
  }

  /** Assigns problems to a file. Returns them. */
  own(part: Part, problems: readonly Problem[]): readonly Problem[] {
    for (const problem of problems) this.#of.set(problem, part)
    return problems
  }

  /** Merges one value of each file: that of the main file, followed by the entries of the others. */
  merge(valueOf: (part: Part) => unknown): unknown {
    const main = valueOf(this.main)
    if (!isJsonObject(main) || this.included.length === 0) return main
    const merged: JsonObject = { ...main }
    for (const part of this.included) {
      const value = valueOf(part)
      if (!isJsonObject(value)) continue
      for (const section of INCLUDED_SECTIONS) {
        const entries = value[section]
        const others = merged[section] ?? {}
        if (isJsonObject(entries) && isJsonObject(others)) merged[section] = { ...others, ...entries }
      }
    }
    return merged
  }

  /** The entries of included files, such as `mcpServers.search`, each with its file. */
  get includedFrom(): Map<string, string> {
    const from = new Map<string, string>()
    for (const part of this.included)
      for (const [section, name] of entriesOf(part.adopted.value))
        if (part.file !== undefined) from.set(`${section}.${name}`, part.file)
    return from
  }
}

/** Creates a part from a parsed text. */
export function partOf(
  written: unknown,
  origin: { file: string | undefined; text: string | undefined; folder: string; cwd: string },
): Part {
  const { file, text, folder, cwd } = origin
  return { file, text, folder, written, adopted: withPresentNames(adopt(written, cwd), file) }
}

/** Paths of all entries of a file in sections that may be included. */
export function entriesOf(value: unknown): [string, string][] {
  if (!isJsonObject(value)) return []
  return INCLUDED_SECTIONS.flatMap(section => {
    const entries = value[section]
    return isJsonObject(entries) ? Object.keys(entries).map((name): [string, string] => [section, name]) : []
  })
}
