import { z } from 'zod'
import { NEVER, parseDuration, parseSize, DURATION_PATTERN, SIZE_PATTERN } from '../units.ts'
import { notInEffect } from './not-in-effect.ts'
import type { Limits } from '../defaults.ts'

/**
 * The words in which the schema is written. An option is a check and what a person has to know about it; from the same words
 * come the error messages, the JSON Schema for editors and the reference in the documentation.
 *
 * Nothing here transforms or fills in: a value that passes is the value that was written.
 */
export interface Option<S extends z.ZodType = z.ZodType> {
  readonly schema: S
  /** One sentence. */
  readonly meaning: string
  readonly type: string
  /** As a person would write it. */
  readonly default?: string
  readonly bounds?: string
  /** Accepted only so that a client's own file can be used as it is. */
  readonly ignored?: true
}

export interface Section {
  /** Place of its keys in the file; `*` stands for one key. */
  readonly place: string
  readonly options: Readonly<Record<string, Option>>
}

/** Every section in the order of its definition, for the reference. */
export const SECTIONS: Section[] = []

type Notes = Partial<Pick<Option, 'default' | 'bounds'>>
type Shape<O extends Record<string, Option>> = { [K in keyof O]: z.ZodOptional<O[K]['schema']> }

/** An object that knows all its keys; others are errors. Every key may be left out. */
export function section<O extends Record<string, Option>>(
  place: string,
  options: O,
): z.ZodObject<Shape<O>, z.core.$strict> {
  SECTIONS.push({ place, options })
  const shape: Record<string, z.ZodType> = {}
  for (const [key, option] of Object.entries(options)) {
    shape[key] = option.schema.optional().describe(describeOption(place, key, option))
  }
  // The message of an unknown key is the list of the known ones: whoever reads the issue looks for the nearest.
  const error = (issue: { code?: string }): string =>
    issue.code === 'unrecognized_keys' ? Object.keys(options).join(' ') : 'expected an object'
  return z.strictObject(shape as Shape<O>, { error })
}

/** Meaning, default, bounds and whether it does anything yet: sentences for editors. */
export function describeOption(place: string, key: string, option: Option): string {
  const parts = [option.meaning]
  if (option.default !== undefined) parts.push(`Default: ${option.default}.`)
  if (option.bounds !== undefined) parts.push(`Bounds: ${option.bounds}.`)
  if (notInEffect(place === '' ? key : `${place}.${key}`))
    parts.push('Accepted, but not in effect in this version yet.')
  return parts.join(' ')
}

export function option<S extends z.ZodType>(
  type: string,
  meaning: string,
  schema: S,
  notes: Notes = {},
): Option<S> {
  return { schema, meaning, type, ...notes }
}

export function text(
  meaning: string,
  notes: Notes & { pattern?: RegExp; expected?: string; empty?: string } = {},
): Option<z.ZodString> {
  const { pattern, expected = 'expected a text', empty, ...rest } = notes
  const plain = z
    .string({ error: expected })
    .min(1, { error: empty ?? (pattern ? expected : `${expected} that is not empty`) })
  return option('string', meaning, pattern ? plain.regex(pattern, { error: expected }) : plain, rest)
}

export function flag(meaning: string, fallback: boolean): Option<z.ZodBoolean> {
  return option('boolean', meaning, z.boolean({ error: 'expected true or false' }), {
    default: String(fallback),
  })
}

export function choice<const T extends readonly string[]>(
  meaning: string,
  values: T,
  notes: Notes = {},
): Option<z.ZodEnum<{ [K in T[number]]: K }>> {
  const list = values.map(value => `"${value}"`)
  const error = `expected ${list.slice(0, -1).join(', ')} or ${list.at(-1)}`
  return option(list.join(' \\| '), meaning, z.enum(values, { error }), notes)
}

