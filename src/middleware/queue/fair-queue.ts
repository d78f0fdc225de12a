import {
  hasTurn,
  PrioritySemaphore,
  ServerQueue,
  longestOf,
  type Client,
  type ClientFlow,
  type PrioritySemaphoreOptions,
  type Refusal,
  type Waiting,
} from './flow.ts'
import { LinkedList } from '../../core/linked-list.ts'

/**
 * Places at servers, and in the gateway over all of them. A place is taken at both or at neither, so that nobody holds one while waiting for the
 * other, and one server's line never keeps another server idle. Turns at a server go round the clients that wait for it, by weight (start-time fair
 * queueing: each turn costs `1 / weight` of virtual time); where the gateway's own places are the scarce ones, they go round the clients whose turn it is
 * at their servers. Within a client it is first come, first served. A place is held on for a call that was given up while its server goes on with it; each
 * makes the turns of its client dearer meanwhile.
 *
 * Whenever a call returns, nobody waits who could have a place.
 */
export class FairQueue {
  readonly #all: PrioritySemaphore
  #lanes: ServerQueue[] = []
  readonly #clients = new Map<string, Client>()
  /** Over all lanes. */
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

  /** The lane of a server; the one that there is takes the new size. */
  lane(name: string, options: PrioritySemaphoreOptions): ServerQueue {
    const known = this.#lanes.find(other => other.name === name)
    if (known) {
      known.resize(options)
      return known
    }
    const lane = new ServerQueue(name, options)
    this.#lanes.push(lane)
    return lane
  }

