import { toBytes, toMs } from './units.ts'
import {
  resolveSection,
  type Check,
  type DurationLimits,
  type Option,
  type Options,
  type Resolved,
  type Section,
  type SizeLimits,
  type TableKeys,
  type Written,
} from './option.ts'

/** The kinds of options, one function for each. */

/** Notes common to every kind. */
export interface Notes {
  /** Name of the resolved value, when it differs from that of the kind; `false` when it is resolved by hand. */
  readonly as?: string | false
  /** Description of the default in the reference, when the default is not a value. */
  readonly shown?: string
  readonly bounds?: string
  readonly aliases?: readonly string[]
  readonly restart?: string
  readonly pending?: Option['pending']
}

type Name<D, Usual extends string> = D extends { readonly as: infer N extends string | false } ? N : Usual
type Value<D, T> = D extends { readonly default: unknown } ? T : T | undefined
/** Rejects members of `D` that `T` does not have. */
type Only<D, T> = D & { readonly [K in Exclude<keyof D, keyof T>]: never }

/** An option of any form. Without `resolve`, the value stays as written. */
export function option<W, R = W | undefined, const D extends Notes = Notes>(
  type: string,
  meaning: string,
  check: Check<W>,
  notes: Only<D, Notes> = {} as Only<D, Notes>,
  resolve: (written: W | undefined) => R = written => written as R,
): Option<W, R, Name<D, '*'>> {
  return make(type, meaning, check, notes, '*', resolve) as Option<W, R, Name<D, '*'>>
}

function make<W, R>(
  type: string,
  meaning: string,
  check: Check<W>,
  notes: Notes & { readonly default?: string | number | boolean },
  usual: string,
  resolve: (written: W | undefined) => R,
): Option<W, R> {
  const { as = usual, shown, bounds, aliases = [], restart, pending } = notes
  const fallback = shown ?? (notes.default === undefined ? undefined : String(notes.default))
  return { check, meaning, type, default: fallback, bounds, as, aliases, restart, pending, resolve }
}

interface TextNotes extends Notes {
  readonly default?: string
  readonly pattern?: RegExp
  readonly expected?: string
  readonly empty?: string
}

export function text<const D extends TextNotes>(
  meaning: string,
  notes: Only<D, TextNotes> = {} as Only<D, TextNotes>,
): Option<string, Value<D, string>, Name<D, '*'>> {
  const all: TextNotes = notes
  const { pattern, expected = 'expected a text' } = all
  const empty = all.empty ?? (pattern ? expected : `${expected} that is not empty`)
  const check: Check<string> = { kind: 'text', expected, empty, pattern }
  const made = make('string', meaning, check, all, '*', written => written ?? all.default)
  return made as Option<string, Value<D, string>, Name<D, '*'>>
}

interface FlagNotes extends Notes {
  readonly default?: boolean
}

export function flag<const D extends FlagNotes>(
  meaning: string,
  notes: Only<D, FlagNotes>,
): Option<boolean, Value<D, boolean>, Name<D, '*'>> {
  const all: FlagNotes = notes
  const check: Check<boolean> = { kind: 'flag' }
  const made = make('boolean', meaning, check, all, '*', written => written ?? all.default)
  return made as Option<boolean, Value<D, boolean>, Name<D, '*'>>
}

interface ChoiceNotes<V extends string> extends Notes {
  readonly default?: V
}

export function choice<const T extends readonly string[], const D extends ChoiceNotes<T[number]>>(
  meaning: string,
  values: T,
  notes: Only<D, ChoiceNotes<T[number]>> = {} as Only<D, ChoiceNotes<T[number]>>,
): Option<T[number], Value<D, T[number]>, Name<D, '*'>> {
  const all: ChoiceNotes<T[number]> = notes
  const check = oneOf(values)
  const type = values.map(value => `"${value}"`).join(' \\| ')
  const made = make(type, meaning, check, all, '*', written => written ?? all.default)
  return made as Option<T[number], Value<D, T[number]>, Name<D, '*'>>
}

function oneOf<const T extends readonly string[]>(values: T): Check<T[number]> {
  const list = values.map(value => `"${value}"`)
  return { kind: 'choice', values, expected: `expected ${list.slice(0, -1).join(', ')} or ${list.at(-1)}` }
}

interface NumberNotes extends Omit<Notes, 'bounds'> {
  readonly default?: number
  readonly min: number
  readonly max: number
}

export function integer<const D extends NumberNotes>(
  meaning: string,
  notes: Only<D, NumberNotes>,
): Option<number, Value<D, number>, Name<D, '*'>> {
  return bounded('integer', meaning, notes, 1) as Option<number, Value<D, number>, Name<D, '*'>>
}

export function number<const D extends NumberNotes>(
  meaning: string,
  notes: Only<D, NumberNotes>,
): Option<number, Value<D, number>, Name<D, '*'>> {
  return bounded('number', meaning, notes, 1) as Option<number, Value<D, number>, Name<D, '*'>>
}

/** A whole percentage; resolves to a fraction. */
export function percentage<const D extends NumberNotes>(
  meaning: string,
  notes: Only<D, NumberNotes>,
): Option<number, Value<D, number>, Name<D, '*'>> {
  return bounded('integer', meaning, notes, 100) as Option<number, Value<D, number>, Name<D, '*'>>
}

function bounded(
  type: 'integer' | 'number',
  meaning: string,
  notes: NumberNotes,
  divisor: number,
): Option<number, number | undefined> {
  const { min, max } = notes
  const check: Check<number> = { kind: 'number', whole: type === 'integer', min, max }
  return make(type, meaning, check, { ...notes, bounds: `${min} to ${max}` }, '*', written => {
    const value = written ?? notes.default
    return value === undefined ? undefined : value / divisor
  })
}

