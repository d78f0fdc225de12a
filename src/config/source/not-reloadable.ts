import { GATEWAY } from '../options/gateway.ts'
import { memberOf, type Section } from '../options/option.ts'
import { isSame } from './differences.ts'
import type { Config } from '../types.ts'

/** A key that requires a restart. */
export interface NotReloadable {
  /** As in the file: `gateway.http.port`. */
  readonly key: string
  /** A clause that follows "because". */
  readonly reason: string
}

/** What is kept of a configuration that another one replaces. */
export interface Kept {
  /** The other one, with the running values of the keys that are not reloadable. */
  readonly config: Config
  /** The keys that differ, in the order of the reference. */
  readonly notReloadable: readonly NotReloadable[]
}

type Values = Readonly<Record<string, unknown>>

/**
 * Keeps the values that take effect at the next start only: those whose descriptor has a `restart`. A section with a
 * `restart` differs where one of the two configurations has it and the other has not; it is kept whole then.
 */
export function keepNotReloadable(running: Config, next: Config): Kept {
  const notReloadable: NotReloadable[] = []
  const keep = ({ path, options }: Section, before: Values, after: Values): Values => {
    let kept = after
    for (const [key, option] of Object.entries(options)) {
      const { check, restart } = option
      const name = memberOf(key, option) ?? key
      const [old, value] = [before[name], after[name]]
      const isSection = check.kind === 'section'
      const isOther = isSection ? (old === undefined) !== (value === undefined) : !isSame(old, value)
      if (restart !== undefined && isOther) {
        notReloadable.push({ key: `${path}.${key}`, reason: restart })
        kept = { ...kept, [name]: old }
      } else if (isSection && old !== undefined && value !== undefined) {
        const inside = keep(check.section, old as Values, value as Values)
        if (inside !== value) kept = { ...kept, [name]: inside }
      }
    }
    return kept
  }
  const values = (gateway: Config['gateway']): Values => gateway as unknown as Values
  const gateway = keep(GATEWAY, values(running.gateway), values(next.gateway)) as unknown as Config['gateway']
  return { config: { ...next, gateway }, notReloadable }
}