  /**
   * The gateway has so many places now, and its servers are these. What has a place keeps it. Who waits gets the places that are new; of those who are too many now, all keep
   * waiting. A lane of another server stays until it is empty.
   */
  resize(options: PrioritySemaphoreOptions, servers: { has(name: string): boolean }): void {
    this.#all.resize(options)
    this.#lanes = this.#lanes.filter(
      lane => servers.has(lane.name) || lane.taken + lane.waiting + lane.returning.size > 0,
    )
    while (!this.#closed && this.#all.taken < this.#all.places) {
      const winner = this.#nextLane()
      if (!winner) break
      this.#grant(winner)
    }
  }

  /** Takes a place if there is one. */
  enter(lane: ServerQueue): boolean {
    // Where there is room nobody waits for it.
    if (lane.taken >= lane.places || this.#all.taken >= this.#all.places) return false
    lane.taken++
    this.#all.taken++
    return true
  }

  /** Gives a place back, with the time it was held. */
  leave(lane: ServerQueue, heldMs: number): void {
    lane.sample(heldMs)
    this.#all.sample(heldMs)
    const full = this.#all.taken >= this.#all.places
    lane.taken--
    this.#all.taken--
    this.#freed(lane, full)
  }

  /** Gives back the place of the gateway alone, which was held for `heldMs`: that of the server is held for a client's call until `release`. */
  hold(lane: ServerQueue, clientId: string, heldMs: number): void {
    this.#all.sample(heldMs)
    const full = this.#all.taken >= this.#all.places
    this.#all.taken--
    lane.hold(clientId)
    if (full) this.#freed(lane, full)
  }

  /** As `hold`, for a call that has no place at the moment: one more than there are may be taken. */
  holdAnother(lane: ServerQueue, clientId: string): void {
    lane.taken++
    lane.hold(clientId)
  }

  /** Gives back a place that was held, with the time since its call got it. */
  release(lane: ServerQueue, clientId: string, heldMs: number): void {
    lane.sample(heldMs)
    lane.taken--
    lane.release(clientId)
    if (this.#all.taken < this.#all.places) this.#freed(lane, false)
  }

  /** `full`: whether the gateway was, so that there can be a turn at another server. */
  #freed(lane: ServerQueue, full: boolean): void {
    if (this.#all.waiting === 0 && this.#returning === 0) return
    const winner = full ? this.#nextLane() : hasTurn(lane) ? lane : undefined
    if (winner) this.#grant(winner)
  }

  /**
   * Lets `waiting` wait for its turn, if it can be expected within `withinMs`. Where too many wait already, the newest of whoever has most waiting gives
   * way, unless that is whoever comes.
   * @returns why it may not wait
   */
  wait(
    lane: ServerQueue,
    clientId: string,
    weight: number,
    waiting: Waiting,
    withinMs: number,
  ): Refusal | undefined {
    if (this.#closed) return 'closed'
    const known = lane.flows.get(clientId)
    const client = this.#clients.get(clientId)
    const own = known?.line.size ?? 0
    const here = lane.estimateMs(own, weight, own > 0) ?? 0
    const overall = this.#all.estimateMs(client?.waiting ?? 0, weight, client !== undefined) ?? 0
    if (Math.max(here, overall) > withinMs) return 'too_late'
    if (lane.waiting >= lane.bound) {
      if (!this.#giveWay(longestOf(lane, (own + 1) / weight), 'server_full')) return 'server_full'
    } else if (this.#all.waiting >= this.#all.bound) {
      if (!this.#giveWay(this.#longest(((client?.waiting ?? 0) + 1) / weight), 'gateway_full'))
        return 'gateway_full'
    }
    this.#add(lane, clientId, weight, waiting)
    return undefined
  }

  /**
   * Takes a place again that was given up for a while, or waits for it ahead of everyone who has not had one.
   * @returns whether it has the place already
   */
  enterAgain(lane: ServerQueue, waiting: Waiting): boolean {
    if (this.#closed) {
      lane.taken++
      this.#all.taken++
      return true
    }
    if (this.enter(lane)) return true
    waiting.lane = lane
    waiting.order = ++this.#order
    lane.returning.push(waiting)
    this.#returning++
    return false
  }

  /** Takes someone out of the line. Nothing happens when it is in none. */
  remove(waiting: Waiting): void {
    const { lane, flow, line } = waiting
    if (!lane || !line) return
    if (!flow) {
      lane.returning.remove(waiting)
      this.#returning--
      waiting.lane = undefined
      return
    }
    this.#unlink(lane, flow, waiting)
    // Nothing but turns removes them, and there may be none for a long time.
    if (lane.turns.size > 64 && lane.turns.size > 2 * lane.waiting) {
      lane.turns.keep(({ line }) => line.size > 0)
      for (const [id, { line }] of lane.flows) if (line.size === 0) lane.flows.delete(id)
    }
  }

  /** When someone refused now may try again with some hope, in milliseconds; `undefined` when nothing is known yet. */
  retryAfterMs(lane: ServerQueue): number | undefined {
    const here = lane.taken >= lane.places ? lane.drainMs : undefined
    const overall = this.#all.taken >= this.#all.places ? this.#all.drainMs : undefined
    return here === undefined ? overall : Math.max(here, overall ?? 0)
  }

  /** Refuses everyone who waits, and everyone who wants to from now on. Those who come back to a place just get it. */
  close(): void {
    this.#closed = true
    for (const lane of this.#lanes) {
      for (let back = lane.returning.first; back; back = lane.returning.first) this.#grantBack(lane, back)
      for (const { line } of lane.flows.values())
        for (let first = line.first; first; first = line.first) {
          this.remove(first)
          first.refused('closed')
        }
    }
  }

  #add(lane: ServerQueue, clientId: string, weight: number, waiting: Waiting): void {
    let client = this.#clients.get(clientId)
    if (!client) {
      client = { id: clientId, weight, waiting: 0, pass: this.#virtual }
      this.#clients.set(clientId, client)
      this.#all.weights += weight
    }
    let flow = lane.flows.get(clientId)
    if (!flow) {
      flow = {
        client,
        line: new LinkedList(),
        pass: lane.virtual + lane.costOf(client) - 1 / weight,
        order: ++this.#order,
      }
      lane.flows.set(clientId, flow)
      lane.turns.add(flow)
    } else if (flow.client !== client) flow.client = client
    if (flow.line.size === 0) lane.weights += weight
    waiting.lane = lane
    waiting.flow = flow
    waiting.order = ++this.#order
    flow.line.push(waiting)
    client.waiting++
    lane.waiting++
    this.#all.waiting++
  }

  #unlink(lane: ServerQueue, flow: ClientFlow, waiting: Waiting): void {
    const { client, line } = flow
    line.remove(waiting)
    waiting.lane = waiting.flow = undefined
    if (line.size === 0) lane.weights -= client.weight
    if (--client.waiting === 0) {
      this.#clients.delete(client.id)
      this.#all.weights -= client.weight
    }
    lane.waiting--
    this.#all.waiting--
  }

  #grant(lane: ServerQueue): void {
    const back = lane.returning.first
    if (back) {
      this.#grantBack(lane, back)
      return
    }
    const flow = lane.next as ClientFlow
    const { client } = flow
    const waiting = flow.line.first as Waiting
    this.#virtual = Math.max(this.#virtual, client.pass)
    client.pass = this.#virtual + 1 / client.weight
    lane.turns.take()
    lane.virtual = flow.pass
    flow.pass += lane.costOf(client)
    flow.order = ++this.#order
    lane.turns.add(flow)
    this.#unlink(lane, flow, waiting)
    if (lane.waiting === 0) {
      lane.flows.clear()
      lane.turns.clear()
    }
    lane.taken++
    this.#all.taken++
    waiting.granted()
  }

  #grantBack(lane: ServerQueue, back: Waiting): void {
    this.remove(back)
    lane.taken++
    this.#all.taken++
    back.granted()
  }

  /** Where the next place of the gateway goes. Waiting for a server that has no room earns no turns. */
  #nextLane(): ServerQueue | undefined {
    let best: ServerQueue | undefined
    let bestPass = Infinity
    let bestOrder = Infinity
    for (const lane of this.#lanes) {
      if (!hasTurn(lane)) continue
      const back = lane.returning.first
      const flow = back ? undefined : lane.next
      const pass = flow ? Math.max(flow.client.pass, this.#virtual) : -Infinity
      const order = (back ?? flow?.line.first)?.order ?? Infinity
      if (pass > bestPass || (pass === bestPass && order > bestOrder)) continue
      best = lane
      bestPass = pass
      bestOrder = order
    }
    return best
  }

  #giveWay(longest: ClientFlow | undefined, reason: Refusal): boolean {
    const waiting = longest?.line.last
    if (!waiting) return false
    this.remove(waiting)
    waiting.refused(reason)
    return true
  }

  /** The longest flow of the client that has most waiting for its weight, if that is more than `share`. */
  #longest(share: number): ClientFlow | undefined {
    let most: Client | undefined
    for (const client of this.#clients.values())
      if (client.waiting / client.weight > (most ? most.waiting / most.weight : share)) most = client
    if (!most) return undefined
    let longest: ClientFlow | undefined
    for (const lane of this.#lanes) {
      const flow = lane.flows.get(most.id)
      if (flow && flow.line.size > (longest?.line.size ?? 0)) longest = flow
    }
    return longest
  }
}
