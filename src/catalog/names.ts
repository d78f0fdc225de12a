import { createHash } from 'node:crypto'

/** Between prefix and name. Routing never splits at it: names are looked up. */
const SEPARATOR = '__'
const HASH_CHARS = 6
/** What every model API accepts. */
const SAFE = /^[A-Za-z0-9_-]+$/

/**
 * The name under which clients see a tool or prompt.
 *
 * `<prefix>__<name>` where that is short and plain enough. Otherwise unsafe characters become `_`, the name is cut, and six hex digits of
 * SHA-256 over server and name follow, so that the alias depends on nothing but those two.
 */
export function exposedName(server: string, prefix: string | false, name: string, maxLength: number): string {
  // A bare name is the operator's choice: it stays what the server calls it, whatever it looks like.
  if (prefix === false) return name
  const full = `${prefix}${SEPARATOR}${name}`
  return full.length <= maxLength && SAFE.test(full) ? full : alias(server, full, name, maxLength)
}

/** A name for what would otherwise collide with another server's. */
export function alias(server: string, full: string, name: string, maxLength: number): string {
  const hash = createHash('sha256').update(`${server}\0${name}`).digest('hex').slice(0, HASH_CHARS)
  const safe = full.replace(/[^A-Za-z0-9_-]/g, '_')
  return `${safe.slice(0, Math.max(1, maxLength - HASH_CHARS - 1))}_${hash}`
}
