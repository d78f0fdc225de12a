import { hiddenBy } from '../catalog/hidden.ts'
import { StoredSnapshots } from '../catalog/stored-snapshots.ts'
import { SILENT } from '../core/logger.ts'
import { openStore } from '../state/open.ts'
import type { Config } from '../config/types.ts'

/** What a server offered when it was last listed. */
export interface KeptLists {
  readonly transport: string
  /** Unix milliseconds. */
  readonly fetchedAt: number
  /** Names of its tools as the server has them, without the hidden ones. */
  readonly tools: readonly string[]
  readonly resources: number
  readonly prompts: number
}

/** The lists that earlier runs have left in the state, by server. Servers that were never listed are left out. */
export async function keptLists({ gateway, servers }: Config): Promise<ReadonlyMap<string, KeptLists>> {
  const store = await openStore(gateway.state, SILENT)
  try {
    const sound = servers.filter(({ problem }) => problem === undefined)
    const snapshots = await new StoredSnapshots(store).load(sound.map(server => ({ server, variant: '' })))
    return new Map(
      sound.flatMap((server, at) => {
        const snapshot = snapshots[at]
        if (!snapshot) return []
        const hidden = hiddenBy(server)
        const tools = snapshot.lists.tools.map(({ key }) => key).filter(key => !hidden(key))
        const { transport, fetchedAt, lists } = snapshot
        const { length: resources } = lists.resources
        return [[server.name, { transport, fetchedAt, tools, resources, prompts: lists.prompts.length }]]
      }),
    )
  } catch {
    // A state that cannot be read is as if nothing was kept.
    return new Map()
  } finally {
    await store.close()
  }
}
