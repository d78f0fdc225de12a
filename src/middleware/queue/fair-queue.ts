import {
  hasTurn,
  PrioritySemaphore,
  ServerQueue,
  longestOf,
  type Client,
  type ClientFlow,
  type PrioritySemaphoreOptions,
  type QueueRefusal,
  type WaitingCall,
} from './flow.ts'
import { LinkedList } from '../../core/linked-list.ts'

/**
 * Permits of servers, and of the gateway over all of them. A call takes a permit of both or of neither, so that it
 * never holds one while waiting for the other, and the queue of one server never blocks another server. Turns at a
 * server go round its waiting clients by weight (start-time fair queueing: each turn costs `1 / weight` of virtual
 * time). When the permits of the gateway are scarce, turns go round the clients that are next at their servers. The
 * calls of one client are served in order of arrival. The permit of a cancelled call is held while its server may be
 * working on it, and each such permit makes the client's turns more expensive.
 *
 * Invariant: after every call, no request waits while a permit it may use is free.
 */
export class FairQueue {
  readonly #all: PrioritySemaphore
  readonly #serverQueues = new Map<string, ServerQueue>()
  readonly #clients = new Map<string, Client>()
  /** Over all servers. */
  #returning = 0
  #virtual = 0
  #order = 0
  #closed = false

  constructor(options: PrioritySemaphoreOptions) {
    this.#all = new PrioritySemaphore(options)
  }

  get taken(): number {
    return this.#all.taken
  }

  get waiting(): number {
    return this.#all.waiting
  }

  /** The queue of a server. An existing one gets the new size. */
  serverQueue(name: string, options: PrioritySemaphoreOptions): ServerQueue {
    const known = this.#serverQueues.get(name)
    if (known) {
      known.resize(options)
      return known
    }
    const serverQueue = new ServerQueue(name, options)
    this.#serverQueues.set(name, serverQueue)
    return serverQueue
  }

  /**
   * Applies the number of permits of the gateway, and its servers. Permits in use stay in use. Waiting calls get new
   * permits; when the bound is exceeded, all of them keep waiting. Calls that wait for a removed server are refused.
   * Its queue stays as long as calls have a permit of it, or may want one again.
   */
  resize(options: PrioritySemaphoreOptions, servers: { has(name: string): boolean }): void {
    this.#all.resize(options)
    for (const [name, serverQueue] of this.#serverQueues) {
      if (servers.has(name)) continue
      this.#refuseAll(serverQueue, 'removed')
      if (serverQueue.isUnused) this.#serverQueues.delete(name)
    }
    while (!this.#closed && this.#all.taken < this.#all.permits) {
      const winner = this.#nextServerQueue()
      if (!winner) break
      this.#grant(winner)
    }
  }

