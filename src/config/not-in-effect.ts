import type { Path } from './problem.ts'

/**
 * Options that are part of the format but do nothing in this version; a later version deletes the rows it makes true.
 *
 * `refused`: someone who writes it relies on it for safety, so that accepting it would be dangerous. `warned`: without it
 * everything still works, only slower or less evenly.
 */
interface NotInEffect {
  /** Place in the file; `*` stands for one key or index. */
  readonly option: string
  readonly effect: 'refused' | 'warned'
  /** Values that mean the same with and without the feature. */
  readonly harmless?: (value: unknown) => boolean
}

export const NOT_IN_EFFECT: readonly NotInEffect[] = [
  { option: 'clients', effect: 'refused' },
  { option: 'profiles', effect: 'refused' },
  { option: 'mcpServers.*.rate', effect: 'refused' },
  { option: 'mcpServers.*.tools.*.rate', effect: 'refused' },
  { option: 'gateway.fail', effect: 'refused' },
  {
    option: 'mcpServers.*.replicas',
    effect: 'warned',
    harmless: value => Array.isArray(value) && value.length === 1,
  },
  { option: 'mcpServers.*.concurrency', effect: 'warned' },
  { option: 'mcpServers.*.queue', effect: 'warned' },
  { option: 'mcpServers.*.cache', effect: 'warned' },
  { option: 'mcpServers.*.retry', effect: 'warned', harmless: value => value === false },
  { option: 'mcpServers.*.cost', effect: 'warned' },
  { option: 'mcpServers.*.tools.*.concurrency', effect: 'warned' },
  { option: 'mcpServers.*.tools.*.cache', effect: 'warned' },
  { option: 'mcpServers.*.tools.*.retry', effect: 'warned', harmless: value => value === false },
  { option: 'mcpServers.*.tools.*.cost', effect: 'warned' },
  { option: 'mcpServers.*.oauth', effect: 'warned' },
  { option: 'mcpServers.*.headersHelper', effect: 'warned' },
  { option: 'mcpServers.*.sandboxEnabled', effect: 'warned', harmless: value => value === false },
  // Nobody is told apart yet.
  { option: 'gateway.maxLinksPerClient', effect: 'warned' },
  { option: 'gateway.concurrency', effect: 'warned' },
  { option: 'gateway.queue', effect: 'warned' },
]

/** The row of an option, `undefined` when it is in effect. `option` is written as in the table. */
export function notInEffect(option: string): NotInEffect | undefined {
  return NOT_IN_EFFECT.find(row => row.option === option)
}

/** Places in `value` (a whole file, valid or not) that hold an option of the given effect. `servers` counts as `mcpServers`. */
export function findNotInEffect(value: unknown, effect: NotInEffect['effect']): Path[] {
  const found: Path[] = []
  for (const row of NOT_IN_EFFECT) {
    if (row.effect !== effect) continue
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
