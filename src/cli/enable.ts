import { entryToEdit } from './entry-to-edit.ts'
import { tell, type EditOptions } from './edited.ts'

/**
 * `enable`, `disable`: switches a server of the configuration file on or off.
 * @throws GatewayError `config` when it is not there, or the file cannot be changed
 */
export async function runEnable(server: string, enabled: boolean, options: EditOptions): Promise<void> {
  const { changeEntry } = await import('../config/edit/change-entry.ts')
  const { file } = await entryToEdit(server, options)
  const changed = await changeEntry({
    file,
    name: server,
    change: (entry = {}) => {
      const { disabled: _disabled, ...others } = entry
      if (enabled) return others
      return entry['disabled'] === true ? entry : { ...entry, disabled: true }
    },
  })
  const state = enabled ? 'enabled' : 'disabled'
  const said = changed
    ? `"${server}" is ${state} in ${file}.`
    : `"${server}" was ${state} in ${file} already.`
  await tell(options, { file, server, changed, said })
}
