import { GatewayError } from '../core/errors.ts'
import { isJsonObject } from '../core/json-object.ts'
import { withoutEnd } from '../core/without-end.ts'
import { registryServer, type RegistryServer } from './registry-server.ts'

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
 * @param base address of the registry
 * @throws GatewayError `config` when the registry is away, or sends what it should not
 */
export async function findServer(name: string, base: string): Promise<FoundServer> {
  const names = new Set<string>()
  let cursor: string | undefined
  for (let page = 0; page < MAX_PAGES; page++) {
    const url = addressOf(base, name, cursor)
    const value = await fetched(url, base)
    const { servers, metadata } = value
    if (!Array.isArray(servers)) throw refused(base, 'its answer has no list of servers')
    for (const item of servers.slice(0, PAGE)) {
      const server = registryServer(isJsonObject(item) ? (item['server'] ?? item) : undefined)
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

function addressOf(base: string, name: string, cursor: string | undefined): URL {
  let url: URL
  try {
    url = new URL(`${withoutEnd(base, '/')}/v0.1/servers`)
  } catch {
    throw refused(base, 'this is no address')
  }
  if (url.protocol !== 'https:' && url.protocol !== 'http:') throw refused(base, 'this is no address of HTTP')
  url.searchParams.set('search', name)
  url.searchParams.set('version', 'latest')
  url.searchParams.set('limit', String(PAGE))
  if (cursor !== undefined) url.searchParams.set('cursor', cursor)
  return url
}

async function fetched(url: URL, base: string): Promise<Record<string, unknown>> {
  let text: string
  try {
    const answer = await fetch(url, {
      headers: { accept: 'application/json' },
      redirect: 'error',
      signal: AbortSignal.timeout(TIMEOUT_MS),
    })
    if (answer.status !== 200) {
      await answer.body?.cancel()
      throw refused(base, `it answers with status ${answer.status}`)
    }
    text = await boundedText(answer, base)
  } catch (error) {
    if (error instanceof GatewayError) throw error
    const isLate = (error as Error).name === 'TimeoutError'
    throw refused(base, isLate ? `it does not answer within ${TIMEOUT_MS / 1000} s` : causeOf(error), error)
  }
  try {
    const value: unknown = JSON.parse(text)
    if (isJsonObject(value)) return value
  } catch {
    // Said below.
  }
  throw refused(base, 'its answer is no JSON object')
}

async function boundedText(answer: Response, base: string): Promise<string> {
  const chunks: Uint8Array[] = []
  let bytes = 0
  for await (const chunk of (answer.body ?? []) as AsyncIterable<Uint8Array>) {
    bytes += chunk.length
    // Leaving the loop ends the connection.
    if (bytes > MAX_BYTES) throw refused(base, `its answer has more than ${MAX_BYTES} bytes`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}

function causeOf(error: unknown): string {
  const { cause, message } = error as Error
  const { code, message: deeper } = (cause ?? {}) as { code?: string; message?: string }
  return code ?? deeper ?? message
}

function refused(base: string, why: string, cause?: unknown): GatewayError {
  return new GatewayError(
    'config',
    `The registry ${base} cannot be used: ${why}. Another one is named by --registry or MCP_MANIFOLD_REGISTRY; a server of which you know the command is added by: mcp-manifold add <name> -- <command>`,
    cause === undefined ? {} : { cause },
  )
}
