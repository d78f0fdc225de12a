import { keysThatDecide } from '../config/options/server.ts'
import type { JsonObject } from '../core/exchange.ts'
import { isJsonObject } from '../core/json-object.ts'

/** The addresses that the entry of a server sends its secrets to, as far as its text proves them. */

const ADDRESS_KEYS = keysThatDecide('address')

/** Whether an entry names an address that is not provably one of the earlier entry. Replicas count as well. */
export function isMoved(before: unknown, after: unknown): boolean {
  const known = new Set(addressesOf(before))
  return addressesOf(after).some(address => !known.has(address))
}

/**
 * Addresses of an entry and its replicas, in a form that is equal only for equal destinations. A `host` header names
 * another party at the same address.
 */
export function addressesOf(entry: unknown, hosts: readonly string[] = []): string[] {
  if (!isJsonObject(entry)) return []
  const named = [...hosts, ...hostsOf(entry)]
  const located = ADDRESS_KEYS.flatMap(key => destinationsOf(entry[key]))
  const parts = located.length > 0 ? [...located, ...named] : []
  // What determines an address together is one address.
  const own = parts.length > 0 ? [JSON.stringify([...new Set(parts)])] : []
  const { replicas } = entry
  return Array.isArray(replicas)
    ? [...own, ...replicas.flatMap((replica: unknown) => addressesOf(replica, named))]
    : own
}

function hostsOf({ headers }: JsonObject): string[] {
  if (!isJsonObject(headers)) return []
  return Object.entries(headers).flatMap(([name, value]) =>
    name.toLowerCase() === 'host' ? [`host ${JSON.stringify(value)}`] : [],
  )
}

/** Keys of a login that lead nowhere: what is asked for, and under which name. */
const HARMLESS: ReadonlySet<string> = new Set(['scopes', 'scope', 'clientName', 'dpop'])

function destinationsOf(value: unknown): readonly string[] {
  if (value === undefined) return []
  if (!isJsonObject(value)) return [destinationOf(value)]
  const leading = Object.entries(value).filter(([key]) => !HARMLESS.has(key))
  return leading.length === 0 ? [] : [destinationOf(Object.fromEntries(leading))]
}

/** The origin of an address without variables. Any other value leads to an unknown place and equals only itself. */
function destinationOf(value: unknown): string {
  if (typeof value === 'string' && !value.includes('${') && URL.canParse(value)) {
    const { origin } = new URL(value)
    if (origin !== 'null') return origin
  }
  return JSON.stringify(value)
}
