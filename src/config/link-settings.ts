import type { ServerConfig } from './types.ts'

/**
 * Settings of a server that a link keeps from its start to its end, besides its endpoint. A change of one replaces the
 * links.
 */
export const LINK_SETTINGS = [
  'maxMessageBytes',
  'roots',
  'perClient',
] as const satisfies readonly (keyof ServerConfig)[]

/** Whether the links of a server present a login. They are replaced when that changes. */
export function presentsLogin({ oauth }: Pick<ServerConfig, 'oauth'>): boolean {
  return oauth !== false
}
