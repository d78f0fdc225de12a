import { hiddenBy } from '../catalog/hidden.ts'
import { StoredSnapshots } from '../catalog/stored-snapshots.ts'
import { SILENT } from '../core/logger.ts'
import { openStore } from '../state/open.ts'
import { openToRead } from '../state/open-to-read.ts'
import type { Entry } from '../catalog/snapshot.ts'
import type { Config } from '../config/types.ts'

/** One definition as it was last listed. */
export interface KeptItem {
  /** As the server has it. */
  readonly name: string
  /** Raw JSON of the definition. */
  readonly definition: string
}

/** What a server offered when it was last listed. */
export interface KeptLists {
  readonly transport: string
  /** Unix milliseconds. */
  readonly fetchedAt: number
  /** Without the hidden ones. */
  readonly tools: readonly KeptItem[]
  readonly prompts: readonly KeptItem[]
}

/**
 * The lists that earlier runs have left in the state, by server. Servers that were never listed are left out.
 * @param changesNothing whether only a folder that is there is read: a configuration of which nothing was asked for yet
 * leads nowhere
 */
export async function keptLists(
  { gateway, servers }: Config,
  changesNothing = false,
): Promise<ReadonlyMap<string, KeptLists>> {
  const store = await (changesNothing ? openToRead(gateway.state) : openStore(gateway.state, SILENT))
  if (!store) return new Map()
  try {
    const sound = servers.filter(({ problem }) => problem === undefined)
    const snapshots = await new StoredSnapshots(store).load(sound.map(server => ({ server, variant: '' })))
    return new Map(
      sound.flatMap((server, at) => {
        const snapshot = snapshots[at]
        if (!snapshot) return []
        const hidden = hiddenBy(server)
        const { transport, fetchedAt, lists } = snapshot
        const items = (list: readonly Entry[]): KeptItem[] =>
          list.map(({ key, text }) => ({ name: key, definition: text }))
        const tools = items(lists.tools).filter(({ name }) => !hidden(name))
        return [[server.name, { transport, fetchedAt, tools, prompts: items(lists.prompts) }]]
      }),
    )
  } catch {
    // A state that cannot be read is as if nothing was kept.
    return new Map()
  } finally {
    await store.close()
  }
}
