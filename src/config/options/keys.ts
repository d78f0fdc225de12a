import { FILE, SECTIONS } from './file.ts'
import type { Check, Option, Section } from './option.ts'

/** A key of the format at one location of a file. */
export interface Key {
  /** Steps to the key; `*` stands for one name or index. */
  readonly path: readonly string[]
  readonly option: Option
}

/** Every key at every possible location, in the order of the format. Ignored keys are left out. */
export function everyKey(): Key[] {
  const found: Key[] = []
  const visitSection = (section: Section, path: readonly string[]): void => {
    for (const [key, option] of Object.entries(section.options)) {
      if (option.ignored) continue
      const at = [...path, key]
      found.push({ path: at, option })
      visitCheck(option.check, at)
    }
  }
  const visitCheck = (check: Check, path: readonly string[]): void => {
    if (check.kind === 'section') visitSection(check.section, path)
    else if (check.kind === 'list' || check.kind === 'table') visitCheck(check.of, [...path, '*'])
    else if (check.kind === 'either') for (const one of check.of) visitCheck(one, path)
  }
  visitSection(FILE, [])
  return found
}

/** A key of the reference: listed once, regardless of its number of locations. */
export interface ConfigKey {
  /** `mcpServers.*.idle`; `*` stands for a name or an index. */
  readonly path: string
  readonly default: string | undefined
  /** Why a change requires a restart; `undefined` when a reload applies it. */
  readonly restart: string | undefined
  /** Whether it has no effect in this version. */
  readonly pending: boolean
}

/** Every key of the reference, section by section. */
export function configKeys(): ConfigKey[] {
  return SECTIONS.flatMap(({ path, options }) =>
    Object.entries(options)
      .filter(([, { ignored }]) => ignored !== true)
      .map(([key, option]) => ({
        path: path === '' ? key : `${path}.${key}`,
        default: option.default,
        restart: option.restart,
        pending: option.pending !== undefined,
      })),
  )
}

/** The paths in a value, valid or not, that match the steps. */
export function placesOf(root: unknown, steps: readonly string[]): (string | number)[][] {
  const found: (string | number)[][] = []
  const visit = (at: unknown, depth: number, path: (string | number)[]): void => {
    const step = steps[depth]
    if (step === undefined) {
      found.push(path)
      return
    }
    if (typeof at !== 'object' || at === null) return
    if (step !== '*') {
      if (Object.hasOwn(at, step)) visit((at as Record<string, unknown>)[step], depth + 1, [...path, step])
    } else if (Array.isArray(at)) at.forEach((child, index) => visit(child, depth + 1, [...path, index]))
    else for (const [name, child] of Object.entries(at)) visit(child, depth + 1, [...path, name])
  }
  visit(root, 0, [])
  return found
}

/**
 * The keys of a path, without the names that the file gives to servers, tools and other entries. All of it when the
 * format has no such path.
 */
export function keysOf(path: readonly (string | number)[]): readonly (string | number)[] {
  const follow = (check: Check, at: number): readonly (string | number)[] | undefined => {
    const step = path[at]
    if (step === undefined) return []
    if (check.kind === 'section') {
      const option = Object.hasOwn(check.section.options, step) ? check.section.options[step] : undefined
      const rest = option && follow(option.check, at + 1)
      return rest && [step, ...rest]
    }
    if (check.kind === 'list' || check.kind === 'table') return follow(check.of, at + 1)
    if (check.kind !== 'either') return undefined
    for (const one of check.of) {
      const rest = follow(one, at)
      if (rest) return rest
    }
    return undefined
  }
  return follow({ kind: 'section', section: FILE }, 0) ?? path
}
