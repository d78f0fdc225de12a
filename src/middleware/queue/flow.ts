import { HeldBy } from '../../core/held-by.ts'
import { Heap, type Ranked } from './heap.ts'
import { LinkedNode, LinkedList } from '../../core/linked-list.ts'

/** Why a call gets no permit. */
export type QueueRefusal =
  /** The queue of this server is full. */
  | 'server_full'
  /** The queues of all servers together are full. */
  | 'gateway_full'
  /** The turn would come too late. */
  | 'too_late'
  /** Its server is removed. */
  | 'removed'
  | 'closed'

export interface PrioritySemaphoreOptions {
  /** Number of permits. */
  readonly permits: number
  /** Maximum number of waiting calls. */
  readonly bound: number
}

/** A call that waits for a permit. It is granted or refused once, and never after its removal. */
export abstract class WaitingCall extends LinkedNode {
  /** All three are used by the queue only. */
  serverQueue: ServerQueue | undefined
  flow: ClientFlow | undefined
  order = 0

  /** Called when it gets a permit. */
  abstract granted(): void
  abstract refused(reason: QueueRefusal): void
}

/** Number of observed times before an estimate is used. */
const MIN_SAMPLES = 16
/** Weight of the latest observation. */
const LATEST = 1 / 8

/** A number of permits, and the average time they are held. */
export class PrioritySemaphore {
  permits: number
  bound: number
  /** Permits in use. */
  taken = 0
  /** Waiting calls, without those that take a permit again. */
  waiting = 0
  /** Sum of the weights of the clients with waiting calls. */
  weights = 0
  #heldMs = 0
  #samples = 0

  constructor({ permits, bound }: PrioritySemaphoreOptions) {
    this.permits = permits
    this.bound = bound
  }

  resize({ permits, bound }: PrioritySemaphoreOptions): void {
    this.permits = permits
    this.bound = bound
  }

  sample(heldMs: number): void {
    this.#heldMs += (heldMs - this.#heldMs) * (this.#samples === 0 ? 1 : LATEST)
    this.#samples++
  }

  /**
   * When a call with `own` calls of its client before it gets its turn, in milliseconds from now. `undefined`: too
   * little is known.
   */
  estimateMs(own: number, weight: number, active: boolean): number | undefined {
    if (this.#samples < MIN_SAMPLES || this.taken < this.permits) return undefined
    const others = this.weights - (active ? weight : 0)
    const ahead = Math.min(this.waiting, own + ((own + 1) * others) / weight)
    return ((ahead + 1) * this.#heldMs) / this.permits
  }

  /** When all waiting calls will have been served, in milliseconds from now. */
  get drainMs(): number | undefined {
    return this.#samples === 0 ? undefined : ((this.waiting + 1) * this.#heldMs) / this.permits
  }
}

/** A client, whose waiting calls at all servers share turns. */
export interface Client {
  readonly id: string
  readonly weight: number
  waiting: number
  /** Virtual time of its next turn, where turns go round all servers. */
  pass: number
}

/** The waiting calls of one client for one server. */
export interface ClientFlow extends Ranked {
  client: Client
  readonly line: LinkedList<WaitingCall>
  /** Virtual time of its next turn at this server. */
  pass: number
  order: number
}

/** The permits of one server, and the calls that wait for them. */
export class ServerQueue extends PrioritySemaphore {
  readonly name: string
  /** Calls that temporarily returned their permit and want it again. They go first and do not count as waiting. */
  readonly returning = new LinkedList<WaitingCall>()
  /** Number of calls that temporarily returned their permit and do not want it again yet. */
  away = 0
  readonly flows = new Map<string, ClientFlow>()
  /** All flows. An empty one stays until its turn comes, so that leaving and coming back earns no turn. */
  readonly turns = new Heap<ClientFlow>()
  /** Virtual time: the pass of the latest turn. */
  virtual = 0
  /** Per client, the number of permits held for its cancelled calls. */
  readonly #held = new HeldBy()

  constructor(name: string, options: PrioritySemaphoreOptions) {
    super(options)
    this.name = name
  }

  /** Whether no call has a permit, waits for one, or may want one again. */
  get isUnused(): boolean {
    return this.taken + this.waiting + this.returning.size + this.away === 0
  }

  /** Cost of a turn in virtual time. Each permit held for a cancelled call costs the client once more. */
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

/** Whether the server has a free permit for a waiting call. */
export function hasTurn(serverQueue: ServerQueue): boolean {
  return (
    serverQueue.taken < serverQueue.permits && (serverQueue.waiting > 0 || serverQueue.returning.size > 0)
  )
}

/** The longest flow for its weight, if that is more than `share`. */
export function longestOf(serverQueue: ServerQueue, share: number): ClientFlow | undefined {
  let longest: ClientFlow | undefined
  for (const flow of serverQueue.flows.values())
    if (flow.line.size / flow.client.weight > (longest ? longest.line.size / longest.client.weight : share))
      longest = flow
  return longest
}
