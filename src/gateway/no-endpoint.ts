import { WHOLE } from '../catalog/view-names.ts'
import type { Config } from '../config/types.ts'
import type { Principal } from '../core/principal.ts'

/** Why a client on stdio has no view of an endpoint. */
export function noEndpoint({ profiles }: Config, name: string, principal: Principal): string {
  if (name === WHOLE) return `The client "${principal.name}" may use nothing. Allow it something.`
  const names = profiles.map(profile => profile.name)
  const known = names.length > 0 ? `There are: ${names.join(', ')}.` : 'Add it to "profiles".'
  return `There is no profile "${name}" in the configuration, or nothing in it that may be used. ${known}`
}
