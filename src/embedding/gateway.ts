import type { Readable, Writable } from 'node:stream'
import type { EventBus } from '../core/event-bus.ts'
import type { RequestHandler } from '../front/http/mount.ts'
import type { HandlerOptions } from '../gateway/http-fronts.ts'
import type { ReloadReport } from '../gateway/reload-report.ts'
import type { ServerStatus } from '../gateway/status.ts'
import type { ConfigSource } from './load-config.ts'

/** The client of a connection over a pair of streams. */
export interface StdioOptions {
  /** Name of a profile or of a server; default: all servers. */
  readonly endpoint?: string
  /** Name of the configured client; default: the local user, which no client's rules and limits apply to. */
  readonly client?: string
}

export interface CloseOptions {
  /** Timeout in milliseconds for requests in flight; default: `gateway.shutdownTimeout`. 0 ends them immediately. */
  readonly timeoutMs?: number
}

/** The address a gateway listens on. */
export interface Listening {
  /** `http://127.0.0.1:3333/mcp` */
  readonly url: string
  readonly port: number
}

/** The state of a gateway at one moment. */
export interface GatewayStatus {
  /** Whether every `required` server is connected or has a known catalogue. */
  readonly ready: boolean
  /** Open legacy sessions over HTTP. */
  readonly sessions: number
  /** Requests in flight. */
  readonly calls: number
  readonly servers: readonly ServerStatus[]
}

/** A gateway in this process. Created by `createGateway`. */
export interface Gateway {
  /**
   * Creates a request listener for an HTTP server of the host program: for `node:http`, connect and express, and for
   * fastify and koa with their raw requests. It serves `/mcp` and below, `/sse`, `/messages`, `/healthz`, `/readyz` and
   * the metadata of RFC 9728, each behind `prefix`. Other paths go to `next`. It never closes the server or its
   * connections. Each call creates a handler with its own sessions; one is enough.
   * @throws GatewayError `config` when the prefix is not a path, or tokens are accepted and no `gateway.http.publicUrl`
   * is configured; `shutting_down` after `close`
   */
  handler(options?: HandlerOptions): RequestHandler
  /**
   * Opens a listener at `gateway.http.host` and `port`; port 0 selects a free port.
   * @throws GatewayError `config` when the address cannot be used, or requires configured clients; `shutting_down`
   * after `close`, or when that begins before the listener is open
   */
  listen(): Promise<Listening>
  /**
   * Serves one client over newline-delimited JSON, on the standard streams of this process unless others are given.
   * Resolves when the client has disconnected or the gateway is closed. The streams are neither ended nor destroyed.
   * @throws GatewayError `config` when the client or endpoint does not exist, or the client has no access to it;
   * `shutting_down` after `close`
   */
  connectStdio(input?: Readable, output?: Writable, options?: StdioOptions): Promise<void>
  /**
   * Applies another configuration, read as by `createGateway`. Unchanged servers keep running. Of overlapping reloads,
   * the last one wins.
   * @returns the changes, and which of them require a new gateway
   * @throws GatewayError `config` with a line for each problem, after which the gateway continues unchanged;
   * `shutting_down` after `close`
   */
  reload(source: ConfigSource): Promise<ReloadReport>
  /**
   * Adds a listener for one type of event (docs/events.md), or for all with `*`. Returns a function that removes it.
   * Listeners are called synchronously and must return quickly. An exception is logged and has no further effect.
   */
  readonly on: EventBus['on']
  status(): GatewayStatus
  /**
   * Accepts no new requests, completes those in flight, then ends every session, every started server, and the store if
   * the gateway opened it. Resolves when all is closed; never rejects. Idempotent: a second call waits for the first,
   * and may shorten it with `timeoutMs: 0`.
   */
  close(options?: CloseOptions): Promise<void>
}
