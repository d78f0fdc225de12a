import type { Config } from '../config/types.ts'
import { notThere } from './not-there.ts'

/** @throws GatewayError `config` for an unknown client name, suggesting the nearest one */
export function assertClient(name: string, { clients, file }: Pick<Config, 'clients' | 'file'>): void {
  const names = clients.map(client => client.name)
  if (names.includes(name)) return
  throw notThere(
    quoted => `There is no client ${quoted} in ${file ?? 'the configuration'}`,
    name,
    names,
    'There are none; add it to "clients" there, or name another file with --config.',
  )
}
