import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { entryNames, entryToEdit } from './entry-to-edit.ts'
import { bundleFolder } from './server-key.ts'
import { tell, type EditOptions } from './edited.ts'

/**
 * `remove`: takes a server out of the configuration file, with the files that `add` has unpacked for it.
 * @throws GatewayError `config` when it is not there, or the file cannot be changed
 */
export async function runRemove(server: string, options: EditOptions): Promise<void> {
  const { changeEntry } = await import('../config/edit/change-entry.ts')
  const { file, entry } = await entryToEdit(server, options)
  await changeEntry({ file, name: server, change: () => undefined })
  const names = (await entryNames(file)).length
  const left = names > 0 ? [] : ['It was the last server. Add another: mcp-manifold add <name> -- <command>']
  await tell(options, { file, server, changed: true, said: `Removed "${server}" from ${file}.`, left })
  // The running gateways have taken it over: nothing runs there any more.
  const folder = await bundleFolder(file, server)
  if (JSON.stringify(entry).includes(JSON.stringify(join(folder, '/')).slice(1, -1)))
    await rm(folder, { recursive: true, force: true })
}
