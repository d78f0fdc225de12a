import type { Endpoint } from '../../config/replica-types.ts'
import { describeError, GatewayError } from '../../core/errors.ts'
import type { UpstreamCredentials } from '../../core/upstream-credentials.ts'
import { withTimeout } from '../../core/timeout.ts'
import { shuttingDown } from '../../core/shutting-down.ts'
import type { Era } from '../../protocol/revisions.ts'
import { UNKNOWN, type Spoken } from '../../protocol/spoken.ts'
import { Guarded } from './guarded.ts'
import { shakeHands, TooLate, type Heard } from './handshake.ts'
import { Link, type LinkOptions } from './link.ts'
import type { PrintedByOne } from '../transport/stdio/printed.ts'
import { withStray } from '../transport/stdio/stray.ts'
import type { Transport } from '../transport/shared/transport.ts'
import { createTransport, fallbackOf, traitsOf } from '../transport/transports.ts'

export interface Connected {
  readonly link: Link
  /** The eras that the handshake has detected. */
  readonly shown: Spoken
}

export interface ConnectOptions extends Omit<LinkOptions, 'transport'> {
  /** Aborts the attempt, which then fails with `shutting_down`. */
  readonly signal: AbortSignal
  /** What the requests present. `undefined`: nothing but what the endpoint says. */
  readonly credentials?: UpstreamCredentials | undefined
  /** Default: that of the replica. */
  readonly endpoint?: Endpoint
}

/**
 * Opens a link to a server: transport, era, handshake. The link has the wanted era if the server supports it. The
 * handshake begins with the `known` era. If the attempt fails, the next transport in the table of transports is tried
 * for certain errors. A failed attempt leaves nothing behind.
 * @throws GatewayError naming the server, the cause and the fix
 */
export async function connect(options: ConnectOptions, wish: Era, known: Spoken): Promise<Connected> {
  const { endpoint = options.replica.endpoint } = options
  try {
    return await connectAt(endpoint, options, wish, known)
  } catch (error) {
    const other = fallbackOf(endpoint, error)
    if (!other) throw error
    try {
      return await connectAt(other, options, wish, UNKNOWN)
    } catch (second) {
      options.logger.debug('The server cannot be reached over the other transport either.', {
        transport: other.kind,
        cause: describeError(second),
      })
      throw error
    }
  }
}

async function connectAt(
  endpoint: Endpoint,
  options: ConnectOptions,
  wish: Era,
  known: Spoken,
): Promise<Connected> {
  if (!traitsOf(endpoint).process) return await attempt(options, transportTo(endpoint, options), wish, known)
  const heard: Heard = { discovered: known.modern === true }
  try {
    return await attemptProcess(endpoint, options, wish, known, heard)
  } catch (error) {
    const better = betterStart(error, wish, known, heard)
    if (!better) throw error
    const level = options.replica.printed.failsAgain ? 'debug' : 'info'
    options.logger[level]('The server did not survive the handshake and is started once more.', {
      ...better,
    })
    const { link, shown } = await attemptProcess(endpoint, options, wish, better)
    return { link, shown: { ...better, ...shown } }
  }
}

async function attemptProcess(
  endpoint: Endpoint,
  options: ConnectOptions,
  wish: Era,
  known: Spoken,
  heard?: Heard,
): Promise<Connected> {
  const { server, replica, logger } = options
  const printed = replica.printed.begin(logger.child({ server: server.name }))
  try {
    const connected = await attempt(options, transportTo(endpoint, options, printed), wish, known, heard)
    printed.greeted()
    return connected
  } catch (error) {
    printed.failed()
    throw withStray(error, printed.stray)
  }
}

async function attempt(
  options: ConnectOptions,
  transport: Transport,
  wish: Era,
  known: Spoken,
  heard: Heard = { discovered: false },
): Promise<Connected> {
  const { signal, ...rest } = options
  const link = new Link({ ...rest, transport })
  const breakOff = (): void => void link.close(shuttingDown(link.server.name))
  signal.addEventListener('abort', breakOff)
  try {
    if (signal.aborted) throw shuttingDown(link.server.name)
    await openInTime(transport, link)
    const shown = await shakeHands(link, wish, known, heard)
    if (!link.usable)
      throw new GatewayError(
        'upstream_closed',
        `Server "${options.server.name}" closed the connection right after the handshake.`,
        { server: options.server.name },
      )
    return { link, shown }
  } catch (error) {
    await link.close()
    if (error instanceof TooLate && !signal.aborted) throw error
    throw signal.aborted
      ? shuttingDown(link.server.name)
      : notSent(GatewayError.from(error, options.server.name))
  } finally {
    signal.removeEventListener('abort', breakOff)
  }
}

/** The assumed eras for a new process after one that failed in the handshake. `undefined`: they would be the same. */
function betterStart(error: unknown, wish: Era, known: Spoken, { discovered }: Heard): Spoken | undefined {
  if (error instanceof TooLate) return { modern: true }
  if (!(error instanceof GatewayError) || error.code !== 'upstream_closed') return undefined
  // Some servers exit on an unknown message: old ones on any message before `initialize`, modern ones on `initialize`.
  if (!discovered) return known.modern === false ? undefined : { legacy: true, modern: false }
  return wish === 'modern' || known.legacy === false ? undefined : { legacy: false, modern: true }
}

/**
 * The error with delivery `not_sent`: however far the handshake got, the call that needs the link has not been sent.
 */
function notSent(error: GatewayError): GatewayError {
  if (error.delivery === 'not_sent') return error
  const { code, message, cause, server, retryAfterMs, data } = error
  return new GatewayError(code, message, {
    cause,
    delivery: 'not_sent',
    ...(server !== undefined && { server }),
    ...(retryAfterMs !== undefined && { retryAfterMs }),
    ...(data !== undefined && { data }),
  })
}

/** A server that accepts a connection and then says nothing must not delay the callers that wait for the link. */
async function openInTime(transport: Transport, link: Link): Promise<void> {
  const { name, startTimeoutMs } = link.server
  await withTimeout(transport.open(new Guarded(link)), startTimeoutMs, () => {
    const message = `Server "${name}" did not open a connection within ${startTimeoutMs / 1000} s. Try again, or raise "startTimeout" of this server.`
    throw new GatewayError('upstream_timeout', message, { server: name })
  })
}

function transportTo(
  endpoint: Endpoint,
  { server, logger, credentials }: ConnectOptions,
  printed?: PrintedByOne,
): Transport {
  const { name, maxMessageBytes } = server
  const memoryBytes = (): number => server.memoryLimitBytes
  return createTransport(endpoint, {
    server: name,
    maxMessageBytes,
    memoryBytes,
    logger,
    printed,
    credentials,
  })
}
