import { memberOf, type Option, type Section } from '../options/option.ts'
import { formatPath, type Path } from '../problem.ts'
import { isSame } from './differences.ts'

/** Keys of the file that differ between two resolved configurations, in words; without values that may be secrets. */

/** Keys of free text whose values are public. */
const SHOWN_TEXTS: ReadonlySet<string> = new Set(['host', 'timeZone', 'zone'])
const MAX_TEXT = 60

const DURATIONS = [
  ['d', 86_400e3],
  ['h', 3_600e3],
  ['m', 60e3],
  ['s', 1e3],
] as const
const SIZES = [
  ['GiB', 1024 ** 3],
  ['MiB', 1024 ** 2],
  ['KiB', 1024],
] as const

/** A key that differs, with its values when both may be shown: `timeout: 1m → 2m`. */
export function keyDetail(path: Path, from?: string, to?: string): string {
  const key = formatPath(path)
  return from === undefined || to === undefined ? key : `${key}: ${from} → ${to}`
}

/** As `keyDetail`, in a list that is empty for equal values. */
export function keyDetails(path: Path, before: unknown, after: unknown): string[] {
  return isSame(before, after) ? [] : [keyDetail(path)]
}

/**
 * The keys of a section that differ, except those that `config/resolve` resolves by hand.
 * @param before the resolved section, and whatever else the object has
 */
export function sectionDetails({ options }: Section, before: object, after: object, path: Path): string[] {
  const details: string[] = []
  for (const [key, option] of Object.entries(options)) {
    const member = memberOf(key, option)
    if (member === undefined) continue
    const [was, is] = [before, after].map(values => (values as Readonly<Record<string, unknown>>)[member])
    if (isSame(was, is)) continue
    const at = [...path, key]
    if (option.check.kind === 'section' && was && is)
      details.push(...sectionDetails(option.check.section, was, is, at))
    else details.push(optionDetail(option, at, was, is))
  }
  return details
}

/** Values by name that differ, such as variables. */
export function tableDetails(
  path: Path,
  before: Readonly<Record<string, unknown>>,
  after: Readonly<Record<string, unknown>>,
): string[] {
  const names = new Set([...Object.keys(before), ...Object.keys(after)])
  return [...names].flatMap(name => keyDetails([...path, name], own(before, name), own(after, name)))
}

/** Entries by name that are added, removed or changed; `inside` compares two of one name. */
export function entryDetails<T>(
  path: Path,
  before: ReadonlyMap<string, T>,
  after: ReadonlyMap<string, T>,
  inside: (before: T, after: T, path: Path) => readonly string[],
): string[] {
  const added = [...after].flatMap(([name, entry]) => {
    const was = before.get(name)
    const at = [...path, name]
    if (was === undefined) return [`${formatPath(at)} added`]
    return isSame(was, entry) ? [] : inside(was, entry, at)
  })
  const removed = [...before.keys()].filter(name => !after.has(name))
  return [...added, ...removed.map(name => `${formatPath([...path, name])} removed`)]
}

function optionDetail(option: Option, path: Path, before: unknown, after: unknown): string {
  const isShown = option.check.kind !== 'text' || SHOWN_TEXTS.has(String(path.at(-1)))
  return isShown ? keyDetail(path, writtenText(option, before), writtenText(option, after)) : keyDetail(path)
}

/** A resolved value as it is written in the file; `undefined` for one that is not shown. */
function writtenText(option: Option, value: unknown): string | undefined {
  if (value === undefined) return 'not set'
  if (typeof value === 'boolean') return String(value)
  if (typeof value === 'string') return JSON.stringify(value.slice(0, MAX_TEXT))
  if (typeof value !== 'number') return undefined
  const { check } = option
  if (check.kind === 'duration') return durationText(value, check.limits.off)
  if (check.kind === 'size') return sizeText(value)
  // A percentage is resolved to a fraction.
  const factor = option.resolve(1) as number
  return String(check.kind === 'number' && check.whole ? Math.round(value / factor) : value / factor)
}

export function durationText(ms: number, canBeOff = false): string {
  if (ms === 0) return canBeOff ? '"never"' : '0s'
  return withUnit(ms, DURATIONS, 'ms')
}

export function sizeText(bytes: number): string {
  return withUnit(bytes, SIZES, 'B')
}

function withUnit(value: number, units: readonly (readonly [string, number])[], least: string): string {
  const [unit, size] = units.find(([, of]) => value % of === 0) ?? [least, 1]
  return `${value / size}${unit}`
}

/** A member, and not what every object inherits: names may be `constructor`. */
function own(object: Readonly<Record<string, unknown>>, name: string): unknown {
  return Object.hasOwn(object, name) ? object[name] : undefined
}
