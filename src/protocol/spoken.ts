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

/** Whether it is to be used as a server of both eras. One that has not been asked for the other era counts. */
export function mayBeBoth({ legacy, modern }: Spoken): boolean {
  return legacy !== false && modern !== false
}
