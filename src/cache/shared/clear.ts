import { setTimeout as sleep } from 'node:timers/promises'
import type { Logger } from '../../core/logger.ts'
import type { Store } from '../../state/store.ts'
import { SharedEpochs, POLL_MS } from './epochs.ts'
import { toolTag } from '../tags.ts'
import { describe, entryPrefixOf } from './codec.ts'

/** What to clear: everything of a server, or the results of one of its tools. */
export interface Cleared {
  readonly server: string
  /** The server's own name of it. */
  readonly tool: string | undefined
}

/** Number of values that are read at once. */
const BATCH = 64

/**
 * Clears results in the store and in every process that shares it. Resolves when each of these has had time to notice.
 * Returns the number of deleted entries of the store.
 * @throws Error when the store cannot be reached
 */
export async function clear(store: Store, what: readonly Cleared[], logger: Logger): Promise<number> {
  const servers = [...new Set(what.map(({ server }) => server))]
  const epochs = new SharedEpochs({
    store,
    servers,
    cached: () => servers,
    onForeignChange: () => undefined,
    logger,
  })
  for (const { server, tool } of what)
    epochs.changed(server, tool === undefined ? undefined : [toolTag(tool)])
  if (!(await epochs.flush())) throw new Error(`The state store ${store.name} cannot be reached.`)
  let deleted = await deleteStored(store, what)
  await sleep(POLL_MS + 200)
  // A gateway that wrote at the same moment may have overwritten the epoch, and one that had not noticed may have
  // stored more.
  await epochs.poll()
  await epochs.close()
  deleted += await deleteStored(store, what)
  return deleted
}

async function deleteStored(store: Store, what: readonly Cleared[]): Promise<number> {
  let deleted = 0
  for (const { server, tool } of what) {
    const names = await store.keys(entryPrefixOf(server))
    for (let at = 0; at < names.length; at += BATCH) {
      const batch = names.slice(at, at + BATCH)
      const matching = tool === undefined ? batch : await ofTool(store, batch, tool)
      await Promise.all(matching.map(name => store.delete(name)))
      deleted += matching.length
    }
  }
  return deleted
}

async function ofTool(store: Store, names: readonly string[], tool: string): Promise<string[]> {
  const values = await store.getMany(names)
  return names.filter((name, at) => {
    const value = values[at]
    return value !== undefined && (describe(name, value)?.tags.includes(toolTag(tool)) ?? false)
  })
}
