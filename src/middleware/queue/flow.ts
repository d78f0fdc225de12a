import { HeldBy } from '../../core/held-by.ts'
import { Heap, type Ranked } from './heap.ts'
import { LinkedNode, LinkedList } from '../../core/linked-list.ts'

/** Why someone does not get a place. */
export type Refusal =
  /** As many wait for this server as may. */
  | 'server_full'
  /** As many wait as may, over all servers. */
  | 'gateway_full'
  /** The turn would come too late. */
  | 'too_late'
  | 'closed'

export interface PrioritySemaphoreOptions {
  /** Places. */
  readonly places: number
  /** Most that may wait. */
  readonly bound: number
}

/** Who waits for a place. Hears of its turn, or of its refusal, once; never after it was removed. */
export abstract class Waiting extends LinkedNode {
  /** All three are the queue's own. */
  lane: ServerQueue | undefined
  flow: ClientFlow | undefined
  order = 0

  /** It has a place from now on. */
  abstract granted(): void
  abstract refused(reason: Refusal): void
}

/** Observed times before an estimate is believed. */
const MIN_SAMPLES = 16
/** How much the latest observation counts. */
const LATEST = 1 / 8

/** A number of places, and how long they are held. */
export class PrioritySemaphore {
  places: number
  bound: number
  /** Places taken. */
  taken = 0
  /** Entries that wait; those that come back to a place they gave up are not among them. */
  waiting = 0
  /** Of those that have someone waiting, the weights together. */
  weights = 0
  #heldMs = 0
  #samples = 0

  constructor({ places, bound }: PrioritySemaphoreOptions) {
    this.places = places
    this.bound = bound
  }

  resize({ places, bound }: PrioritySemaphoreOptions): void {
    this.places = places
    this.bound = bound
  }

  sample(heldMs: number): void {
    this.#heldMs += (heldMs - this.#heldMs) * (this.#samples === 0 ? 1 : LATEST)
    this.#samples++
  }

  /** When someone with `own` others of its own before it has its turn, in milliseconds from now; `undefined` while too little is known. */
  estimateMs(own: number, weight: number, active: boolean): number | undefined {
    if (this.#samples < MIN_SAMPLES || this.taken < this.places) return undefined
    const others = this.weights - (active ? weight : 0)
    const ahead = Math.min(this.waiting, own + ((own + 1) * others) / weight)
    return ((ahead + 1) * this.#heldMs) / this.places
  }

  /** When the line there is now has been served, in milliseconds from now. */
  get drainMs(): number | undefined {
    return this.#samples === 0 ? undefined : ((this.waiting + 1) * this.#heldMs) / this.places
  }
}

/** Whoever shares one turn: everything a client has waiting, over all servers. */
export interface Client {
  readonly id: string
  readonly weight: number
  waiting: number
  /** Virtual time of its next turn, where turns go round all servers. */
  pass: number
}

/** What one client has waiting for one server. */
export interface ClientFlow extends Ranked {
  client: Client
  readonly line: LinkedList<Waiting>
  /** Virtual time of its next turn at this server. */
  pass: number
  order: number
}

/** The places at one server, and who waits for them. */
export class ServerQueue extends PrioritySemaphore {
  readonly name: string
  /** Those who gave up their place for a while and want it back; they go first and are not counted as waiting. */
  readonly returning = new LinkedList<Waiting>()
  readonly flows = new Map<string, ClientFlow>()
  /** All flows. One whose line is empty stays until its turn comes, so that leaving and coming back earns no turn. */
  readonly turns = new Heap<ClientFlow>()
  /** Virtual time: the pass of the latest turn. */
  virtual = 0
  /** By client, the places that are held for calls it gave up and that the server may go on with. */
  readonly #held = new HeldBy()

  constructor(name: string, options: PrioritySemaphoreOptions) {
    super(options)
    this.name = name
  }

  /** What a turn costs in virtual time. A client pays once more for each place that is held for calls it gave up. */
  costOf({ id, weight }: Client): number {
    return (1 + this.#held.of(id)) / weight
  }

  hold(clientId: string): void {
    this.#held.add(clientId, 1)
  }

  release(clientId: string): void {
    this.#held.add(clientId, -1)
  }

  /** The flow whose turn is next. */
  get next(): ClientFlow | undefined {
    for (;;) {
      const flow = this.turns.first
      if (!flow || flow.line.size > 0) return flow
      this.turns.take()
      this.flows.delete(flow.client.id)
    }
  }
}

/** Whether a place at the server is free for someone who waits. */
export function hasTurn(lane: ServerQueue): boolean {
  return lane.taken < lane.places && (lane.waiting > 0 || lane.returning.size > 0)
}

/** The longest flow for its weight, if that is more than `share`. */
export function longestOf(lane: ServerQueue, share: number): ClientFlow | undefined {
  let longest: ClientFlow | undefined
  for (const flow of lane.flows.values())
    if (flow.line.size / flow.client.weight > (longest ? longest.line.size / longest.client.weight : share))
      longest = flow
  return longest
}
