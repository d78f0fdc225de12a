/** Revisions of MCP and their differences. Source: specification 2026-07-28, basic/versioning. */

/** Newest revision with `initialize` and sessions. */
export const LATEST_LEGACY = '2025-11-25'
/** First revision of the stateless era. */
export const MODERN = '2026-07-28'

/** Revisions with `initialize`, newest first. */
export const LEGACY_VERSIONS: readonly string[] = [
  LATEST_LEGACY,
  '2025-06-18',
  '2025-03-26',
  '2024-11-05',
  '2024-10-07',
]
/** Stateless revisions, newest first. */
export const MODERN_VERSIONS: readonly string[] = [MODERN]

/** Assumed for an HTTP request of a session without `MCP-Protocol-Version` (2025-06-18, transports). */
export const DEFAULT_LEGACY = '2025-03-26'

export type Era = 'legacy' | 'modern'

/** Revisions are dates, so they compare as text. */
export function isModernVersion(version: string): boolean {
  return version >= MODERN
}

/** Keys of `_meta` that apply to one hop and are never relayed. */
export const META = {
  protocolVersion: 'io.modelcontextprotocol/protocolVersion',
  clientInfo: 'io.modelcontextprotocol/clientInfo',
  clientCapabilities: 'io.modelcontextprotocol/clientCapabilities',
  logLevel: 'io.modelcontextprotocol/logLevel',
  serverInfo: 'io.modelcontextprotocol/serverInfo',
  subscriptionId: 'io.modelcontextprotocol/subscriptionId',
} as const

/** Prefix of the gateway's own `_meta` keys. */
export const OWN_META_PREFIX = 'io.github.mcp-manifold/'

/** Methods of the modern era; any other method is unknown there, including `ping` and `logging/setLevel`. */
export const MODERN_METHODS: ReadonlySet<string> = new Set([
  'server/discover',
  'tools/list',
  'tools/call',
  'resources/list',
  'resources/templates/list',
  'resources/read',
  'prompts/list',
  'prompts/get',
  'completion/complete',
  'subscriptions/listen',
  'tasks/get',
  'tasks/update',
  'tasks/cancel',
])
