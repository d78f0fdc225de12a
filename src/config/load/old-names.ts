import { everyKey } from '../options/keys.ts'
import { formatPath, type Path, type Problem } from '../problem.ts'
import type { Adopted } from './adopt.ts'

/** A file in which every key has its current name. The hints contain a sentence for each old name. */
export interface PresentNames extends Adopted {
  /** Keys that are present under both their old and their current name. */
  readonly problems: readonly Problem[]
}

/** The old names below one location of the format. */
export interface Names {
  /** By step; `*` stands for every name and index. */
  readonly below: Map<string, Names>
  /** Old name → current name. */
  readonly renamed: Map<string, string>
}

const emptyNames = (): Names => ({ below: new Map(), renamed: new Map() })

/** Renames the keys of a file to their current names. `file` is its path, for the hints. */
export function withPresentNames(adopted: Adopted, file: string | undefined): PresentNames {
  const known = oldNames()
  const problems: Problem[] = []
  const used = new Map<string, { readonly present: string; readonly paths: Path[] }>()
  /** Path with current names → old name of its last step. */
  const origins = new Map<string, string>()

  const visit = (value: unknown, names: Names, path: Path, oldPath: Path): unknown => {
    if (typeof value !== 'object' || value === null) return value
    if (Array.isArray(value)) {
      const each = names.below.get('*')
      if (!each) return value
      return unlessSame(
        value,
        value.map((item, at) => visit(item, each, [...path, at], [...oldPath, at])),
      )
    }
    let changed = false
    const entries: [string, unknown][] = []
    for (const [key, child] of Object.entries(value)) {
      const present = names.renamed.get(key)
      if (present === undefined) {
        const below = names.below.get(key) ?? names.below.get('*')
        const next = below ? visit(child, below, [...path, key], [...oldPath, key]) : child
        if (next !== child) changed = true
        entries.push([key, next])
        continue
      }
      changed = true
      const at = [...path, present]
      const oldAt = [...oldPath, key]
      if (Object.hasOwn(value, present) || origins.has(at.join('\0'))) {
        problems.push(bothNames(oldAt, present))
        continue
      }
      origins.set(at.join('\0'), key)
      const name = `${key}\0${present}`
      const found = used.get(name)
      if (found) found.paths.push(oldAt)
      else used.set(name, { present, paths: [oldAt] })
      const below = names.below.get(present)
      entries.push([present, below ? visit(child, below, at, oldAt) : child])
    }
    return changed ? Object.fromEntries(entries) : value
  }

  const value = visit(adopted.value, known, [], [])
  const written = (path: Path): Path =>
    path.map((step, at) => origins.get(path.slice(0, at + 1).join('\0')) ?? step)
  return {
    value,
    problems,
    hints: [
      ...adopted.hints,
      ...[...used.values()].map(({ present, paths }) => hintOf(file, present, paths.map(adopted.origin))),
    ],
    owner: adopted.owner,
    origin: path => adopted.origin(origins.size === 0 ? path : written(path)),
  }
}

let names: Names | undefined

/** Every old name of a key. */
export function oldNames(): Names {
  return (names ??= namesOfOptions())
}

/** Whether a hint of `withPresentNames` is about an old name. */
export function isAboutOldName(hint: string): boolean {
  return / ha(?:s|ve) an old name\. Write /.test(hint)
}

function namesOfOptions(): Names {
  const root = emptyNames()
  for (const { path, option } of everyKey()) {
    if (option.aliases.length === 0) continue
    let names = root
    for (const step of path.slice(0, -1)) {
      let next = names.below.get(step)
      if (!next) names.below.set(step, (next = emptyNames()))
      names = next
    }
    for (const alias of option.aliases) names.renamed.set(alias, path.at(-1) as string)
  }
  return root
}

function unlessSame(before: unknown[], after: unknown[]): unknown[] {
  return after.every((item, at) => item === before[at]) ? before : after
}

function bothNames(path: Path, present: string): Problem {
  return {
    path,
    about: 'key',
    cause: `is the old name of "${present}", which is there as well`,
    fix: `Remove "${String(path.at(-1))}".`,
  }
}

function hintOf(file: string | undefined, present: string, paths: readonly Path[]): string {
  const [first = [], ...others] = paths
  const more = others.length > 0 ? ` and ${others.length} more have` : ' has'
  const location = `${formatPath(first)}${more} an old name`
  const where = file === undefined ? location : `${file}: ${location}`
  return `${where}. Write "${present}" in place of "${String(first.at(-1))}".`
}
