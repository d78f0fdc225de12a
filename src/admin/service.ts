import type { Duplex } from 'node:stream'
import type { ExposedText, ExpositionFormat } from '../observe/metrics/exposition.ts'
import type { UsageLine, UsageQuery } from '../observe/usage/usage-report.ts'
import type { KeptLogins } from '../credentials/login/kept-logins.ts'

/** The interface of the admin API to its gateway. */
export interface AdminService {
  /** Absolute path of the configuration file; `undefined` when the configuration is not a file. */
  readonly file: string | undefined
  /** Whether a configuration sent over the API may define programs to run. */
  readonly allowsCommands: boolean
  status(): AdminStatus
  /**
   * The last records of the log that are about a server, or all; with `follow`, also those that come. Lines of JSON
   * without secrets.
   * @throws GatewayError `config` for an unknown name
   */
  log(server: string | undefined, follow: boolean): AsyncIterableIterator<string>
  /** The metrics, as a scraper reads them (docs/metrics.md). @throws AdminProblem 404 where none are counted */
  metrics(format: ExpositionFormat): Promise<ExposedText>
  /**
   * What clients have used, in all gateways that share the state store (docs/usage.md).
   * @throws AdminProblem 404 where nothing is counted
   */
  usage(query: UsageRequest): Promise<UsageAnswer>
  /** Ends what `log` follows. Idempotent. */
  endLog(): void
  /**
   * Serves the local user, or a configured client, over a stream of newline-delimited JSON, until it is gone.
   * @throws GatewayError `config` when there is no such client or endpoint; nothing was read from the stream then
   */
  converse(stream: Duplex, as: ConversationOptions): Promise<void>
  /** Whether a server of this name is running, regardless of where it is configured. */
  isServer(name: string): boolean
  /** Validates a text as the content of the file, without applying it. */
  check(text: string): Promise<CheckAnswer>
  /**
   * Reads the configuration again and applies it; with `dryRun`, it only reports the changes. Resolves when it is in
   * effect.
   * @throws GatewayError `config` with every problem; nothing has changed then
   */
  reload(options: { readonly dryRun: boolean }): Promise<ReloadAnswer>
  /** @throws GatewayError `config` for an unknown name */
  drain(target: DrainTarget): Promise<DrainAnswer>
  /** @throws GatewayError `config` for an unknown name */
  undrain(target: DrainTarget): Promise<DrainAnswer>
  /**
   * Opens new links for new calls; calls in flight finish on the old ones.
   * @throws GatewayError `config` for an unknown name
   */
  restart(server: string): Promise<RestartAnswer>
  /** The logins at servers. */
  credentials(): Promise<KeptLogins>
  /**
   * Begins the login at a server, or joins the one under way.
   * @throws GatewayError `config` for an unknown name
   */
  beginLogin(target: LoginTarget): Promise<LoginAnswer>
  /** Forgets a login, in all gateways that share the state store. @throws GatewayError `config` for an unknown name */
  logOut(target: LoginTarget): Promise<LogoutAnswer>
  /** Records a write and its result. */
  noteWrite(write: AdminWrite): void
}

/** Days as `2026-11-28`, both included. */
export interface UsageRequest extends UsageQuery {
  readonly since: string
  readonly until: string
}

export interface UsageAnswer {
  readonly since: string
  readonly until: string
  readonly lines: readonly UsageLine[]
}

export interface ConversationOptions {
  /** Name of a profile or a server; everything when left out. */
  readonly endpoint: string | undefined
  /** Name of the configured client; the local user when left out. */
  readonly client: string | undefined
  /** Called when it is served, and before anything is read. */
  readonly onOpen: () => void
}

export interface AdminStatus {
  readonly version: string
  readonly pid: number
  readonly config: string | undefined
  /** Unix milliseconds. */
  readonly startedAt: number
  readonly ready: boolean
  readonly servers: readonly object[]
}

/** The result of validating a configuration. Contains no secret. */
export interface CheckAnswer {
  /** All problems with location, value and fix; `undefined` when the configuration is usable. */
  readonly problem: string | undefined
  /** Servers with invalid entries. */
  readonly broken: readonly { readonly name: string; readonly problem: string }[]
}

export interface ReloadAnswer {
  readonly dryRun: boolean
  /** Whether the running configuration equals the file. */
  readonly applied: boolean
  /** Whether a later reload replaced this one. */
  readonly superseded: boolean
  /** The changes, one sentence each; empty when there are none. */
  readonly changes: readonly string[]
  /** When nothing is left to change: what was applied last. `undefined` when nothing was since the start. */
  readonly lastApplied?: LastApplied | undefined
  /** Servers that get new links, with the keys that cause it. Calls in flight end on the old links. */
  readonly restarts: readonly { readonly server: string; readonly keys: readonly string[] }[]
  /** Clients that are disconnected, by name and reason. */
  readonly endings: readonly ClientEnding[]
  /** Changed keys that take effect at the next start of the gateway, each with the reason. */
  readonly notReloadable: readonly { readonly key: string; readonly reason: string }[]
  /** Servers with invalid entries: those that run on as they were until the next start, and those that are left out. */
  readonly unusable: readonly { readonly server: string; readonly runsOn: boolean }[]
  /** The problems of these entries, one per line; `undefined` when there are none. */
  readonly problems: string | undefined
}

/** A client that a reload disconnects. */
export interface ClientEnding {
  readonly client: string
  readonly connections: number
  /** What the client is told. */
  readonly reason: string
}

/** The last change that took effect. */
export interface LastApplied {
  readonly secondsAgo: number
  readonly changes: readonly string[]
  /** Clients that it has disconnected. */
  readonly endings: readonly ClientEnding[]
}

export interface DrainTarget {
  readonly server: string
  /** All replicas when left out. */
  readonly replica: string | undefined
}

export interface DrainAnswer extends DrainTarget {
  readonly drained: boolean
  /** Calls in flight at this target, in this gateway. */
  readonly inFlight: number
}

export interface RestartAnswer {
  readonly server: string
  /** Number of links that no longer receive new calls. */
  readonly drainedLinks: number
}

export interface LoginTarget {
  readonly server: string
  /** The client whose login it is, where each has its own. */
  readonly client: string | undefined
}

export interface LoginAnswer {
  readonly server: string
  readonly owner: string
  /** The address to open in a browser. */
  readonly url: string
  /** The code to enter there, if it is one of a device login. */
  readonly code: string | undefined
  /** Unix milliseconds. */
  readonly expiresAt: number
}

export interface LogoutAnswer {
  readonly server: string
  readonly owner: string
  /** Whether there was a login. */
  readonly found: boolean
  /** Whether the authorization server has revoked it. */
  readonly revoked: boolean
}

/** One write, for the audit log. Contains no secret. */
export interface AdminWrite {
  /** `socket uid=1000` or `token`. */
  readonly by: string
  /** Network address of the peer; `undefined` on a socket. */
  readonly from: string | undefined
  /** Method and path, such as `POST /admin/reload`. */
  readonly action: string
  readonly status: number
  /** What was changed, or why it was refused. */
  readonly detail: string | undefined
}
