import { GatewayError } from '../core/errors.ts'
import { isJsonObject, jsonObjectIn } from '../core/json-object.ts'
import { registryAddress, type RegistryAddress } from './registry-address.ts'
import { registryServer, type RegistryServer } from './registry-server.ts'
import type { JsonObject } from '../core/exchange.ts'

/** The official registry of MCP servers. */
export const OFFICIAL_REGISTRY = 'https://registry.modelcontextprotocol.io'

/** Bounds of what a registry may send. */
const MAX_BYTES = 4 * 1024 * 1024
const TIMEOUT_MS = 15_000
const MAX_PAGES = 5
const PAGE = 100
const MAX_CURSOR_CHARS = 2000

/** What a registry has under a name. */
export interface FoundServer {
  readonly server: RegistryServer | undefined
  /** Names that are like it. */
  readonly names: readonly string[]
}

/**
 * Looks up the latest version of a server (`GET /v0.1/servers`).
 * @throws GatewayError `config` when the registry is away, or sends what it should not; the reason of `signal`
 */
export async function findServer(
  name: string,
  address: RegistryAddress,
  signal?: AbortSignal,
): Promise<FoundServer> {
  const names = new Set<string>()
  let cursor: string | undefined
  for (let page = 0; page < MAX_PAGES; page++) {
    const { servers, metadata } = await fetched(address, queryOf(name, cursor), signal)
    if (!Array.isArray(servers)) throw refused(address.shown, 'its answer has no list of servers')
    for (const item of servers.slice(0, PAGE)) {
      const server = isJsonObject(item) ? registryServer(item['server'] ?? item, item['_meta']) : undefined
      if (!server) continue
      if (server.name === name) return { server, names: [] }
      names.add(server.name)
    }
    const { nextCursor } = isJsonObject(metadata) ? metadata : {}
    if (typeof nextCursor !== 'string' || nextCursor === '' || nextCursor.length > MAX_CURSOR_CHARS) break
    cursor = nextCursor
  }
  return { server: undefined, names: [...names] }
}

/** @throws GatewayError `config` for what is no address that a registry may have */
export function usableAddress(base: string): RegistryAddress {
  const address = registryAddress(base)
  if (typeof address === 'string') throw refused(undefined, address)
  return address
}

function queryOf(name: string, cursor: string | undefined): URLSearchParams {
  const query = new URLSearchParams({ search: name, version: 'latest', limit: String(PAGE) })
  if (cursor !== undefined) query.set('cursor', cursor)
  return query
}

async function fetched(
  { shown, url, headers }: RegistryAddress,
  query: URLSearchParams,
  signal: AbortSignal | undefined,
): Promise<JsonObject> {
  let text: string
  const deadline = AbortSignal.timeout(TIMEOUT_MS)
  try {
    const answer = await fetch(url(`/v0.1/servers?${query.toString()}`), {
      headers,
      redirect: 'error',
      signal: signal ? AbortSignal.any([signal, deadline]) : deadline,
    })
    if (answer.status !== 200) {
      await answer.body?.cancel()
      throw refused(shown, `it answers with status ${answer.status}`)
    }
    text = await boundedText(answer, shown)
  } catch (error) {
    if (error instanceof GatewayError) throw error
    signal?.throwIfAborted()
    const isLate = (error as Error).name === 'TimeoutError'
    throw refused(shown, isLate ? `it does not answer within ${TIMEOUT_MS / 1000} s` : causeOf(error), error)
  }
  const value = jsonObjectIn(text)
  if (!value) throw refused(shown, 'its answer is no JSON object')
  return value
}

async function boundedText(answer: Response, shown: string): Promise<string> {
  const chunks: Uint8Array[] = []
  let bytes = 0
  for await (const chunk of (answer.body ?? []) as AsyncIterable<Uint8Array>) {
    bytes += chunk.length
    // Leaving the loop ends the connection.
    if (bytes > MAX_BYTES) throw refused(shown, `its answer has more than ${MAX_BYTES} bytes`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}

function causeOf(error: unknown): string {
  const { cause, message } = error as Error
  const { code, message: deeper } = (cause ?? {}) as { code?: string; message?: string }
  return code ?? deeper ?? message
}

function refused(shown: string | undefined, why: string, cause?: unknown): GatewayError {
  return new GatewayError(
    'config',
    `The registry${shown === undefined ? '' : ` ${shown}`} cannot be used: ${why}. Another one is named by --registry or MCP_MANIFOLD_REGISTRY; a server of which you know the command is added by: mcp-manifold add <name> -- <command>`,
    cause === undefined ? {} : { cause },
  )
}
