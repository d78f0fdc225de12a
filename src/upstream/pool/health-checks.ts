import { outliers } from '../balance/outliers.ts'
import { monotonicNow, wallOf } from '../../core/clock.ts'
import { describeError } from '../../core/errors.ts'
import type { Logger } from '../../core/logger.ts'
import { CHECK } from '../link/session-probe.ts'
import type { Link } from '../link/link.ts'
import type { Replica } from '../replica/replica.ts'
import type { ReplicaSet } from '../replica/replica-set.ts'
import { UpstreamRpcError } from '../link/rpc-error.ts'

/** Maximum interval at which due checks are looked for. */
const LOOK_MS = 1000

export interface HealthChecksOptions {
  readonly replicas: ReplicaSet
  /** An open link to a replica, or one that is being opened for the check. */
  readonly link: (replica: Replica) => Link | Promise<Link> | undefined
  /** Whether the server is in use. */
  readonly inUse: () => boolean
  /** Called when a replica has become unusable, or usable again. */
  readonly onChanged: () => void
  readonly logger: Logger
}

/**
 * Active health checks of the replicas of one server, while it is in use and has several: a protocol request without
 * side effects, or a tool that the operator has configured. Calls that wait at a replica are informed when its check
 * fails.
 */
export class HealthChecks {
  readonly #options: HealthChecksOptions
  readonly #checking = new Set<Replica>()
  #timer: NodeJS.Timeout | undefined

  constructor(options: HealthChecksOptions) {
    this.#options = options
  }

  /** To be called whenever a link has been opened. */
  start(): void {
    const { replicas } = this.#options
    const { intervalMs } = replicas.server.health
    if (this.#timer || !replicas.several || intervalMs === 0) return
    this.#timer = setInterval(() => this.#look(), Math.min(LOOK_MS, intervalMs))
    this.#timer.unref()
  }

  /** Applies other settings of the checks. */
  reconfigured(): void {
    this.close()
    this.start()
  }

  close(): void {
    clearInterval(this.#timer)
    this.#timer = undefined
  }

  #look(): void {
    const { replicas, inUse, logger } = this.#options
    if (!replicas.several || !inUse()) {
      this.close()
      return
    }
    const now = monotonicNow()
    for (const replica of outliers(replicas.list, { slowBy: replicas.server.health.slowBy, now }))
      if (replica.health.outlier(`It is ${replicas.server.health.slowBy} times slower than the others.`, now))
        this.#ill(replica)
    for (const replica of replicas.list) {
      if (replica.drained || this.#checking.has(replica) || !replica.health.dueForCheck(now)) continue
      this.#checking.add(replica)
      replica.health.checkBegan(now)
      this.#check(replica)
        .catch((error: unknown) =>
          logger.warn('A health check could not be completed.', {
            replica: replica.name,
            cause: describeError(error),
          }),
        )
        .finally(() => this.#checking.delete(replica))
    }
  }

  async #check(replica: Replica): Promise<void> {
    const { link, onChanged, logger } = this.#options
    const ejected = replica.health.state === 'ejected'
    const failure = await this.#ask(replica, link)
    const now = monotonicNow()
    if (failure === undefined) {
      if (!replica.health.checkPassed(now)) return
      logger.info('The replica is healthy again and gets calls.', { replica: replica.name })
      onChanged()
    } else if (replica.health.checkFailed(failure, now) && !ejected) this.#ill(replica)
  }

  /** Runs the check. Resolves with the reason of the failure; `undefined`: it passed, or there was nothing to check. */
  async #ask(replica: Replica, linkTo: HealthChecksOptions['link']): Promise<string | undefined> {
    const { check, timeoutMs } = this.#options.replicas.server.health
    try {
      const link = await linkTo(replica)
      if (!link) return undefined
      if (check === 'protocol') await link.request(CHECK[link.peer.era], undefined, timeoutMs)
      else {
        const params = JSON.stringify({ name: check.tool, arguments: check.args })
        const { value } = await link.request('tools/call', params, timeoutMs)
        if (value.isError === true) return `The check by tool "${check.tool}" ended with an error.`
      }
      return undefined
    } catch (error) {
      // An error is an answer, too: the server need not support `ping`.
      if (error instanceof UpstreamRpcError && check === 'protocol') return undefined
      return error instanceof Error ? error.message : String(error)
    }
  }

  #ill(replica: Replica): void {
    const { onChanged, logger } = this.#options
    const { cause, nextTry } = replica.health
    logger.warn('The replica is ejected.', {
      replica: replica.name,
      cause,
      nextTry: nextTry === undefined ? undefined : new Date(wallOf(nextTry)).toISOString(),
    })
    replica.checkFailed()
    onChanged()
  }
}
