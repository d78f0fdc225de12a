/**
 * A configuration option is one descriptor. From it follow the check of a written value, the default, the conversion of units,
 * the type of the written and of the resolved value, the JSON Schema and the reference. Descriptors are plain data: a start reads
 * them, and only a new file loads the library that checks (`config/schema`).
 */

declare const WRITTEN: unique symbol

/** What a written value may be. `W` is its type. */
export type Check<W = unknown> = CheckData & { readonly [WRITTEN]?: W }

type CheckData =
  | {
      readonly kind: 'text'
      readonly expected?: string | undefined
      /** What an empty text is told; without it an empty text passes. */
      readonly empty?: string | undefined
      readonly pattern?: RegExp | undefined
      readonly passes?: ((text: string) => boolean) | undefined
    }
  | { readonly kind: 'flag' }
  | { readonly kind: 'choice'; readonly values: readonly string[]; readonly expected: string }
  | { readonly kind: 'number'; readonly whole: boolean; readonly min: number; readonly max: number }
  | { readonly kind: 'duration'; readonly limits: DurationLimits; readonly example: string }
  | { readonly kind: 'size'; readonly limits: SizeLimits; readonly example: string }
  | { readonly kind: 'literal'; readonly value: string | false }
  | { readonly kind: 'null' | 'any' | 'any number' }
  | {
      readonly kind: 'list'
      readonly of: Check
      readonly expected: string
      readonly empty?: string | undefined
    }
  | {
      readonly kind: 'table'
      readonly of: Check
      readonly keys?: TableKeys | undefined
      readonly expected?: string | undefined
    }
  | { readonly kind: 'section'; readonly section: Section }
  | {
      /** A small object that has no defaults of its own. */
      readonly kind: 'object'
      readonly required: Readonly<Record<string, Check>>
      readonly optional: Readonly<Record<string, Check>>
      /** Other keys pass. */
      readonly open?: boolean
      readonly expected?: string
    }
  | { readonly kind: 'either'; readonly of: readonly Check[]; readonly expected: string }

export interface DurationLimits {
  readonly min: string
  readonly max: string
  /** May also be `0` or `"never"`. */
  readonly off?: boolean
  /** A bare number is accepted and means milliseconds, as in the clients whose files have this key. */
  readonly bareMs?: boolean
}

export interface SizeLimits {
  readonly min: string
  readonly max: string
}

export interface TableKeys {
  readonly pattern?: RegExp
  readonly max?: number
  readonly expected?: string
}

/**
 * `W`: what is written. `R`: what it resolves to. `N`: the name of the resolved value, in which `*` stands for the key; `false`: code
 * in `config/resolve` resolves it, because it depends on other values or on the environment.
 */
export interface Option<W = unknown, R = unknown, N extends string | false = string | false> {
  readonly check: Check<W>
  /** One sentence. */
  readonly meaning: string
  readonly type: string
  /** As a file has it. */
  readonly default?: string | undefined
  readonly bounds?: string | undefined
  readonly as: N
  /** Earlier names of the key. A file may use one, with a warning that gives the present name. */
  readonly aliases: readonly string[]
  /** Why a change takes effect only at the next start; `undefined`: a reload takes it over. */
  readonly restart?: string | undefined
  /** Accepted only so that a client's own file can be used as it is. */
  readonly ignored?: true
  /** Does nothing in this version, apart from values for which nothing has to be done. */
  readonly pending?: { readonly harmless?: (value: unknown) => boolean } | undefined
  /** Fills in the default and converts the unit. Total for a value that has passed the check. */
  resolve(written: W | undefined): R
}

export type Options = Readonly<Record<string, Option>>

/** An object that knows all its keys. Every key may be left out. */
export interface Section<O extends Options = Options> {
  /** Place of its keys in the file; `*` stands for one key or index. */
  readonly place: string
  readonly options: O
}

/** A section as a file has it. */
export type Written<O extends Options> = {
  readonly [K in keyof O]?: O[K] extends Option<infer W> ? W | undefined : never
}

/** What the options of a section resolve to, apart from those that `config/resolve` resolves by hand. */
export type Resolved<O extends Options> = {
  readonly [K in keyof O as NameOf<K, O[K]>]: O[K] extends Option<unknown, infer R> ? R : never
}

type NameOf<K, O> =
  O extends Option<unknown, unknown, infer N>
    ? N extends `*${infer Unit}`
      ? `${K & string}${Unit}`
      : N extends string
        ? N
        : never
    : never

export function section<const O extends Options>(place: string, options: O): Section<O> {
  return { place, options }
}

/** The resolved values of a section. Total for a section that has passed its check. */
export function resolveSection<O extends Options>({ options }: Section<O>, written: Written<O>): Resolved<O> {
  const resolved: Record<string, unknown> = {}
  for (const key of Object.keys(options)) {
    const option = options[key] as Option
    if (option.as === false) continue
    const name = option.as.startsWith('*') ? `${key}${option.as.slice(1)}` : option.as
    resolved[name] = option.resolve(written[key])
  }
  return resolved as Resolved<O>
}
