import { constants } from 'node:os'
import { FilesRead } from '../config/load/files-read.ts'
import { loadWithSource, type Loaded } from '../config/load/load.ts'
import { toldProblems } from '../config/problem.ts'
import { FileSource } from '../config/source/file-source.ts'
import { knownValid } from '../config/source/known-valid.ts'
import { ReadingThreads, type StartedReading } from '../config/source/reading-threads.ts'
import { Reloader } from '../config/source/reloader.ts'
import { leftOut } from '../config/unusable-entry.ts'
import { Cancellation } from '../core/cancellation.ts'
import { describeError } from '../core/errors.ts'
import { pause } from '../core/timeout.ts'
import { buildGateway } from '../gateway/gateway.ts'
import { logConsole } from '../observe/console-records.ts'
import { createLogger } from '../observe/logger.ts'
import { RecentRecords } from '../observe/recent-records.ts'
import { openStore } from '../state/open.ts'
import { startAdmin, type OpenAdmin } from './admin.ts'
import type { ReadRequest } from '../config/source/reading.ts'
import type { Overrides } from '../config/resolve/environment.ts'
import type { Logger } from '../core/logger.ts'
import type { RunningGateway } from '../gateway/gateway.ts'
import type { GatewayAdminOptions } from './gateway-admin.ts'

export interface RunOptions {
  readonly file?: string | undefined
  readonly overrides?: Overrides
  /**
   * Whether SIGHUP means that the terminal was closed, and ends the gateway; otherwise it reloads the configuration.
   * Default: true.
   */
  readonly endsOnHangup?: boolean
  /** Whether the admin API may define and change programs to run; default false. */
  readonly allowsCommandAdmin?: boolean
}

/** Longer than the time that upstreams have to exit. */
const CLOSE_TIMEOUT_MS = 15_000
/** The client of a gateway on stdio waits for the first answers; commands can wait. */
const ADMIN_DELAY_MS = 300

/**
 * Starts a gateway that follows its configuration file, passes it to `use`, and stops it when `use` has finished or the
 * process receives a signal. Then it exits the process: with 0, or with 1 after an uncaught exception. After the first
 * signal, calls in flight are completed; a second one exits immediately, with 130 (SIGINT) or 143 (SIGTERM).
 * @throws errors of the start and of `use`, after everything is closed
 */
