import { STATUS_CODES, type IncomingMessage, type Server } from 'node:http'
import type { Duplex } from 'node:stream'
import { describeError } from '../core/errors.ts'
import type { Logger } from '../core/logger.ts'
import type { AdminGuard } from './guard.ts'
import { AdminProblem, problemOf } from './problem-details.ts'
import type { AdminService, ConversationOptions } from './service.ts'

/** The path of conversations, which only the socket has. */
export const MCP_PATH = '/admin/mcp'
/** Name of the protocol in `Upgrade`. */
const PROTOCOL = 'mcp'
const MAX_NAME_CHARS = 512
/** Conversations at once. The socket has connections left for the other requests: see `listener.ts`. */
const MAX_OPEN = 24
/** Time for a peer to take what is written to it at the end. */
const FLUSH_MS = 2000

/**
 * Conversations over MCP on the connections of a listener. A request with `Upgrade: mcp` turns its connection into the
 * streams of a client on stdio, so that policy, quotas, audit and reloads are those of every client on stdio.
 */
export class Conversations {
  readonly #service: AdminService
  readonly #guard: AdminGuard
  readonly #logger: Logger
  readonly #open = new Set<Promise<void>>()

  constructor(service: AdminService, guard: AdminGuard, logger: Logger) {
    this.#service = service
    this.#guard = guard
    this.#logger = logger
  }

  /** Takes the upgrades of a server that does not listen yet. */
  watch(server: Server): void {
    server.on('upgrade', (request: IncomingMessage, connection: Duplex, head: Buffer) => {
      connection.on('error', () => {})
      const held = this.#hold(request, connection, head).finally(() => this.#open.delete(held))
      this.#open.add(held)
    })
  }

  /** Resolves when every conversation has ended: soon after the gateway, also where a peer reads nothing. */
  async ended(): Promise<void> {
    await Promise.all(this.#open)
  }

  async #hold(request: IncomingMessage, connection: Duplex, head: Buffer): Promise<void> {
    let isOpen = false
    try {
      this.#guard.check(request)
      const as = optionsOf(request)
      if (this.#open.size >= MAX_OPEN)
        throw new AdminProblem(
          503,
          `${MAX_OPEN} commands use this gateway already, which is the most. Wait for one of them to end, or end one.`,
        )
      if (head.length > 0) connection.unshift(head)
      await this.#service.converse(connection, {
        ...as,
        onOpen: () => {
          isOpen = true
          connection.write(
            `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: ${PROTOCOL}\r\n\r\n`,
          )
        },
      })
    } catch (error) {
      if (!isOpen) connection.write(refusal(problemOf(error)))
      else this.#logger.error('A conversation on the admin socket failed.', { cause: describeError(error) })
    }
    await new Promise<void>(resolve => {
      const late = setTimeout(() => connection.destroy(), FLUSH_MS)
      connection.once('close', () => {
        clearTimeout(late)
        resolve()
      })
      connection.end(() => connection.destroy())
      if (!connection.destroyed) return
      clearTimeout(late)
      resolve()
    })
  }
}

/** @throws AdminProblem */
function optionsOf({ url = '', headers }: IncomingMessage): Omit<ConversationOptions, 'onOpen'> {
  const { pathname, searchParams } = new URL(url, 'http://localhost')
  if (pathname !== MCP_PATH || headers.upgrade?.toLowerCase() !== PROTOCOL)
    throw new AdminProblem(404, `Only ${MCP_PATH} takes an upgrade, and only "Upgrade: ${PROTOCOL}".`)
  const unknown = [...searchParams.keys()].find(key => key !== 'endpoint' && key !== 'client')
  if (unknown !== undefined)
    throw new AdminProblem(422, 'The query may have "endpoint" and "client", and nothing else.')
  const textOf = (name: string): string | undefined => {
    const text = searchParams.get(name) ?? undefined
    if (text === '' || (text?.length ?? 0) > MAX_NAME_CHARS)
      throw new AdminProblem(422, `"${name}" is a text of 1 to ${MAX_NAME_CHARS} characters.`)
    return text
  }
  return { endpoint: textOf('endpoint'), client: textOf('client') }
}

function refusal({ status, headers, document }: AdminProblem): string {
  const body = JSON.stringify(document)
  const lines = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}`,
    ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
    'content-type: application/problem+json',
    `content-length: ${Buffer.byteLength(body)}`,
    'connection: close',
  ]
  return `${lines.join('\r\n')}\r\n\r\n${body}`
}
