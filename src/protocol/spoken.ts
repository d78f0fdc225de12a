import type { Era } from './revisions.ts'

/** Eras that an endpoint of a server supports, as far as handshakes have shown. `undefined`: unknown. Immutable. */
export interface Spoken {
  readonly legacy?: boolean | undefined
  readonly modern?: boolean | undefined
}

export const UNKNOWN: Spoken = {}

export function isUnknown({ legacy, modern }: Spoken): boolean {
  return legacy === undefined && modern === undefined
}

export function otherEra(era: Era): Era {
  return era === 'modern' ? 'legacy' : 'modern'
}

/** The permanent part: a newer version of a server may support an era that it lacked. */
export function withoutLacks({ legacy, modern }: Spoken): Spoken {
  return { legacy: legacy || undefined, modern: modern || undefined }
}

/**
 * The eras to assume after a link was lost: a dual-era server is contacted in the preferred era; any other server is
 * probed again.
 */
export function afterLoss(spoken: Spoken): Spoken {
  return spoken.legacy === true && spoken.modern === true ? spoken : UNKNOWN
}
