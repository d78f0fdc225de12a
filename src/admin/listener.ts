import { chmodSync, renameSync } from 'node:fs'
import {
  createServer,
  type IncomingMessage,
  type RequestListener,
  type Server,
  type ServerResponse,
} from 'node:http'
import type { AddressInfo } from 'node:net'
import type { TlsOptions } from 'node:tls'
import { describeError } from '../core/errors.ts'
import type { Logger } from '../core/logger.ts'
import { readRegularFile } from '../regular-file.ts'
import { DueAnswers } from './due-answers.ts'
import { AdminConnections } from './connections.ts'
import { Conversations } from './conversations.ts'
import type { ConfigFile } from './config-file.ts'
import { AdminGuard } from './guard.ts'
import type { AdminService } from './service.ts'
import { makeSocketFolder, removeSocket, removeStale, socketPath } from './socket-files.ts'

export interface AdminListenerOptions {
  readonly service: AdminService
  /** The instance of the gateway, shared so that writes do not overlap. Loaded with the first request. */
  readonly config: () => Promise<ConfigFile>
  readonly logger: Logger
}

/** Maximum number of connections of the socket, which only its owner can open. */
const MAX_SOCKET_CONNECTIONS = 32
const TIMEOUTS = { headersTimeout: 10_000, requestTimeout: 30_000, connectionsCheckingInterval: 2000 }

/** A listener of the admin API. */
export interface AdminListener {
  /** Path of the socket, or the address. */
  readonly at: string
  /** Accepts nothing more, sends the answers that are due, and closes every connection. Idempotent. */
  close(): Promise<void>
}

/**
 * Listens on this process's socket in the folder, which only its owner can access.
 * @throws Error when that fails
 */
export async function listenOnSocket(
  { folder, file }: { readonly folder: string; readonly file: string },
  options: AdminListenerOptions,
): Promise<AdminListener> {
  makeSocketFolder(folder)
  await removeStale(folder)
  const path = socketPath(folder, file, process.pid)
  // Renamed once it is complete, because a command that finds an unresponsive socket removes it.
  const fresh = path.slice(0, -'.sock'.length)
  removeSocket(fresh)
  const due = new DueAnswers()
  const guard = new AdminGuard({ hosts: undefined, token: undefined })
  const server = await serverFor({ guard, due }, options)
  server.maxConnections = MAX_SOCKET_CONNECTIONS
  const conversations = new Conversations(options.service, guard, options.logger)
  conversations.watch(server)
  await listening(server, () => server.listen(fresh))
  chmodSync(fresh, 0o600)
  renameSync(fresh, path)
  return {
    at: path,
    async close() {
      removeSocket(path)
      await Promise.all([closed(server, due), conversations.ended()])
    },
  }
}

/** A network address with its credential. */
export interface AdminAddress {
  /** `host:port`, an IPv6 address in brackets. */
  readonly listen: string
  readonly token: string
  /** Paths of PEM files; `undefined`: without TLS. */
  readonly tls: { readonly cert: string; readonly key: string } | undefined
}

/**
 * Listens on a network address.
 * @throws Error when that fails
 */
export async function listenOnAddress(
  { listen, token, tls }: AdminAddress,
  options: AdminListenerOptions,
): Promise<AdminListener> {
  const colon = listen.lastIndexOf(':')
  const host = listen.slice(0, colon).toLowerCase()
  const isAny = /^(?:0\.0\.0\.0|\[::\])$/.test(host)
  const due = new DueAnswers()
  const guard = new AdminGuard({ hosts: isAny ? undefined : new Set([host]), token })
  const server = await serverFor(
    { guard, due },
    options,
    tls && { ...(await filesOf(tls)), minVersion: 'TLSv1.2' },
  )
  new AdminConnections().watch(server, request => guard.hasCredential(request))
  const bare = host.replace(/^\[|\]$/g, '')
  await listening(server, () => server.listen(Number(listen.slice(colon + 1)), bare))
  const { port } = server.address() as AddressInfo
  return {
    at: `${tls ? 'https' : 'http'}://${host}:${port}`,
    close: () => closed(server, due),
  }
}

async function filesOf({ cert, key }: { readonly cert: string; readonly key: string }): Promise<TlsOptions> {
  return { cert: await readRegularFile(cert), key: await readRegularFile(key) }
}

/** An HTTP server that loads the application with the first request. It does not keep the process alive. */
async function serverFor(
  { guard, due }: { readonly guard: AdminGuard; readonly due: DueAnswers },
  { service, config, logger }: AdminListenerOptions,
  tls?: TlsOptions,
): Promise<Server> {
  let app: Promise<RequestListener> | undefined
  const onRequest = (request: IncomingMessage, response: ServerResponse): void => {
    due.add(request, response)
    app ??= Promise.all([import('./app.ts'), config()]).then(([{ createApp }, file]) =>
      createApp({ service, config: file, guard, logger }),
    )
    app.then(
      handle => handle(request, response),
      (error: unknown) => {
        app = undefined
        logger.error('The admin API cannot be loaded.', { cause: describeError(error) })
        response.writeHead(500).end()
      },
    )
  }
  const server = tls
    ? (await import('node:https')).createServer({ ...TIMEOUTS, ...tls }, onRequest)
    : createServer(TIMEOUTS, onRequest)
  server.unref()
  return server
}

async function listening(server: Server, listen: () => void): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.once('listening', () => {
      server.off('error', reject)
      resolve()
    })
    listen()
  })
}

async function closed(server: Server, due: DueAnswers): Promise<void> {
  const ended = new Promise<void>(resolve => server.close(() => resolve()))
  await due.sent()
  server.closeAllConnections()
  await ended
}