interface DurationNotes extends Omit<Notes, 'bounds'>, DurationLimits {
  readonly default?: string
}

/** Resolves to milliseconds; `"never"` resolves to 0. */
export function duration<const D extends DurationNotes>(
  meaning: string,
  notes: Only<D, DurationNotes>,
): Option<string | number, Value<D, number>, Name<D, '*Ms'>> {
  const all: DurationNotes = notes
  const { min, max, off = false, bareMs = false } = all
  const bounds = `${min} to ${max}${off ? ', or 0 or "never"' : ''}`
  const limits = { min, max, off, bareMs }
  const check: Check<string | number> = { kind: 'duration', limits, example: all.default ?? max }
  const made = make('duration', meaning, check, { ...all, bounds }, '*Ms', written => {
    const value = written ?? all.default
    if (value === undefined) return undefined
    return bareMs && typeof value === 'number' ? value : toMs(value)
  })
  return made as Option<string | number, Value<D, number>, Name<D, '*Ms'>>
}

interface SizeNotes extends Omit<Notes, 'bounds'>, SizeLimits {
  readonly default: string
}

/** Resolves to bytes. */
export function size<const D extends SizeNotes>(
  meaning: string,
  notes: Only<D, SizeNotes>,
): Option<string, number, Name<D, '*Bytes'>> {
  const all: SizeNotes = notes
  const { min, max } = all
  const check: Check<string> = { kind: 'size', limits: { min, max }, example: all.default }
  const made = make('size', meaning, check, { ...all, bounds: `${min} to ${max}` }, '*Bytes', written =>
    toBytes(written ?? all.default),
  )
  return made as Option<string, number, Name<D, '*Bytes'>>
}

interface TextsNotes extends Notes {
  readonly expected?: string
}

/** Defaults to an empty list. */
export function texts<const D extends TextsNotes>(
  meaning: string,
  notes: Only<D, TextsNotes> = {} as Only<D, TextsNotes>,
): Option<readonly string[], readonly string[], Name<D, '*'>> {
  const all: TextsNotes = notes
  const item: Check<string> = { kind: 'text', expected: 'expected a text; put numbers in quotes' }
  return listOf(item, meaning, { ...all, expected: all.expected ?? 'expected a list of texts' }) as Option<
    readonly string[],
    readonly string[],
    Name<D, '*'>
  >
}

interface ListNotes extends Notes {
  readonly expected: string
  /** Error message for an empty list; without it, an empty list is accepted. */
  readonly empty?: string
}

/** A list of texts of one form. Defaults to an empty list. */
export function listOf<W, const D extends ListNotes>(
  item: Check<W>,
  meaning: string,
  notes: Only<D, ListNotes>,
): Option<readonly W[], readonly W[], Name<D, '*'>> {
  const all: ListNotes = notes
  const check: Check<readonly W[]> = { kind: 'list', of: item, expected: all.expected, empty: all.empty }
  const made = make('list of strings', meaning, check, all, '*', written => written ?? [])
  return made as Option<readonly W[], readonly W[], Name<D, '*'>>
}

/** A list of sections, with at least one entry. Resolved by hand. */
export function list<O extends Options>(
  type: string,
  meaning: string,
  of: Section<O>,
): Option<readonly Written<O>[], undefined, false> {
  const expected = 'expected a list with at least one entry'
  const item: Check<Written<O>> = { kind: 'section', section: of }
  const check: Check<readonly Written<O>[]> = { kind: 'list', of: item, expected, empty: expected }
  return { ...make(type, meaning, check, {}, '*', () => undefined), as: false }
}

/** Sections by name. Resolved by hand. */
export function table<O extends Options>(
  meaning: string,
  of: Section<O>,
  keys: TableKeys = {},
): Option<Readonly<Record<string, Written<O>>>, undefined, false> {
  const item: Check<Written<O>> = { kind: 'section', section: of }
  return tableOf('object', meaning, item, keys)
}

/** Values of one form by name. Resolved by hand. */
export function tableOf<W>(
  type: string,
  meaning: string,
  item: Check<W>,
  keys: TableKeys = {},
): Option<Readonly<Record<string, W>>, undefined, false> {
  const check: Check<Readonly<Record<string, W>>> = {
    kind: 'table',
    of: item,
    keys,
    expected: 'expected an object',
  }
  return { ...make(type, meaning, check, {}, '*', () => undefined), as: false }
}

/** A nested section. Without a value, all its options have their defaults. */
export function group<O extends Options, const D extends Notes>(
  meaning: string,
  of: Section<O>,
  notes: Only<D, Notes> = {} as Only<D, Notes>,
): Option<Written<O>, Resolved<O>, Name<D, '*'>> {
  const check: Check<Written<O>> = { kind: 'section', section: of }
  const made = make('object', meaning, check, notes, '*', written =>
    resolveSection(of, written ?? ({} as Written<O>)),
  )
  return made as Option<Written<O>, Resolved<O>, Name<D, '*'>>
}

/** A key of some client that the gateway ignores. */
export function ignored(whose: string): Option<unknown, undefined, false> {
  const meaning = `Known to ${whose}; accepted and ignored.`
  return {
    ...make('any', meaning, { kind: 'any' }, {}, '*', () => undefined),
    as: false,
    ignored: true,
  }
}

/** Their type is empty, so that no code can read them. */
export function ignoredKeys(keys: Readonly<Record<string, string>>): Record<never, Option> {
  return Object.fromEntries(Object.entries(keys).map(([key, whose]) => [key, ignored(whose)]))
}
