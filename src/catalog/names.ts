import { createHash } from 'node:crypto'

/** Between prefix and name. Routing never splits at it: names are looked up. */
const SEPARATOR = '__'
const HASH_CHARS = 6
/** What every model API accepts. */
const SAFE = /^[A-Za-z0-9_-]+$/

/** A server, as far as names are concerned. */
export interface Named {
  readonly name: string
  readonly prefix: string | false
}

/**
 * Whose names are whose: a name belongs to the server with the longest prefix it begins with, whether that server lists it, and whether it has been
 * listed at all. So no server can take a name of another, and the order in which servers come makes no difference.
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

  /** The server to which a name belongs; `undefined` for a name without a prefix of any server. */
  ownerOf(name: string): string | undefined {
    let owner: string | undefined
    const end = Math.min(name.length, this.#longest)
    for (let at = name.indexOf(SEPARATOR); at >= 0 && at < end; at = name.indexOf(SEPARATOR, at + 1))
      owner = this.#servers.get(name.slice(0, at + SEPARATOR.length)) ?? owner
    return owner
  }

  /** Whether a name belongs to another server than this one. */
  isForeign(server: string, name: string): boolean {
    const owner = this.ownerOf(name)
    return owner !== undefined && owner !== server
  }
}

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

/** The name of a server and one of its own that belongs to another server: an alias that belongs to no other. */
export function ownAlias(
  { name: server, prefix }: Named,
  own: string,
  maxLength: number,
  spaces: Namespaces,
): string {
  const plain = alias(server, `${prefix === false ? server : prefix}${SEPARATOR}${own}`, own, maxLength)
  if (!spaces.isForeign(server, plain)) return plain
  // No separator but the server's own, hence no prefix of another one.
  const within = own.replace(/_{2,}/g, '_').replace(/^_/, '')
  const short = alias(
    server,
    prefix === false ? `${server}_${within}`.replace(/_{2,}/g, '_') : `${prefix}${SEPARATOR}${within}`,
    own,
    maxLength,
  )
  return spaces.isForeign(server, short) ? short.replace(/_{2,}/g, '_') : short
}
