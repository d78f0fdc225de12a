import type { ServerConfig } from '../config/types.ts'

/** The address that a server is logged in to; `''` where it has none. */
export function serverUrlOf({ replicas }: Pick<ServerConfig, 'replicas'>): string {
  return replicas.find(({ endpoint }) => endpoint.url !== undefined)?.endpoint.url ?? ''
}

/** What a login depends on: one that began under other settings is over. `undefined`: the server has no login. */
export function loginSettingsOf(
  server: Pick<ServerConfig, 'oauth' | 'problem' | 'replicas'> | undefined,
): string | undefined {
  if (!server || server.problem !== undefined || server.oauth === false) return undefined
  const url = serverUrlOf(server)
  return url === '' ? undefined : JSON.stringify([url, server.oauth])
}
