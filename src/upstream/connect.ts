import { describeError, GatewayError } from '../core/errors.ts'
import type { Era } from '../protocol/revisions.ts'
import { shakeHands } from './handshake.ts'
import { Link, type LinkOptions } from './link.ts'
import { SseTransport } from './sse.ts'
import { createStdioTransport } from './stdio.ts'
import { HttpStatusError } from './http-refusal.ts'
import { StreamableHttpTransport } from './streamable-http.ts'
import type { Transport } from './transport.ts'

export interface Connected {
  readonly link: Link
  /** Era worth remembering for the next start, `undefined` when this handshake was no evidence. */
  readonly era: Era | undefined
}

export interface ConnectOptions extends Omit<LinkOptions, 'transport'> {
  /** Breaks the attempt off, which then fails with `shutting_down`. */
  readonly signal: AbortSignal
}

/**
 * Opens a link to a server: transport, era, handshake. Falls back to deprecated HTTP+SSE where the configuration leaves the transport open.
 * A failed attempt leaves nothing behind.
 * @throws GatewayError naming the server, the cause and the fix
 */
export async function connect(options: ConnectOptions, known: Era | undefined): Promise<Connected> {
  const { server } = options
  const { endpoint } = options.replica
  if (endpoint.kind === 'stdio') {
    try {
      return await attempt(options, stdio(options), known)
    } catch (error) {
      // Some old servers exit at a message before `initialize`. One fresh process, asked the old way, settles it.
      if (known === 'legacy' || !(error instanceof GatewayError) || error.code !== 'upstream_closed')
        throw error
      options.logger.info(
        'The server left during the handshake; it is started once more and asked as a legacy server.',
      )
      return await attempt(options, stdio(options), 'legacy')
    }
  }
  const { maxMessageBytes } = server
  const sse = (): Transport =>
    new SseTransport({ server: server.name, endpoint, maxMessageBytes, logger: options.logger })
  if (endpoint.transport === 'sse') return await attempt(options, sse(), 'legacy')
  const streamable = new StreamableHttpTransport({
    server: server.name,
    endpoint,
    maxMessageBytes,
    logger: options.logger,
  })
  try {
    return await attempt(options, streamable, known)
  } catch (error) {
    if (endpoint.transport !== 'auto' || !mayBeSse(error)) throw error
    try {
      return await attempt(options, sse(), 'legacy')
    } catch (second) {
      options.logger.debug('The server offers no deprecated event stream either.', {
        cause: describeError(second),
      })
      throw error
    }
  }
}

async function attempt(
  options: ConnectOptions,
  transport: Transport,
  known: Era | undefined,
): Promise<Connected> {
  const { signal, ...rest } = options
  const link = new Link({ ...rest, transport })
  const breakOff = (): void => void link.close(shuttingDown(link))
  signal.addEventListener('abort', breakOff)
  try {
    if (signal.aborted) throw shuttingDown(link)
    await openInTime(transport, link)
    const { era, certain } = await shakeHands(link, known)
    if (!link.usable)
      throw new GatewayError(
        'upstream_closed',
        `Server "${options.server.name}" left right after the handshake.`,
        { server: options.server.name },
      )
    return { link, era: certain ? era : undefined }
  } catch (error) {
    await link.close()
    throw signal.aborted ? shuttingDown(link) : notSent(GatewayError.from(error, options.server.name))
  } finally {
    signal.removeEventListener('abort', breakOff)
  }
}

/** However far the handshake got: what the link was opened for has not been sent. */
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

function shuttingDown({ server }: Link): GatewayError {
  return new GatewayError('shutting_down', 'The gateway is shutting down.', { server: server.name })
}

/** A server that accepts a connection and then says nothing must not keep those waiting who wait for the link. */
async function openInTime(transport: Transport, link: Link): Promise<void> {
  const { name, startTimeoutMs } = link.server
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      const message = `Server "${name}" did not open a connection within ${startTimeoutMs / 1000} s. Try again, or raise "startTimeout" of this server.`
      reject(new GatewayError('upstream_timeout', message, { server: name }))
    }, startTimeoutMs)
  })
  const opening = transport.open(link)
  // Closing the transport ends it; by then nobody listens any more.
  opening.catch(() => undefined)
  await Promise.race([opening, late]).finally(() => clearTimeout(timer))
}

function stdio(options: Omit<LinkOptions, 'transport'>): Transport {
  const { server, replica, logger } = options
  const { endpoint } = replica
  if (endpoint.kind !== 'stdio') throw new GatewayError('internal', 'Not a stdio server.')
  return createStdioTransport({
    server: server.name,
    endpoint,
    maxMessageBytes: server.maxMessageBytes,
    memoryBytes: server.memoryBytes,
    logger,
  })
}

/** Specification 2025-11-25, transports, backwards compatibility: these statuses to a POST may mean the older transport. */
function mayBeSse(error: unknown): boolean {
  const status =
    error instanceof GatewayError && error.cause instanceof HttpStatusError ? error.cause.status : undefined
  return status === 400 || status === 404 || status === 405
}
