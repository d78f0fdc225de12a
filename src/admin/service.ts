/** What the admin API asks of the gateway that it is for. It knows nothing else of it. */
export interface AdminService {
  /** Absolute path of the configuration file; `undefined` where the configuration is no file. */
  readonly file: string | undefined
  /** Whether a configuration that comes over the API may say what is run. */
  readonly allowsCommands: boolean
  status(): AdminStatus
  /** Whether a server of this name runs, wherever it is configured. */
  isServer(name: string): boolean
  /** Loads a text in place of the content of the file, and takes nothing over. */
  check(text: string): Promise<CheckAnswer>
  /**
   * Reads the configuration again and takes it over; with `dryRun` only says what would change. Resolves when it is in effect.
   * @throws GatewayError `config` with every problem; nothing has changed then
   */
  reload(options: { readonly dryRun: boolean }): Promise<ReloadAnswer>
  /** @throws GatewayError `config` for a name that is not there */
  drain(target: DrainTarget): Promise<DrainAnswer>
  /** @throws GatewayError `config` for a name that is not there */
  undrain(target: DrainTarget): Promise<DrainAnswer>
  /**
   * New links for new calls; calls in flight end on the old ones.
   * @throws GatewayError `config` for a name that is not there
   */
  restart(server: string): Promise<RestartAnswer>
  /** Notes a write, whatever came of it. */
  noteWrite(write: AdminWrite): void
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

/** What is wrong with a configuration. Holds no secret. */
export interface CheckAnswer {
  /** Every problem, with place, value and fix; `undefined` where it can be used. */
  readonly problem: string | undefined
  /** Servers whose entries have a problem, which are left out. */
  readonly broken: readonly { readonly name: string; readonly problem: string }[]
}

export interface ReloadAnswer {
  readonly dryRun: boolean
  /** Whether the gateway runs with the configuration as it is in the file. */
  readonly applied: boolean
  /** A later reload took the place of this one. */
  readonly superseded: boolean
  /** What is different, in words, a sentence each; empty where nothing is. */
  readonly changes: readonly string[]
  /** Keys that differ and take effect at the next start. */
  readonly notReloadable: readonly string[]
  /** Entries of servers that have a problem, in words; `undefined` where none has. */
  readonly problems: string | undefined
}

export interface DrainTarget {
  readonly server: string
  /** All of them when left out. */
  readonly replica: string | undefined
}

export interface DrainAnswer extends DrainTarget {
  readonly drained: boolean
  /** Calls in flight there, at this gateway. */
  readonly inFlight: number
}

export interface RestartAnswer {
  readonly server: string
  /** Links that take no new calls from now on. */
  readonly drainedLinks: number
}

/** One write, for the audit log. Holds no secret. */
export interface AdminWrite {
  /** As `socket uid=1000` or `token`. */
  readonly by: string
  /** Address of the network; `undefined` on a socket. */
  readonly from: string | undefined
  /** As `POST /admin/reload`. */
  readonly action: string
  readonly status: number
  /** What was changed, or why it was refused. */
  readonly detail: string | undefined
}
