import type { Config } from '../../src/config/types.ts'
import { Catalog } from '../../src/catalog/catalog.ts'
import { ServerLists, type ServerListsOptions } from '../../src/catalog/server-lists.ts'
import { SILENT } from '../../src/core/logger.ts'
import type { Policies } from '../../src/policy/policies.ts'
import { createMemoryStore } from '../../src/state/memory.ts'

/** The lists of the servers of a configuration, and the catalogue over them. */
export function catalogOf(
  config: Config,
  policies: Policies,
  link: ServerListsOptions['link'],
): { catalog: Catalog; lists: ServerLists; close: () => Promise<void> } {
  const lists = new ServerLists({
    servers: config.servers,
    firstListTimeoutMs: config.gateway.catalog.firstListTimeoutMs,
    store: createMemoryStore(),
    logger: SILENT,
    views: () => catalog.views,
    link,
  })
  const catalog: Catalog = new Catalog({
    config,
    lists,
    logger: SILENT,
    serverInfo: '{}',
    policy: key => policies.byKey(key),
    watched: () => [],
    onChange: () => {},
  })
  const close = async (): Promise<void> => {
    catalog.close()
    await lists.close()
  }
  return { catalog, lists, close }
}
