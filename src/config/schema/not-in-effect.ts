import type { Path } from '../problem.ts'

/**
 * Options that are part of the format but do nothing in this version; a later version deletes the rows it makes true. Only such as everything works
 * without, just slower or less evenly: what somebody relies on for safety is not accepted before it works.
 */
interface NotInEffect {
  /** Place in the file; `*` stands for one key or index. */
  readonly option: string
  /** Values that mean the same with and without the feature. */
  readonly harmless?: (value: unknown) => boolean
}

export const NOT_IN_EFFECT: readonly NotInEffect[] = [
  { option: 'mcpServers.*.oauth' },
  { option: 'mcpServers.*.headersHelper' },
  { option: 'mcpServers.*.sandboxEnabled', harmless: value => value === false },
]

/** The row of an option, `undefined` when it is in effect. `option` is written as in the table. */
export function notInEffect(option: string): NotInEffect | undefined {
  return NOT_IN_EFFECT.find(row => row.option === option)
}

/** Places in `value` (a whole file, valid or not) that hold such an option. `servers` counts as `mcpServers`. */
export function findNotInEffect(value: unknown): Path[] {
  const found: Path[] = []
  for (const row of NOT_IN_EFFECT) {
    const steps = row.option.split('.')
    const visit = (at: unknown, step: number, path: Path): void => {
      const key = steps[step]
      if (key === undefined) {
        if (at !== undefined && !row.harmless?.(at)) found.push(path)
      } else if (typeof at === 'object' && at !== null) {
        for (const [name, child] of Object.entries(at)) {
          const matches =
            key === '*' || name === key || (step === 0 && key === 'mcpServers' && name === 'servers')
          if (matches) visit(child, step + 1, [...path, Array.isArray(at) ? Number(name) : name])
        }
      }
    }
    visit(value, 0, [])
  }
  return found
}
