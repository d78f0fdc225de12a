import { HeldBy } from './held-by.ts'

/** The bytes held by one client. */
class Holding {
  /** Bytes that wait to be read by the client. */
  unread = 0
  /** Bytes of incoming messages for the client, in total and by server. */
  coming = 0
  readonly byServer = new HeldBy()

  get bytes(): number {
    return this.unread + this.coming
  }
}

/**
 * Divides a bounded room fairly between clients and servers. A holder may hold more while everything fits and as much
 * again stays free for the next holder; other holders count with at most the amount of this one. So a holder above its
 * share limits only itself. When several holders take all they may, their shares are a half, a third, a quarter and so
 * on of the room. Together they may exceed the room until it is full. When it is full, a reserve of a quarter of the
 * room is shared by the same rule: it is a minimum for small holders.
 */
export class FairRoom {
  readonly maxBytes: number
  readonly #clients = new Map<string, Holding>()
  /** Bytes of incoming messages by server, for all clients. */
  readonly #servers = new HeldBy()
  #bytes = 0
  #unread = 0
  /** The sum over all clients, each counted with at most a quarter of the room. */
  #counted = 0

  constructor(maxBytes: number) {
    this.maxBytes = maxBytes
  }

  /** Bytes held in total. */
  get bytes(): number {
    return this.#bytes
  }

  /** Whether so much is held that few holders may exceed their share. */
  get isFull(): boolean {
    return this.#bytes > 2 * this.maxBytes
  }

  /** Bytes of incoming messages from `server`. */
  comingFrom(server: string): number {
    return this.#servers.of(server)
  }

  /** Bytes of incoming messages from `server` for `client`. */
  comingFor(client: string, server: string): number {
    return this.#clients.get(client)?.byServer.of(server) ?? 0
  }

  /**
   * Whether the other clients, each counted with at most a quarter of the room, hold so much that `client` has to wait.
   * More than eight such clients fill the room.
   */
  isFullFor(client: string): boolean {
    const own = this.#clients.get(client)?.bytes ?? 0
    return this.#counted - this.#countOf(own) > 2 * this.maxBytes
  }

  /** Bytes of all incoming messages. */
  get allComing(): number {
    return this.#bytes - this.#unread
  }

  /** Bytes that wait to be read by clients. */
  get allUnread(): number {
    return this.#unread
  }

  /** Bytes that wait to be read by `client`. */
  unreadOf(client: string): number {
    return this.#clients.get(client)?.unread ?? 0
  }

  /** Adds to the unread bytes of `client`; a negative amount removes them. */
  unread(client: string, bytes: number): void {
    const holding = this.#of(client)
    const before = holding.bytes
    holding.unread += bytes
    this.#unread += bytes
    this.#changed(client, holding, before)
  }

  /** Adds to the incoming bytes from `server` for `client`; a negative amount removes them. */
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

  /** A server that sends much for a client leaves as much room to the client's other servers. */
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
