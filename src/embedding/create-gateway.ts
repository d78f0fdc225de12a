import { resolve } from 'node:path'
import type { Config } from '../config/types.ts'
import { leftOut } from '../config/unusable-entry.ts'
import { describeError, GatewayError } from '../core/errors.ts'
import { SILENT, type Logger } from '../core/logger.ts'
import { buildGateway, type RunningGateway } from '../gateway/gateway.ts'
import { readinessOf } from '../gateway/status.ts'
import { openStore } from '../state/open.ts'
import type { Store } from '../state/store.ts'
import type { CloseOptions, Gateway } from './gateway.ts'
import { toLogger, type HostLogger } from './host-logger.ts'
import { configOf, takeSource, type ConfigSource, type HeldSource, type LoadOptions } from './load-config.ts'

export interface GatewayOptions extends LoadOptions {
  /**
   * Receives the log records of the gateway that pass `gateway.log`; default: no logging. `console` is a valid logger.
   */
  readonly logger?: HostLogger
  /**
   * Durable state: a store, which stays open when the gateway closes, or `memory`, `lmdb:<folder>`,
   * `redis://<host>:<port>`. Default: the store of the configuration, else memory.
   */
  readonly store?: Store | string
  /** Whether a gateway without configured clients accepts requests from other machines. Default: `false`. */
  readonly allowAnonymous?: boolean
}

/**
 * Creates a gateway in this process. It starts no server and opens no port yet: clients connect through `handler`,
 * `listen` and `connectStdio`, and a server is started on first use. A process may contain several gateways. A gateway
 * does not handle signals, exit the process or write to its standard streams.
 * @throws GatewayError `config` with a line for each problem of the configuration
 */
export async function createGateway(source: ConfigSource, options: GatewayOptions = {}): Promise<Gateway> {
  const load = async (from: HeldSource): Promise<Config> =>
    withAnonymous(await configOf(from, options), options.allowAnonymous)
  const config = await load(takeSource(source))
  const logger = options.logger ? toLogger(options.logger, config.gateway.log) : SILENT
  tellProblems(config, logger)
  const { store = config.gateway.state } = options
  const own = typeof store === 'string' ? await openStore(absolute(store), logger) : undefined
  try {
    const running = await buildGateway(config, { logger, store: own ?? (store as Store) })
    return new EmbeddedGateway({ running, load, store: own, logger })
  } catch (error) {
    await own?.close()
    throw error
  }
}

interface Parts {
  readonly running: RunningGateway
  readonly load: (source: HeldSource) => Promise<Config>
  /** A store that was opened by the gateway, and is closed with it. */
  readonly store: Store | undefined
  readonly logger: Logger
}

/** The public part of a gateway; the rest is for transports. */
class EmbeddedGateway implements Gateway {
  readonly #parts: Parts
  readonly #running: RunningGateway
  readonly on: Gateway['on']
  #closed: Promise<void> | undefined

  constructor(parts: Parts) {
    this.#parts = parts
    this.#running = parts.running
    this.on = parts.running.on
  }

  handler: Gateway['handler'] = options => {
    this.#refuseClosed()
    return this.#running.handler(options)
  }

  listen: Gateway['listen'] = async () => {
    this.#refuseClosed()
    return await this.#running.listen()
  }

  connectStdio: Gateway['connectStdio'] = async (
    input = process.stdin,
    output = process.stdout,
    options = {},
  ) => {
    this.#refuseClosed()
    await this.#running.serveStdio(input, output, options)
  }

  reload: Gateway['reload'] = async source => {
    this.#refuseClosed()
    let warnings: readonly string[] = []
    const held = takeNow(source)
    // Loaded when its turn comes, so that the reload that was asked for last also counts when it is loaded faster.
    const report = await this.#running.reload(async () => {
      const config = await this.#parts.load(held())
      this.#refuseClosed()
      warnings = config.warnings
      return config
    })
    if (report.applied) for (const warning of warnings) this.#parts.logger.warn(warning)
    return report
  }

  status: Gateway['status'] = () => {
    const servers = this.#running.status()
    const { sessions, calls } = this.#running
    return { ready: readinessOf(servers).ready, sessions, calls: calls.size, servers }
  }

  close: Gateway['close'] = ({ timeoutMs }: CloseOptions = {}) => {
    const ended = timeoutMs === 0 ? this.#running.close() : this.#running.stop(timeoutMs)
    this.#closed ??= ended.then(() => this.#closeStore())
    return this.#closed
  }

  async #closeStore(): Promise<void> {
    try {
      await this.#parts.store?.close()
    } catch (error) {
      this.#parts.logger.warn('The state store did not close cleanly.', { cause: describeError(error) })
    }
  }

  #refuseClosed(): void {
    if (this.#closed) throw new GatewayError('shutting_down', 'The gateway is closed. Create another one.')
  }
}

/** As `takeSource`, but what it throws is thrown in the turn of the reload, which is then refused. */
function takeNow(source: ConfigSource): () => HeldSource {
  try {
    const held = takeSource(source)
    return () => held
  } catch (error) {
    return () => {
      throw error
    }
  }
}

function tellProblems({ warnings, servers }: Config, logger: Logger): void {
  for (const warning of warnings) logger.warn(warning)
  for (const { name, problem } of servers) if (problem !== undefined) logger.error(leftOut(name, problem))
}

function withAnonymous(config: Config, allowAnonymous: boolean | undefined): Config {
  if (allowAnonymous === undefined) return config
  const { gateway } = config
  return { ...config, gateway: { ...gateway, auth: { ...gateway.auth, allowAnonymous } } }
}

function absolute(store: string): string {
  return store.startsWith('lmdb:') ? `lmdb:${resolve(store.slice('lmdb:'.length))}` : store
}
