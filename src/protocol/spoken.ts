import type { Era } from './revisions.ts'

/** Which eras one endpoint of a server speaks, as far as handshakes have shown. `undefined`: not known. Immutable. */
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

/** What holds for good. What a server lacked when it was asked, a newer version of it may have. */
export function withoutLacks({ legacy, modern }: Spoken): Spoken {
  return { legacy: legacy || undefined, modern: modern || undefined }
}

/** What is believed of a server whose link was lost: one of both eras is greeted as it is wished, of any other it is found out anew. */
export function afterLoss(spoken: Spoken): Spoken {
  return spoken.legacy === true && spoken.modern === true ? spoken : UNKNOWN
}
