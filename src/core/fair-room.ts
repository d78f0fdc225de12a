import { HeldBy } from './held-by.ts'

/** What one client holds. */
class Holding {
  /** Bytes that wait for the client. */
  unread = 0
  /** Bytes that come for it, in all and by server. */
  coming = 0
  readonly byServer = new HeldBy()

  get bytes(): number {
    return this.unread + this.coming
  }
}

/**
 * How much of a bounded room each client and each server holds, and whether one of them may hold more. A holder may hold more while everything fits with
 * as much again left free for the next one, where others count with no more than this one holds. So a holder that has more than its share costs only itself
 * room. The shares of several holders that all take what they may are a half, a third, a quarter and so on of the room; together they may exceed the room,
 * until it is full. Where it is full, a reserve of a quarter of the room is shared by the same rule: it is a floor for holders that have little.
 */
export class FairRoom {
  readonly maxBytes: number
  readonly #clients = new Map<string, Holding>()
  /** Bytes that come, by server, for all clients. */
  readonly #servers = new HeldBy()
  #bytes = 0
  #unread = 0
  /** The sum over all clients, each counted with a quarter of the room at most. */
  #counted = 0

  constructor(maxBytes: number) {
    this.maxBytes = maxBytes
  }

  /** Bytes that are held, of all. */
  get bytes(): number {
    return this.#bytes
  }

  /** So much is held that few may hold more than their share. */
  get isFull(): boolean {
    return this.#bytes > 2 * this.maxBytes
  }

  /** Bytes that come from `server`. */
  comingFrom(server: string): number {
    return this.#servers.of(server)
  }

  /** Bytes that come from `server` for `client`. */
  comingFor(client: string, server: string): number {
    return this.#clients.get(client)?.byServer.of(server) ?? 0
  }

  /** The others hold so much that `client` has to wait, each counted with a quarter of the room at most. More than eight of them make it full. */
  isFullFor(client: string): boolean {
    const own = this.#clients.get(client)?.bytes ?? 0
    return this.#counted - this.#countOf(own) > 2 * this.maxBytes
  }

  /** Bytes that come. */
  get allComing(): number {
    return this.#bytes - this.#unread
  }

  /** Bytes that wait for clients. */
  get allUnread(): number {
    return this.#unread
  }

  /** Bytes that wait for `client`. */
  unreadOf(client: string): number {
    return this.#clients.get(client)?.unread ?? 0
  }

  /** So many more bytes wait for `client`; less when negative. */
  unread(client: string, bytes: number): void {
    const holding = this.#of(client)
    const before = holding.bytes
    holding.unread += bytes
    this.#unread += bytes
    this.#changed(client, holding, before)
  }

  /** So many more bytes come from `server` for `client`; less when negative. */
  coming(client: string, server: string, bytes: number): void {
    const holding = this.#of(client)
    const before = holding.bytes
    holding.coming += bytes
    holding.byServer.add(server, bytes)
    this.#servers.add(server, bytes)
    this.#changed(client, holding, before)
  }

  /** Whether `server` may send more for `client`. */
  fits(client: string, server: string): boolean {
    const holding = this.#clients.get(client)
    if (!holding) return true
    const ofServer = this.#servers.of(server)
    if (this.#bytes + Math.max(holding.bytes, ofServer) <= this.maxBytes) return true
    const room = this.isFullFor(client) ? this.maxBytes / 4 : this.maxBytes
    return this.#servers.upTo(ofServer) + ofServer <= room && this.#clientFits(holding, server, room)
  }

  /** A server that sends much for a client leaves the client's other servers as much room. */
  #clientFits(holding: Holding, server: string, room: number): boolean {
    const level = holding.unread + holding.byServer.upTo(holding.byServer.of(server))
    let bytes = 2 * level
    for (const other of this.#clients.values()) if (other !== holding) bytes += Math.min(other.bytes, level)
    return bytes <= room
  }

  #of(client: string): Holding {
    let holding = this.#clients.get(client)
    if (!holding) this.#clients.set(client, (holding = new Holding()))
    return holding
  }

  #changed(client: string, { bytes }: Holding, before: number): void {
    this.#bytes += bytes - before
    this.#counted += this.#countOf(bytes) - this.#countOf(before)
    if (bytes === 0) this.#clients.delete(client)
  }

  #countOf(bytes: number): number {
    return Math.min(bytes, this.maxBytes / 4)
  }
}