export function integer(
  meaning: string,
  limits: Omit<Limits<number>, 'default'> & { default?: number },
): Option<z.ZodInt> {
  const error = `expected a whole number from ${limits.min} to ${limits.max}`
  const schema = z.int({ error }).min(limits.min, { error }).max(limits.max, { error })
  return option('integer', meaning, schema, withDefault(`${limits.min} to ${limits.max}`, limits.default))
}

export function number(
  meaning: string,
  limits: Omit<Limits<number>, 'default'> & { default?: number },
): Option<z.ZodNumber> {
  const error = `expected a number from ${limits.min} to ${limits.max}`
  const schema = z.number({ error }).min(limits.min, { error }).max(limits.max, { error })
  return option('number', meaning, schema, withDefault(`${limits.min} to ${limits.max}`, limits.default))
}

type DurationLimits = Omit<Limits<string>, 'default'> & { default?: string }

/** `bareMs`: a bare number is accepted and means milliseconds, as in the clients whose files have this key. */
export function duration(
  meaning: string,
  limits: DurationLimits,
  bareMs = false,
): Option<z.ZodType<string | number>> {
  const { min, max, off = false } = limits
  const bounds = `${min} to ${max}${off ? ', or 0 or "never"' : ''}`
  const bare = bareMs ? '; a bare number means milliseconds' : ''
  const error = `expected a duration from ${bounds}, such as "${limits.default ?? max}"${bare}`
  const low = parseDuration(min) ?? 0
  const high = parseDuration(max) ?? Infinity
  const within = (value: string | number): boolean => {
    const ms = bareMs && typeof value === 'number' ? value : parseDuration(value)
    return ms !== undefined && ((off && ms === 0) || (ms >= low && ms <= high))
  }
  const pattern = off ? `^(${NEVER}|0)$|${DURATION_PATTERN}` : DURATION_PATTERN
  const schema = z.union([z.string(), z.number()], { error }).refine(within, { error }).meta({ pattern })
  return option('duration', meaning, schema, withDefault(bounds, limits.default))
}

export function size(meaning: string, limits: Limits<string>): Option<z.ZodString> {
  const error = `expected a size from ${limits.min} to ${limits.max}, such as "${limits.default}"`
  const low = parseSize(limits.min) ?? 0
  const high = parseSize(limits.max) ?? Infinity
  const within = (value: string): boolean => {
    const bytes = parseSize(value)
    return bytes !== undefined && bytes >= low && bytes <= high
  }
  const schema = z.string({ error }).refine(within, { error }).meta({ pattern: SIZE_PATTERN })
  return option('size', meaning, schema, withDefault(`${limits.min} to ${limits.max}`, limits.default))
}

export function texts(
  meaning: string,
  expected = 'expected a list of texts',
): Option<z.ZodArray<z.ZodString>> {
  const item = z.string({ error: 'expected a text; put numbers in quotes' })
  return option('list of strings', meaning, z.array(item, { error: expected }))
}

export function list<S extends z.ZodType>(type: string, meaning: string, item: S): Option<z.ZodArray<S>> {
  const error = 'expected a list with at least one entry'
  return option(type, meaning, z.array(item, { error }).min(1, { error }))
}

export function table<S extends z.ZodType>(
  type: string,
  meaning: string,
  value: S,
  keys: { pattern?: RegExp; max?: number; expected?: string } = {},
): Option<z.ZodRecord<z.ZodString, S>> {
  const { pattern, max = 256, expected = `expected a name of 1 to ${max} characters` } = keys
  const plain = z.string().min(1, { error: expected }).max(max, { error: expected })
  const key = pattern ? plain.regex(pattern, { error: expected }) : plain
  return option(type, meaning, z.record(key, value, { error: 'expected an object' }))
}

/** A key that some client has in its file and that means nothing to the gateway. */
export function ignored(whose: string): Option<z.ZodUnknown> {
  return {
    schema: z.unknown(),
    type: 'any',
    meaning: `Known to ${whose}; accepted and ignored.`,
    ignored: true,
  }
}

function withDefault(bounds: string, fallback: string | number | undefined): Notes {
  return fallback === undefined ? { bounds } : { bounds, default: String(fallback) }
}
