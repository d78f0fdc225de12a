import type { Pool } from '../../src/upstream/pool/pool.ts'
import type { PoolOptions } from '../../src/upstream/pool/pool-options.ts'
import { GatewayError } from '../../src/core/errors.ts'
import { Pauses } from '../../src/core/pauses.ts'
import { Replica } from '../../src/upstream/replica/replica.ts'
import { CallState } from '../../src/core/call-state.ts'
import { CallTrace } from '../../src/core/call-trace.ts'
import { Cancellation } from '../../src/core/cancellation.ts'
import type { Exchange, JsonObject } from '../../src/core/exchange.ts'
import { ANONYMOUS } from '../../src/core/principal.ts'
import type { ServerConfig } from '../../src/config/types.ts'
import type { ReplicaConfig } from '../../src/config/replica-types.ts'
import { HTTP_TRAITS } from '../../src/upstream/transport/http/traits.ts'
import type { TransportTraits } from '../../src/upstream/transport/shared/traits.ts'
import { SSE_TRAITS } from '../../src/upstream/transport/sse/traits.ts'
import { STDIO_TRAITS } from '../../src/upstream/transport/stdio/traits.ts'
import type { Outgoing, Receiver, Transport } from '../../src/upstream/transport/shared/transport.ts'

/** What a fake server does with a request: gives a result, an error, or says nothing. */
export type Reaction = { readonly result: unknown } | { readonly error: unknown } | undefined

export const LEGACY: Readonly<Record<string, (params: JsonObject) => Reaction>> = {
  'server/discover': () => ({ error: { code: -32601, message: 'Method not found' } }),
  initialize: params => ({
    result: {
      protocolVersion: params['protocolVersion'],
      capabilities: {},
      serverInfo: { name: 'fake', version: '1' },
    },
  }),
}

export const MODERN: Readonly<Record<string, (params: JsonObject) => Reaction>> = {
  'server/discover': () => ({ result: { supportedVersions: ['2026-07-28'], capabilities: { tools: {} } } }),
  initialize: () => ({
    error: { code: -32022, message: 'Unsupported', data: { supported: ['2026-07-28'] } },
  }),
}

/** A transport without a server: the test is the server. */
export class FakeTransport implements Transport {
  readonly kind: Transport['kind']
  readonly traits: TransportTraits
  readonly sessionful = true
  readonly sent: Outgoing[] = []
  readonly abandoned: number[] = []
  readonly versions: (string | undefined)[] = []
  readonly reactions: Map<string, (params: JsonObject) => Reaction>
  receiver!: Receiver
  /** What `open` waits for. */
  opening: Promise<void> = Promise.resolve()
  /** What `close` waits for. */
  closing: Promise<void> = Promise.resolve()
  closed = 0
  /** Whether it was closed without the time to leave. */
  forced = false
  listening = false
  /** When its stream is not read. */
  readonly unread = new Pauses()

  constructor(
    reactions: Readonly<Record<string, (params: JsonObject) => Reaction>> = LEGACY,
    kind: Transport['kind'] = 'stdio',
  ) {
    this.reactions = new Map(Object.entries(reactions))
    this.kind = kind
    this.traits = { stdio: STDIO_TRAITS, http: HTTP_TRAITS, sse: SSE_TRAITS }[kind]
  }

  async open(receiver: Receiver): Promise<void> {
    this.receiver = receiver
    await this.opening
  }

  send(message: Outgoing): void {
    this.sent.push(message)
    const { id, method } = message
    if (id === undefined || method === undefined) return
    const { params = {} } = JSON.parse(message.text) as { params?: JsonObject }
    const reaction = this.reactions.get(method)?.(params)
    if (reaction) queueMicrotask(() => this.answer(id, reaction))
  }

  abandon(id: number): boolean {
    this.abandoned.push(id)
    return false
  }

  unreadMs(_id: number, moment: number): number {
    return this.unread.after(moment)
  }

  use(version: string | undefined): void {
    this.versions.push(version)
  }

  listen(): void {
    this.listening = true
  }

  async close(force = false): Promise<void> {
    this.closed++
    this.forced ||= force
    await this.closing
  }

  answer(id: number, reaction: object): void {
    this.say({ jsonrpc: '2.0', id, ...reaction })
  }

  say(message: unknown, stream?: number): void {
    this.receiver.onMessage(typeof message === 'string' ? message : JSON.stringify(message), stream)
  }

