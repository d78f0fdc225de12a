import type { ServerSnapshot } from '../../src/catalog/snapshot.ts'

/** What a legacy server on stdio without any lists has shown, with changes. */
export function snapshotOf(
  server: string,
  changes: Partial<Omit<ServerSnapshot, 'lists'>> & { lists?: Partial<ServerSnapshot['lists']> } = {},
): ServerSnapshot {
  const { lists, ...rest } = changes
  return {
    server,
    fetchedAt: 1,
    era: 'legacy',
    spoken: {},
    eraAt: 1,
    transport: 'stdio',
    protocolVersion: '2025-11-25',
    capabilities: { tools: {} },
    instructions: undefined,
    caching: {},
    ...rest,
    lists: { tools: [], resources: [], resourceTemplates: [], prompts: [], ...lists },
  }
}
