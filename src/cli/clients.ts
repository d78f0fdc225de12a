import { nearest } from '../config/nearest.ts'
import type { Config } from '../config/types.ts'
import { GatewayError } from '../core/errors.ts'

/** @throws GatewayError `config` for a name that no client has, with the nearest that one has */
export function assertClient(name: string, { clients, file }: Pick<Config, 'clients' | 'file'>): void {
  const names = clients.map(client => client.name)
  if (names.includes(name)) return
  const near = nearest(name, names)
  const fix =
    near !== undefined
      ? `Did you mean "${near}"?`
      : names.length > 0
        ? `There are: ${names.join(', ')}.`
        : 'There are none; add it to "clients" there, or name another file with --config.'
  throw new GatewayError('config', `There is no client "${name}" in ${file ?? 'the configuration'}. ${fix}`)
}
