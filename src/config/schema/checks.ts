import { z } from 'zod'
import { DURATION_PATTERN, NEVER, parseDuration, parseSize, SIZE_PATTERN } from '../options/units.ts'
import type { Check, DurationLimits, Section, SizeLimits, TableKeys } from '../options/option.ts'
import { describeOption } from './describe.ts'

/**
 * The checks of descriptors as zod schemas. They neither transform nor fill in values: a valid value is returned as
 * written.
 */

/**
 * An object with a closed set of keys; unknown keys are errors.
 * @param withOldNames whether old names are accepted, for editors; a file has none left when it is validated
 */
export function sectionSchema({ options }: Section, withOldNames = false): z.ZodObject {
  const shape: Record<string, z.ZodType> = {}
  for (const [key, option] of Object.entries(options)) {
    const schema = schemaOf(option.check, withOldNames).optional()
    shape[key] = schema.describe(describeOption(option))
    for (const alias of withOldNames ? option.aliases : [])
      shape[alias] = schema.meta({ description: `Old name of \`${key}\`.`, deprecated: true })
  }
  // The error of an unknown key contains the list of valid keys, from which the nearest one is suggested.
  const error = (issue: { code?: string }): string =>
    issue.code === 'unrecognized_keys' ? Object.keys(options).join(' ') : 'expected an object'
  return z.strictObject(shape, { error })
}

function schemaOf(check: Check, withOldNames: boolean): z.ZodType {
  const inner = (part: Check): z.ZodType => schemaOf(part, withOldNames)
  switch (check.kind) {
    case 'text': {
      const error = check.expected
      let schema = z.string(error === undefined ? {} : { error })
      if (check.empty !== undefined) schema = schema.min(1, { error: check.empty })
      if (check.pattern) schema = schema.regex(check.pattern, error === undefined ? {} : { error })
      return check.passes ? schema.refine(check.passes, { error }) : schema
    }
    case 'flag':
      return z.boolean({ error: 'expected true or false' })
    case 'choice':
      return z.enum(check.values, { error: check.expected })
    case 'number': {
      const { whole, min, max } = check
      const error = `expected a ${whole ? 'whole ' : ''}number from ${min} to ${max}`
      return (whole ? z.int({ error }) : z.number({ error })).min(min, { error }).max(max, { error })
    }
    case 'duration':
      return durationSchema(check.limits, check.example)
    case 'size':
      return sizeSchema(check.limits, check.example)
    case 'literal':
      return z.literal(check.value)
    case 'null':
      return z.null()
    case 'any number':
      return z.number()
    case 'any':
      return z.unknown()
    case 'list': {
      const schema = z.array(inner(check.of), { error: check.expected })
      return check.empty === undefined ? schema : schema.min(1, { error: check.empty })
    }
    case 'table': {
      const error = check.expected
      return z.record(keySchema(check.keys), inner(check.of), error === undefined ? {} : { error })
    }
    case 'section':
      return sectionSchema(check.section, withOldNames)
    case 'object': {
      const shape = {
        ...mapped(check.required, inner),
        ...mapped(check.optional, member => inner(member).optional()),
      }
      const notes = check.expected === undefined ? {} : { error: check.expected }
      return check.open ? z.looseObject(shape, notes) : z.strictObject(shape, notes)
    }
    case 'either':
      return z.union(check.of.map(inner), { error: check.expected })
  }
}

function keySchema(keys: TableKeys | undefined): z.ZodString {
  if (keys === undefined) return z.string()
  const { pattern, max = 256, expected = `expected a name of 1 to ${max} characters` } = keys
  const plain = z.string().min(1, { error: expected }).max(max, { error: expected })
  return pattern ? plain.regex(pattern, { error: expected }) : plain
}

function durationSchema(
  { min, max, off = false, bareMs = false }: DurationLimits,
  example: string,
): z.ZodType {
  const bounds = `${min} to ${max}${off ? ', or 0 or "never"' : ''}`
  const bare = bareMs ? '; a bare number means milliseconds' : ''
  const error = `expected a duration from ${bounds}, such as "${example}"${bare}`
  const low = parseDuration(min) ?? 0
  const high = parseDuration(max) ?? Infinity
  const within = (value: string | number): boolean => {
    const ms = bareMs && typeof value === 'number' ? value : parseDuration(value)
    return ms !== undefined && ((off && ms === 0) || (ms >= low && ms <= high))
  }
  const pattern = off ? `^(${NEVER}|0)$|${DURATION_PATTERN}` : DURATION_PATTERN
  return z.union([z.string(), z.number()], { error }).refine(within, { error }).meta({ pattern })
}

function sizeSchema({ min, max }: SizeLimits, example: string): z.ZodType {
  const error = `expected a size from ${min} to ${max}, such as "${example}"`
  const low = parseSize(min) ?? 0
  const high = parseSize(max) ?? Infinity
  const within = (value: string): boolean => {
    const bytes = parseSize(value)
    return bytes !== undefined && bytes >= low && bytes <= high
  }
  return z.string({ error }).refine(within, { error }).meta({ pattern: SIZE_PATTERN })
}

function mapped<A, B>(record: Readonly<Record<string, A>>, to: (value: A) => B): Record<string, B> {
  return Object.fromEntries(Object.entries(record).map(([key, value]) => [key, to(value)]))
}
