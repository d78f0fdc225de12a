/**
 * A configuration option is one descriptor. The validation of a value, the default, the unit conversion, the types of
 * the written and of the resolved value, the JSON Schema and the reference are derived from it. Descriptors are plain
 * data: a start reads them, and only a new file requires the validation library (`config/schema`).
 */

declare const WRITTEN: unique symbol

/** The valid values of an option. `W` is their type. */
export type Check<W = unknown> = CheckData & { readonly [WRITTEN]?: W }

type CheckData =
  | {
      readonly kind: 'text'
      readonly expected?: string | undefined
      /** Error message for an empty text; without it, an empty text is accepted. */
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
      /** A small object without defaults. */
      readonly kind: 'object'
      readonly required: Readonly<Record<string, Check>>
      readonly optional: Readonly<Record<string, Check>>
      /** Whether unknown keys are accepted. */
      readonly open?: boolean
      readonly expected?: string
    }
  | { readonly kind: 'either'; readonly of: readonly Check[]; readonly expected: string }

export interface DurationLimits {
  readonly min: string
  readonly max: string
  /** Whether `0` and `"never"` are accepted. */
  readonly off?: boolean
  /** Whether a bare number is accepted as milliseconds, as in the clients whose files have this key. */
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
 * `W`: type of the written value. `R`: type of the resolved value. `N`: name of the resolved value, in which `*` stands
 * for the key; `false` when code in `config/resolve` resolves it, because it depends on other values or on the
 * environment.
 */
export interface Option<W = unknown, R = unknown, N extends string | false = string | false> {
  readonly check: Check<W>
  /** One sentence. */
  readonly meaning: string
  readonly type: string
  /** As written in a file. */
  readonly default?: string | undefined
  readonly bounds?: string | undefined
  readonly as: N
  /** Earlier names of the key. They are accepted with a warning that names the current one. */
  readonly aliases: readonly string[]
  /** Why a change requires a restart; `undefined` when a reload applies it. */
  readonly restart?: string | undefined
  /** Accepted only so that a client's own file can be used unchanged. */
  readonly ignored?: true
  /** What the value of a key of a server determines; `undefined` for a key that no free text is written in. */
  readonly decides?: Decides | undefined
  /** Has no effect in this version; `harmless` tests for values that need none. */
  readonly pending?: { readonly harmless?: (value: unknown) => boolean } | undefined
  /** Fills in the default and converts the unit. Total for validated values. */
  resolve(written: W | undefined): R
}

/**
 * - `program`: which program is started, and how;
 * - `address`: where the secrets of the server are sent;
 * - `transport`: how the two others are read;
 * - `neither`: none of these.
 */
export type Decides = 'program' | 'address' | 'transport' | 'neither'

/** The option, with what its value determines. The admin API protects programs and addresses by it. */
export function deciding<const D extends Decides, O extends Option>(
  decides: D,
  made: O,
): O & { readonly decides: D } {
  return { ...made, decides }
}

export type Options = Readonly<Record<string, Option>>

/** An object with a closed set of keys. Every key is optional. */
export interface Section<O extends Options = Options> {
  /** Location of its keys in the file; `*` stands for one key or index. */
  readonly path: string
  readonly options: O
}

/** A section as written in a file. */
export type Written<O extends Options> = {
  readonly [K in keyof O]?: O[K] extends Option<infer W> ? W | undefined : never
}

/** The resolved options of a section, except those that `config/resolve` resolves by hand. */
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

export function section<const O extends Options>(path: string, options: O): Section<O> {
  return { path, options }
}

/** The resolved values of a section. Total for validated sections. */
export function resolveSection<O extends Options>({ options }: Section<O>, written: Written<O>): Resolved<O> {
  const resolved: Record<string, unknown> = {}
  for (const key of Object.keys(options)) {
    const option = options[key] as Option
    const name = memberOf(key, option)
    if (name !== undefined) resolved[name] = option.resolve(written[key])
  }
  return resolved as Resolved<O>
}

/** Name of the resolved value of an option; `undefined` when `config/resolve` resolves it. */
export function memberOf(key: string, { as }: Pick<Option, 'as'>): string | undefined {
  if (as === false) return undefined
  return as.startsWith('*') ? `${key}${as.slice(1)}` : as
}
