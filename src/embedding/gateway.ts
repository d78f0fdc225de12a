import type { Readable, Writable } from 'node:stream'
import type { EventBus } from '../core/event-bus.ts'
import type { RequestHandler } from '../front/http/mount.ts'
import type { HandlerOptions } from '../gateway/http-fronts.ts'
import type { ReloadReport } from '../gateway/reload-report.ts'
import type { ServerStatus } from '../gateway/status.ts'
import type { ConfigSource } from './load-config.ts'

/** For whom a conversation over a pair of streams is. */
export interface StdioOptions {
  /** Name of a profile or of a server; default: everything. */
  readonly endpoint?: string
  /** Name of the configured client that is served; default: the local user, for whom no client's rules and limits count. */
  readonly client?: string
}

export interface CloseOptions {
  /** How long requests in flight may take to be answered; default: `gateway.shutdownTimeout`. 0 ends them at once. */
  readonly timeoutMs?: number
}

/** The address a gateway listens on. */
export interface Listening {
  /** `http://127.0.0.1:3333/mcp` */
  readonly url: string
  readonly port: number
}

/** How a gateway stands at one moment. */
export interface GatewayStatus {
  /** Whether every server that is `required` is there or known. */
  readonly ready: boolean
  /** Legacy sessions that are open over HTTP. */
  readonly sessions: number
  /** Requests in flight. */
  readonly calls: number
  readonly servers: readonly ServerStatus[]
}

/** A gateway that runs in this process. Made by `createGateway`. */
export interface Gateway {
  /**
   * A request listener for a server of this program: for `node:http`, connect, express, and with their raw requests fastify and koa. It answers `/mcp` and below,
   * `/sse`, `/messages`, `/healthz`, `/readyz` and the metadata of RFC 9728, each behind `prefix`. Other paths go to `next`. It never closes the server
   * or its connections. Each call makes a handler with sessions of its own; one is enough.
   * @throws GatewayError `config` when the prefix is no path, or tokens are accepted and no `gateway.http.publicUrl` is configured; `shutting_down` after `close`
   */
  handler(options?: HandlerOptions): RequestHandler
  /**
   * Opens a listener of the gateway's own at `gateway.http.host` and `port`; port 0 is a free one.
   * @throws GatewayError `config` when the address cannot be used, or must not be without clients; `shutting_down` after `close`
   */
  listen(): Promise<Listening>
  /**
   * Serves one client over newline-delimited JSON: over the streams of this process, unless others are given. Resolves when the client has gone or the gateway is
   * closed. The streams are neither ended nor destroyed.
   * @throws GatewayError `config` when there is no such client or endpoint, or the client may use nothing of it; `shutting_down` after `close`
   */
  connectStdio(input?: Readable, output?: Writable, options?: StdioOptions): Promise<void>
  /**
   * Takes over another configuration, read as `createGateway` reads it. What does not change runs on. Of reloads that overlap, the last one wins.
   * @returns what differs, and what of it takes effect only in a new gateway
   * @throws GatewayError `config` with a line for each problem: the gateway runs on as it was; `shutting_down` after `close`
   */
  reload(source: ConfigSource): Promise<ReloadReport>
  /**
   * Hears of what happens (docs/events.md), of one type of event or with `*` of all, until the returned function is called. A listener is called in the
   * turn of the event and returns soon. What it throws is logged and changes nothing.
   */
  readonly on: EventBus['on']
  status(): GatewayStatus
  /**
   * Takes no new requests, answers those in flight, ends every conversation, then every server it started, and then the store, if the gateway opened it.
   * Resolves when nothing is left; never rejects. Idempotent: a second call hears of the end of the first, and may shorten it with `timeoutMs: 0`.
   */
  close(options?: CloseOptions): Promise<void>
}
