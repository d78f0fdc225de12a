import type { DNS } from './options/gateway.ts'
import type { Resolved } from './options/option.ts'
import type { REPLICA } from './options/resilience.ts'

/** Endpoints of servers and their resilience settings; resolved, as everything in `types.ts`. */

/** One type per transport (`upstream/transport/transports.ts`). */
export type Endpoint = StdioEndpoint | HttpEndpoint | SseEndpoint

export interface StdioEndpoint {
  readonly kind: 'stdio'
  readonly command: string
  readonly args: readonly string[]
  /** Added to the few variables that every child inherits. */
  readonly env: Readonly<Record<string, string>>
  /** Absolute path. */
  readonly cwd: string
  /** Absent on this transport. */
  readonly url?: undefined
  readonly addresses?: undefined
}

/** An endpoint with a URL. */
export interface UrlEndpoint {
  readonly url: string
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>
  /** Headers with what programs printed, which are run again when the server refuses it. Names in lower case. */
  readonly printed?: Readonly<Record<string, readonly HeaderPart[]>>
  /** Prints further headers as JSON. */
  readonly headersHelper?: ProgramRun
  /** Addresses to connect to, in this order, instead of resolving the host of `url`. */
  readonly addresses?: readonly string[]
}

/** A part of a header: a text, or the program whose output stands there. */
export type HeaderPart = string | ProgramRun

/** A program whose output is used. */
export interface ProgramRun {
  readonly command: readonly [string, ...string[]]
  /** Absolute path. */
  readonly cwd: string
  /** Variables beside those of the gateway. */
  readonly env?: Readonly<Record<string, string>>
}

/** Streamable HTTP. */
export interface HttpEndpoint extends UrlEndpoint {
  readonly kind: 'http'
  /** Whether to fall back to HTTP+SSE for a server that supports nothing else. */
  readonly sseFallback: boolean
}

/** HTTP+SSE (deprecated). */
export interface SseEndpoint extends UrlEndpoint {
  readonly kind: 'sse'
}

/** One endpoint of a server. */
export interface ReplicaConfig extends Resolved<typeof REPLICA> {
  /** Unique within its server. */
  readonly name: string
  /**
   * Digest of where it is: its name with its URL and `host` header, or with its program, arguments and folder. Other
   * headers and variables do not count, since the same server may get another token. Replicas that DNS gives for one
   * name have the location of the name.
   */
  readonly location: string
  readonly endpoint: Endpoint
}

/** Target of a call when all replicas are unavailable. */
export interface FallbackConfig {
  readonly server: string
  /** The tool's name at the other server; `undefined`: the same. */
  readonly tool: string | undefined
  /** Argument of the other server → argument of this one; empty: the same. */
  readonly args: Readonly<Record<string, string>>
}

/** Settings for resolving the host names of replicas. */
export interface DnsConfig extends Resolved<(typeof DNS)['options']> {}
