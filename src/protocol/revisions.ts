/** Revisions of MCP and what tells them apart. Source: specification 2026-07-28, basic/versioning. */

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

/** Assumed when an HTTP request of a session has no `MCP-Protocol-Version` (2025-06-18, transports). */
export const DEFAULT_LEGACY = '2025-03-26'

export type Era = 'legacy' | 'modern'

/** Revisions are dates, so their order is that of their text. */
export function isModernVersion(version: string): boolean {
  return version >= MODERN
}

/** Keys of `_meta` that belong to one hop and are never passed on. */
export const META = {
  protocolVersion: 'io.modelcontextprotocol/protocolVersion',
  clientInfo: 'io.modelcontextprotocol/clientInfo',
  clientCapabilities: 'io.modelcontextprotocol/clientCapabilities',
  logLevel: 'io.modelcontextprotocol/logLevel',
  serverInfo: 'io.modelcontextprotocol/serverInfo',
  subscriptionId: 'io.modelcontextprotocol/subscriptionId',
} as const

/** Own `_meta` keys of the gateway start with this. */
export const OWN_META_PREFIX = 'io.github.mcp-manifold/'

/** Methods that exist in the modern era; anything else is unknown there, `ping` and `logging/setLevel` included. */
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
