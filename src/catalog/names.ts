import { createHash } from 'node:crypto'

/** Separates prefix and name. Routing never splits a name at it but looks up the whole name. */
const SEPARATOR = '__'
const HASH_CHARS = 6
/** Characters that every model API accepts. */
const SAFE = /^[A-Za-z0-9_-]+$/

/** The part of a server that determines its names. */
export interface Named {
  readonly name: string
  readonly prefix: string | false
}

/**
 * Assigns names to servers: a name belongs to the server with the longest prefix that the name begins with, whether or
 * not that server lists it or has been listed at all. No server can therefore take a name of another one, and the order
 * in which servers are listed does not matter.
 */
export class Namespaces {
  readonly #servers: ReadonlyMap<string, string>
  readonly #longest: number

  constructor(servers: readonly Named[]) {
    this.#servers = new Map(
      servers.flatMap(({ name, prefix }) => (prefix === false ? [] : [[`${prefix}${SEPARATOR}`, name]])),
    )
    this.#longest = Math.max(0, ...[...this.#servers.keys()].map(({ length }) => length))
  }

  /** The server to which a name belongs. `undefined`: the name has no prefix of any server. */
  ownerOf(name: string): string | undefined {
    let owner: string | undefined
    const end = Math.min(name.length, this.#longest)
    for (let at = name.indexOf(SEPARATOR); at >= 0 && at < end; at = name.indexOf(SEPARATOR, at + 1))
      owner = this.#servers.get(name.slice(0, at + SEPARATOR.length)) ?? owner
    return owner
  }

  /** Whether a name belongs to another server. */
  isForeign(server: string, name: string): boolean {
    const owner = this.ownerOf(name)
    return owner !== undefined && owner !== server
  }
}

/**
 * The exposed name of a tool or prompt.
 *
 * `<prefix>__<name>` if that is short enough and has only safe characters. Otherwise unsafe characters become `_`, the
 * name is cut, and six hex digits of SHA-256 over server and name follow, so that the alias depends on nothing else.
 */
export function exposedName(server: string, prefix: string | false, name: string, maxLength: number): string {
  // A bare name is the choice of the operator, so it stays as the server gives it.
  if (prefix === false) return name
  const full = `${prefix}${SEPARATOR}${name}`
  return full.length <= maxLength && SAFE.test(full) ? full : alias(server, full, name, maxLength)
}

/** Alias for a name that would collide with one of another server. */
export function alias(server: string, full: string, name: string, maxLength: number): string {
  const hash = createHash('sha256').update(`${server}\0${name}`).digest('hex').slice(0, HASH_CHARS)
  const safe = full.replace(/[^A-Za-z0-9_-]/g, '_')
  return `${safe.slice(0, Math.max(1, maxLength - HASH_CHARS - 1))}_${hash}`
}

/**
 * Alias for a name of a server that falls under the prefix of another server. The alias falls under no other prefix.
 */
export function ownAlias(
  { name: server, prefix }: Named,
  own: string,
  maxLength: number,
  spaces: Namespaces,
): string {
  const plain = alias(server, `${prefix === false ? server : prefix}${SEPARATOR}${own}`, own, maxLength)
  if (!spaces.isForeign(server, plain)) return plain
  // The result has no separator but the server's own, so it has no prefix of another server.
  const within = own.replace(/_{2,}/g, '_').replace(/^_/, '')
  const short = alias(
    server,
    prefix === false ? `${server}_${within}`.replace(/_{2,}/g, '_') : `${prefix}${SEPARATOR}${within}`,
    own,
    maxLength,
  )
  return spaces.isForeign(server, short) ? short.replace(/_{2,}/g, '_') : short
}
