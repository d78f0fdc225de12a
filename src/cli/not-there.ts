import { nearest } from '../config/validate/nearest.ts'
import { GatewayError } from '../core/errors.ts'

/** Names that a message lists. */
const MOST_LISTED = 20
const LONGEST_SHOWN = 100

/**
 * The error for a name that nothing has: with the nearest name that there is, else with the names there are.
 * @param place what of it there is none, and where, as in `server "a" in servers.json`
 * @param none what to do where there are no names at all
 */
export function notThere(
  place: (quoted: string) => string,
  name: string,
  names: readonly string[],
  none = 'There are none.',
): GatewayError {
  return new GatewayError('config', `${place(quoted(name))}. ${fixFor(name, names, none)}`)
}

function fixFor(name: string, names: readonly string[], none: string): string {
  const near = nearest(name.slice(0, 2 * LONGEST_SHOWN), names)
  if (near !== undefined) return `Did you mean "${near}"?`
  if (names.length === 0) return none
  const more = names.length - MOST_LISTED
  const listed = names.slice(0, MOST_LISTED).join(', ')
  return more > 0 ? `There are: ${listed} and ${more} more.` : `There are: ${listed}.`
}

function quoted(name: string): string {
  return JSON.stringify(name.length > LONGEST_SHOWN ? `${name.slice(0, LONGEST_SHOWN)}…` : name)
}
