import type { ServerConfig } from '../config/types.ts'
import { levelAfter } from '../core/already-said.ts'
import { describeError } from '../core/errors.ts'
import type { Logger } from '../core/logger.ts'
import type { FirstLists } from './first-lists.ts'
import type { KeptOf, StoredSnapshots } from './stored-snapshots.ts'
import type { ShownTo } from './list-server.ts'
import type { ServerSnapshot } from './snapshot.ts'
import type { Variants } from './variants.ts'

export interface RecallOptions {
  readonly kept: StoredSnapshots
  /** Variants of every server, by name. */
  readonly variants: ReadonlyMap<string, Variants>
  /** Whether the variants still belong to the server: during the loading, its name may become that of another one. */
  readonly concerns: (server: ServerConfig, variants: Variants) => boolean
  readonly firstLists: FirstLists
  readonly logger: Logger
}

/** Restores the lists that earlier runs have stored. */
export async function restoreLists(servers: readonly ServerConfig[], options: RecallOptions): Promise<void> {
  const bases = await load(
    servers.map(server => ({ server, variant: '' })),
    options,
  )
  await options.firstLists.restore(servers.filter((server, at) => !bases[at] && isCurrent(server, options)))
  const indexed = servers.flatMap((server, at) =>
    (bases[at]?.variants ?? []).map(entry => ({ ...entry, server, base: bases[at] })),
  )
  const own = indexed.filter(({ same }) => !same)
  const kept = await load(own, options)
  for (const entry of indexed) {
    const snapshot = entry.same ? entry.base : kept[own.indexOf(entry)]
    if (snapshot) restore({ ...entry, snapshot }, options)
  }
}

/** Loads the stored lists. An unreachable store does not prevent the start: everything is then listed again. */
async function load(
  of: readonly KeptOf[],
  { kept, logger }: RecallOptions,
): Promise<readonly (ServerSnapshot | undefined)[]> {
  try {
    return await kept.load(of)
  } catch (error) {
    logger[levelAfter(error)]('The lists of earlier runs could not be read; every server is listed anew.', {
      cause: describeError(error),
    })
    return []
  }
}

function isCurrent(server: ServerConfig, { variants, concerns }: RecallOptions): boolean {
  const own = variants.get(server.name)
  return own !== undefined && concerns(server, own)
}

/** Restores the lists of a server. What has been listed meanwhile is newer and stays. Lists that exceed the budget are left out, and the server is listed again. */
function restore(
  { server, variant, told, snapshot }: ShownTo & { readonly server: ServerConfig },
  options: RecallOptions,
): void {
  const { variants, logger } = options
  if (!isCurrent(server, options) || variants.get(server.name)?.listed(variant)) return
  try {
    variants.get(server.name)?.restore(variant, told, snapshot)
  } catch (error) {
    logger.warn('The stored lists of an earlier run are not used.', {
      server: server.name,
      cause: describeError(error),
    })
  }
}
