import type { JsonObject } from '../core/exchange.ts'
import type { ItemKind } from '../core/route.ts'
import { allowedExtensions, runsTasks } from '../protocol/capabilities.ts'
import { isModernVersion, LATEST_LEGACY, type Era } from '../protocol/revisions.ts'
import type { EndpointMember } from './endpoint-catalog.ts'

/** Servers of which a client may see something. */
export interface VisibleServers {
  readonly members: readonly EndpointMember[]
  /** Servers that have never been listed. */
  readonly missing: readonly string[]
  /** Whether a client may see an item of that kind from a server. */
  readonly maySee: (server: string, kind: ItemKind) => boolean
}

/**
 * Union of the capabilities of the servers, for a client of this revision. All capabilities while any server has never
 * been listed.
 */
export function mergedCapabilities(
  { members, missing, maySee }: VisibleServers,
  protocolVersion: string,
): JsonObject {
  const era: Era = isModernVersion(protocolVersion) ? 'modern' : 'legacy'
  const unknown = (kind?: ItemKind): boolean =>
    missing.some(server => kind === undefined || maySee(server, kind))
  const has = (name: string, kind?: ItemKind): boolean =>
    unknown(kind) ||
    members.some(
      ({ server, snapshot }) =>
        snapshot && name in snapshot.capabilities && (kind === undefined || maySee(server.name, kind)),
    )
  const subscribable =
    unknown('resource') ||
    members.some(
      ({ server, snapshot }) =>
        (snapshot?.capabilities.resources as JsonObject | undefined)?.subscribe === true &&
        maySee(server.name, 'resource'),
    )
  const capabilities: JsonObject = { tools: { listChanged: true } }
  if (has('resources', 'resource'))
    capabilities.resources = subscribable ? { subscribe: true, listChanged: true } : { listChanged: true }
  if (has('prompts', 'prompt')) capabilities.prompts = { listChanged: true }
  if (has('completions')) capabilities.completions = {}
  if (has('logging')) capabilities.logging = {}
  const extensions = Object.assign(
    {},
    ...members.map(member => allowedExtensions(member.snapshot?.capabilities.extensions, era)),
  ) as JsonObject
  if (Object.keys(extensions).length > 0) capabilities.extensions = extensions
  // Only revision 2025-11-25 has tasks in its core. The gateway itself answers `tasks/list`.
  if (protocolVersion === LATEST_LEGACY && (unknown() || members.some(runsLegacyTasks)))
    capabilities.tasks = { list: {}, cancel: {}, requests: { tools: { call: {} } } }
  return capabilities
}

function runsLegacyTasks({ snapshot }: EndpointMember): boolean {
  return snapshot?.era === 'legacy' && runsTasks(snapshot.capabilities)
}
