/** One server, one run. */
export interface CellOptions {
  /** Of the server. */
  readonly era: 'legacy' | 'modern'
  /** Of the server. */
  readonly transport: 'stdio' | 'http'
  readonly clients: number
  /** How long the clients act. */
  readonly seconds: number
  /** Repeats what the clients do, though not when things happen. */
  readonly seed: number
  /** Whether the server is killed now and then. Default: no. */
  readonly restarts?: boolean
  /** Starts a gateway with this configuration. */
  readonly openGateway: (file: {
    readonly gateway?: Readonly<Record<string, unknown>>
    readonly [key: string]: unknown
  }) => Promise<{
    readonly origin: string
    /** What it has logged, each with its time by `performance.now()`. It grows. */
    readonly log?: readonly { readonly at: number; readonly text: string }[]
    close(): Promise<void>
  }>
}

export interface CellReport {
  /** Nothing misdelivered, lost, ended, doubled or unexplained. */
  readonly clean: boolean
  /** Counts, and the first of what is wrong, as lines. */
  readonly report: string
  readonly counts: Readonly<Record<string, number>>
}

export function runCell(options: CellOptions): Promise<CellReport>