  /** Takes a permit if one is free. */
  enter(serverQueue: ServerQueue): boolean {
    // While a permit is free, no call waits for it.
    if (serverQueue.taken >= serverQueue.permits || this.#all.taken >= this.#all.permits) return false
    serverQueue.taken++
    this.#all.taken++
    return true
  }

  /** Returns a permit, with the time it was held. */
  leave(serverQueue: ServerQueue, heldMs: number): void {
    serverQueue.sample(heldMs)
    this.#all.sample(heldMs)
    const full = this.#all.taken >= this.#all.permits
    serverQueue.taken--
    this.#all.taken--
    this.#freed(serverQueue, full)
  }

  /**
   * Returns the permit of the gateway only, which was held for `heldMs`. That of the server is held for a client's call
   * until `release`.
   */
  hold(serverQueue: ServerQueue, clientId: string, heldMs: number): void {
    this.#all.sample(heldMs)
    const full = this.#all.taken >= this.#all.permits
    this.#all.taken--
    serverQueue.hold(clientId)
    if (full) this.#freed(serverQueue, full)
  }

  /** As `hold`, for a call that has no permit at the moment. The number of permits may be exceeded by it. */
  holdAnother(serverQueue: ServerQueue, clientId: string): void {
    serverQueue.taken++
    serverQueue.hold(clientId)
  }

  /** Returns a held permit, with the time since its call got it. */
  release(serverQueue: ServerQueue, clientId: string, heldMs: number): void {
    serverQueue.sample(heldMs)
    serverQueue.taken--
    serverQueue.release(clientId)
    if (this.#all.taken < this.#all.permits) this.#freed(serverQueue, false)
  }

  /** `full`: whether the gateway was full, so that a call of another server may get the permit. */
  #freed(serverQueue: ServerQueue, full: boolean): void {
    if (this.#all.waiting === 0 && this.#returning === 0) return
    const winner = full ? this.#nextServerQueue() : hasTurn(serverQueue) ? serverQueue : undefined
    if (winner) this.#grant(winner)
  }

  /**
   * Queues `waiting`, if its turn can be expected within `withinMs`. When too many are queued, the newest of the client
   * with the most is refused, unless that client is the new one's.
   * @returns why it may not wait
   */
  wait(
    serverQueue: ServerQueue,
    clientId: string,
    weight: number,
    waiting: WaitingCall,
    withinMs: number,
  ): QueueRefusal | undefined {
    if (this.#closed) return 'closed'
    const known = serverQueue.flows.get(clientId)
    const client = this.#clients.get(clientId)
    const own = known?.line.size ?? 0
    const here = serverQueue.estimateMs(own, weight, own > 0) ?? 0
    const overall = this.#all.estimateMs(client?.waiting ?? 0, weight, client !== undefined) ?? 0
    if (Math.max(here, overall) > withinMs) return 'too_late'
    if (serverQueue.waiting >= serverQueue.bound) {
      if (!this.#giveWay(longestOf(serverQueue, (own + 1) / weight), 'server_full')) return 'server_full'
    } else if (this.#all.waiting >= this.#all.bound) {
      if (!this.#giveWay(this.#longest(((client?.waiting ?? 0) + 1) / weight), 'gateway_full'))
        return 'gateway_full'
    }
    this.#add(serverQueue, clientId, weight, waiting)
    return undefined
  }

  /** As `leave`, temporarily. `enterAgain` or `stayAway` follows. */
  leaveForNow(serverQueue: ServerQueue, heldMs: number): void {
    serverQueue.away++
    this.leave(serverQueue, heldMs)
  }

  /** A call that temporarily returned its permit does not want it any more. */
  stayAway(serverQueue: ServerQueue): void {
    serverQueue.away--
  }

  /**
   * Takes a permit again that was temporarily returned, or waits for it ahead of all calls that have not had one.
   * @returns whether it has the permit already
   */
  enterAgain(serverQueue: ServerQueue, waiting: WaitingCall): boolean {
    serverQueue.away--
    if (this.#closed) {
      serverQueue.taken++
      this.#all.taken++
      return true
    }
    if (this.enter(serverQueue)) return true
    waiting.serverQueue = serverQueue
    waiting.order = ++this.#order
    serverQueue.returning.push(waiting)
    this.#returning++
    return false
  }

  /** Removes a waiting call. Without effect if it is not queued. */
  remove(waiting: WaitingCall): void {
    const { serverQueue, flow, line } = waiting
    if (!serverQueue || !line) return
    if (!flow) {
      serverQueue.returning.remove(waiting)
      this.#returning--
      waiting.serverQueue = undefined
      return
    }
    this.#unlink(serverQueue, flow, waiting)
    // Only turns remove empty flows, and there may be none for a long time.
    if (serverQueue.turns.size > 64 && serverQueue.turns.size > 2 * serverQueue.waiting) {
      serverQueue.turns.keep(({ line }) => line.size > 0)
      for (const [id, { line }] of serverQueue.flows) if (line.size === 0) serverQueue.flows.delete(id)
    }
  }

  /** When a refused call may be retried with some chance, in milliseconds. `undefined`: not known yet. */
  retryAfterMs(serverQueue: ServerQueue): number | undefined {
    const here = serverQueue.taken >= serverQueue.permits ? serverQueue.drainMs : undefined
    const overall = this.#all.taken >= this.#all.permits ? this.#all.drainMs : undefined
    return here === undefined ? overall : Math.max(here, overall ?? 0)
  }

  /** Refuses all waiting calls, and all later ones. A call that takes its permit again gets it at once. */
  close(): void {
    this.#closed = true
    for (const serverQueue of this.#serverQueues.values()) {
      for (let back = serverQueue.returning.first; back; back = serverQueue.returning.first)
        this.#grantBack(serverQueue, back)
      this.#refuseAll(serverQueue, 'closed')
    }
  }

  #refuseAll(serverQueue: ServerQueue, reason: QueueRefusal): void {
    for (const { line } of serverQueue.flows.values())
      for (let first = line.first; first; first = line.first) {
        this.remove(first)
        first.refused(reason)
      }
  }

  #add(serverQueue: ServerQueue, clientId: string, weight: number, waiting: WaitingCall): void {
    let client = this.#clients.get(clientId)
    if (!client) {
      client = { id: clientId, weight, waiting: 0, pass: this.#virtual }
      this.#clients.set(clientId, client)
      this.#all.weights += weight
    }
    let flow = serverQueue.flows.get(clientId)
    if (!flow) {
      flow = {
        client,
        line: new LinkedList(),
        pass: serverQueue.virtual + serverQueue.costOf(client) - 1 / weight,
        order: ++this.#order,
      }
      serverQueue.flows.set(clientId, flow)
      serverQueue.turns.add(flow)
    } else if (flow.client !== client) flow.client = client
    if (flow.line.size === 0) serverQueue.weights += weight
    waiting.serverQueue = serverQueue
    waiting.flow = flow
    waiting.order = ++this.#order
    flow.line.push(waiting)
    client.waiting++
    serverQueue.waiting++
    this.#all.waiting++
  }

  #unlink(serverQueue: ServerQueue, flow: ClientFlow, waiting: WaitingCall): void {
    const { client, line } = flow
    line.remove(waiting)
    waiting.serverQueue = waiting.flow = undefined
    if (line.size === 0) serverQueue.weights -= client.weight
    if (--client.waiting === 0) {
      this.#clients.delete(client.id)
      this.#all.weights -= client.weight
    }
    serverQueue.waiting--
    this.#all.waiting--
  }

  #grant(serverQueue: ServerQueue): void {
    const back = serverQueue.returning.first
    if (back) {
      this.#grantBack(serverQueue, back)
      return
    }
    const flow = serverQueue.next as ClientFlow
    const { client } = flow
    const waiting = flow.line.first as WaitingCall
    this.#virtual = Math.max(this.#virtual, client.pass)
    client.pass = this.#virtual + 1 / client.weight
    serverQueue.turns.take()
    serverQueue.virtual = flow.pass
    flow.pass += serverQueue.costOf(client)
    flow.order = ++this.#order
    serverQueue.turns.add(flow)
    this.#unlink(serverQueue, flow, waiting)
    if (serverQueue.waiting === 0) {
      serverQueue.flows.clear()
      serverQueue.turns.clear()
    }
    serverQueue.taken++
    this.#all.taken++
    waiting.granted()
  }

  #grantBack(serverQueue: ServerQueue, back: WaitingCall): void {
    this.remove(back)
    serverQueue.taken++
    this.#all.taken++
    back.granted()
  }

  /** The server that gets the next permit of the gateway. Waiting for a server without a free permit earns no turns. */
  #nextServerQueue(): ServerQueue | undefined {
    let best: ServerQueue | undefined
    let bestPass = Infinity
    let bestOrder = Infinity
    for (const serverQueue of this.#serverQueues.values()) {
      if (!hasTurn(serverQueue)) continue
      const back = serverQueue.returning.first
      const flow = back ? undefined : serverQueue.next
      const pass = flow ? Math.max(flow.client.pass, this.#virtual) : -Infinity
      const order = (back ?? flow?.line.first)?.order ?? Infinity
      if (pass > bestPass || (pass === bestPass && order > bestOrder)) continue
      best = serverQueue
      bestPass = pass
      bestOrder = order
    }
    return best
  }

  #giveWay(longest: ClientFlow | undefined, reason: QueueRefusal): boolean {
    const waiting = longest?.line.last
    if (!waiting) return false
    this.remove(waiting)
    waiting.refused(reason)
    return true
  }

  /** The longest flow of the client with the most waiting calls for its weight, if that is more than `share`. */
  #longest(share: number): ClientFlow | undefined {
    let most: Client | undefined
    for (const client of this.#clients.values())
      if (client.waiting / client.weight > (most ? most.waiting / most.weight : share)) most = client
    if (!most) return undefined
    let longest: ClientFlow | undefined
    for (const serverQueue of this.#serverQueues.values()) {
      const flow = serverQueue.flows.get(most.id)
      if (flow && flow.line.size > (longest?.line.size ?? 0)) longest = flow
    }
    return longest
  }
}