export async function runGateway(
  options: RunOptions,
  use: (gateway: RunningGateway, loaded: Loaded, logger: Logger) => Promise<void>,
): Promise<never> {
  const files = new FilesRead()
  const loaded = await loadWithSource({ ...options, files, ...knownValid() })
  const { config } = loaded
  const recent = new RecentRecords()
  const logger = createLogger({ level: config.gateway.log, stream: process.stderr, recent })
  logConsole(logger)
  for (const warning of config.warnings) logger.warn(warning)
  const problems = config.servers.flatMap(({ name, problem }) =>
    problem === undefined ? [] : [leftOut(name, problem)],
  )
  for (const problem of toldProblems(problems)) logger.error(problem)

  const threads = new ReadingThreads()
  let reloader: Reloader | undefined
  let stopped = false
  let graceful = false
  let asked = false
  /** Exit code after a second signal, or a failure of the end. */
  let forced: number | undefined
  let isReloadAsked = false
  const stopping = new Promise<number>(resolve => {
    const onSignal = (signal: NodeJS.Signals): void => {
      // A second signal exits immediately, with the exit code of a process killed by that signal.
      if (asked) {
        forced = 128 + constants.signals[signal]
        return void exit(forced, threads)
      }
      asked = true
      // Already stopping, because the client has disconnected.
      if (stopped) return
      stopped = true
      graceful = true
      logger.debug('A signal stops the gateway.', { signal })
      resolve(0)
    }
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, onSignal)
    process.on('SIGHUP', signal => {
      if (options.endsOnHangup ?? true) onSignal(signal)
      else if (reloader) reloadOn(reloader, logger)
      // The start has read the file already, so that a change after that would be missed.
      else isReloadAsked = true
    })
    const onCrash = (error: unknown): void => {
      logger.error(`The gateway failed and stops: ${describeError(error)}`, {
        stack: (error as Error | undefined)?.stack,
      })
      if (stopped) {
        forced ??= 1
        return void exit(forced, threads)
      }
      stopped = true
      resolve(1)
    }
    process.on('uncaughtException', onCrash)
    process.on('unhandledRejection', onCrash)
  })

  const store = await openStore(config.gateway.state, logger)
  let gateway: RunningGateway | undefined
  let admin: Promise<OpenAdmin> | undefined
  const ended = new Cancellation()
  let code: number
  try {
    gateway = await buildGateway(config, { logger, store })
    const used = use(gateway, loaded, logger)
    // Runs in parallel to the work that the client waits for.
    reloader = startReloader({ gateway, loaded, files, options, threads, logger })
    if (isReloadAsked && reloader) reloadOn(reloader, logger)
    const { overrides, allowsCommandAdmin: allowsCommands = false } = options
    const adminOptions = { gateway, config, overrides, reloader, threads, allowsCommands, recent, logger }
    admin = overrides?.serves ? startAdmin(adminOptions) : startAdminLater(adminOptions, ended)
    // The start fails when the admin API cannot use its configured address.
    const failed = admin.then(() => new Promise<never>(() => {}))
    code = await Promise.race([used.then(() => 0), stopping, failed])
  } finally {
    stopped = true
    ended.cancel('the gateway ends')
    // Of the configuration in effect. One that takes effect from now on does not change it.
    const { shutdownTimeoutMs } = (gateway?.config ?? config).gateway
    const withinMs = (graceful ? shutdownTimeoutMs : 0) + CLOSE_TIMEOUT_MS
    const overdue = setTimeout(() => {
      logger.error(`Closing took longer than ${withinMs / 1000} s; the process ends without waiting.`)
      void exit(1, threads)
    }, withinMs)
    // The front stops first: whatever else takes its time, no new request is served.
    const gatewayClosed = graceful ? gateway?.stop(shutdownTimeoutMs) : gateway?.close()
    await Promise.all([
      gatewayClosed,
      admin?.then(
        open => open.close(),
        () => {},
      ),
      reloader?.close(),
      threads.close(),
    ])
    try {
      await store.close()
    } catch (error) {
      logger.warn('The state store did not close cleanly.', { cause: describeError(error) })
    }
    if (threads.isBlocked)
      logger.warn(
        'A file of the configuration does not answer, so that its reading cannot end. The process ends by SIGKILL.',
      )
    await logger.flush()
    clearTimeout(overdue)
  }
  return await exit(forced ?? code, threads)
}

/** Opens the admin API after the first answers. It stays closed if the gateway ends before. */
async function startAdminLater(options: GatewayAdminOptions, ended: Cancellation): Promise<OpenAdmin> {
  await pause(ADMIN_DELAY_MS, ended)
  return ended.reason === undefined ? await startAdmin(options) : { close: () => Promise.resolve() }
}

/**
 * Ends the process, after a second at most. `process.exit` waits for every thread, and a thread that waits in a call to
 * the system does not end: then the process ends by SIGKILL.
 */
async function exit(code: number, threads: ReadingThreads): Promise<never> {
  await threads.close()
  if (threads.isBlocked) {
    process.kill(process.pid, 'SIGKILL')
    // The first process of a container gets no SIGKILL from itself.
    process.abort()
  }
  process.exit(code)
}

/** Reloads after SIGHUP; the reloader logs the result. */
function reloadOn(reloader: Reloader, logger: Logger): void {
  reloader
    .reload()
    .catch((error: unknown) =>
      logger.info('The configuration was not reloaded after SIGHUP.', { cause: describeError(error) }),
    )
}

interface Followed {
  readonly gateway: RunningGateway
  readonly loaded: Loaded
  readonly files: FilesRead
  readonly options: RunOptions
  readonly threads: ReadingThreads
  readonly logger: Logger
}

/** Follows the configuration file of a running gateway. */
function startReloader({
  gateway,
  loaded: { config },
  files,
  options: { overrides = {} },
  threads,
  logger,
}: Followed): Reloader | undefined {
  const { file } = config
  if (file === undefined) return undefined
  const load = (request: ReadRequest): StartedReading => threads.read(request)
  const source = new FileSource({ file, overrides, marks: files.marks, load, logger })
  const reloader = new Reloader({ source, target: gateway, config, logger })
  void reloader.start()
  return reloader
}