  /** What was sent with this method, parsed. */
  of(method: string): { id?: number; params?: JsonObject }[] {
    return this.sent
      .filter(message => message.method === method)
      .map(({ text }) => JSON.parse(text) as { id?: number })
  }

  /** The id of the last request with this method. */
  idOf(method: string): number {
    const id = this.of(method).at(-1)?.id
    if (id === undefined) throw new Error(`no ${method} was sent`)
    return id
  }
}

/** A server's configuration, stdio unless told otherwise. */
export function serverConfig(changes: Partial<ServerConfig> = {}): ServerConfig {
  return {
    name: 'fake',
    prefix: 'fake',
    problem: undefined,
    replicas: [replicaConfig()],
    required: false,
    startTimeoutMs: 5000,
    timeoutMs: 10_000,
    listTimeoutMs: 5000,
    idleMs: 60_000,
    maxMessageBytes: 1_000_000,
    isolation: 'auto',
    maxLinks: 64,
    maxExclusiveLinks: 8,
    linkTimeoutMs: 30_000,
    maxQuestions: 64,
    perClient: false,
    clientValues: [],
    roots: undefined,
    uriSchemes: [],
    disabledTools: [],
    excludeTools: [],
    tools: [],
    cache: undefined,
    hintsRule: {
      ttlMs: 300_000,
      scope: 'client',
      staleWhileRevalidateMs: 0,
      staleIfErrorMs: 0,
      ignoreArgs: [],
      maxBytes: 1024 * 1024,
      tags: [],
    },
    maxConcurrentCalls: 256,
    queue: 1000,
    queueTimeoutMs: 30_000,
    cost: 1,
    retry: false,
    retries: 2,
    retryBudget: 0.2,
    hedge: true,
    health: {
      check: 'protocol',
      intervalMs: 10_000,
      timeoutMs: 5000,
      failures: 3,
      errorRate: 0.5,
      slowBy: 10,
      panic: 0.5,
      baseEjectionTimeMs: 5000,
      slowStartMs: 30_000,
    },
    fallback: undefined,
    restartLimit: 8,
    memoryLimitBytes: 4 * 1024 ** 3,
    warmInstances: 0,
    quota: { rate: undefined, concurrency: undefined, budgets: [] },
    fingerprint: 'f',
    oauth: false,
    ...changes,
  }
}

/** One endpoint, stdio unless told otherwise. */
export function replicaConfig(changes: Partial<ReplicaConfig> = {}): ReplicaConfig {
  return {
    name: '1',
    location: 'here',
    endpoint: { kind: 'stdio', command: 'fake', args: [], env: {}, cwd: '/' },
    weight: 1,
    priority: 0,
    zone: undefined,
    service: undefined,
    ...changes,
  }
}

/** The first replica of a server. */
export function replicaOf(server: ServerConfig): Replica {
  return new Replica(server, server.replicas[0] ?? replicaConfig(), 0)
}

/** A client's request; `heard` collects what is sent to the client before the answer. */
export function exchangeOf(
  method: string,
  params: JsonObject = {},
  changes: Partial<Exchange> & { progressToken?: string } = {},
): Exchange & {
  readonly heard: { method: string; params: string | undefined }[]
  readonly cancellation: Cancellation
} {
  const { progressToken, ...rest } = changes
  const heard: { method: string; params: string | undefined }[] = []
  return {
    request: { method, params: { text: JSON.stringify(params), value: params }, progressToken },
    principal: ANONYMOUS,
    modern: false,
    protocolVersion: '2025-11-25',
    features: '',
    view: '',
    conversation: undefined,
    logLevel: undefined,
    cancellation: new Cancellation(),
    trace: new CallTrace(),
    state: new CallState(),
    passed: 0,
    canBeAsked: 'never',
    notify: (name, text) => void heard.push({ method: name, params: text }),
    ask: () => Promise.reject(new Error('no client to ask')),
    ...rest,
    heard,
  }
}

/** What the runtime tells a pool of its links. Servers may ask for nothing. */
export function poolListener(pool: () => Pool): PoolOptions['listener'] {
  return {
    onNotification: () => {},
    onRequest: () => Promise.reject(new GatewayError('unknown_method', 'no')),
    onLost: (link, error) => pool().lost(link, error),
    onGap: () => {},
    onUnreachable: (slot, error) => pool().unreachable(slot, error),
    onOpen: (slot, link) => pool().opened(slot, link),
  }
}
