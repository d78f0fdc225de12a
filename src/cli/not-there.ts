import { nearest } from '../config/validate/nearest.ts'
import { GatewayError } from '../core/errors.ts'

/** Maximum number of listed names. */
const MOST_LISTED = 20
const LONGEST_SHOWN = 100

/**
 * The error for an unknown name: with the nearest name, or else with the existing names.
 * @param place kind and location of the name, as in `server "a" in servers.json`
 * @param none what to do when there are no names at all
 */
export function notThere(
  location: (quoted: string) => string,
  name: string,
  names: readonly string[],
  none = 'There are none.',
): GatewayError {
  return new GatewayError('config', `${location(quoted(name))}. ${fixFor(name, names, none)}`)
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
