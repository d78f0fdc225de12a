import type { ServerConfig } from '../config/types.ts'
import type { Principal } from '../core/principal.ts'

/** Owner of the credentials that all clients of a gateway share. */
export const GATEWAY_OWNER = 'gateway'

/** Whose credentials the calls of a principal use at a server. */
export function ownerOf({ oauth }: Pick<ServerConfig, 'oauth'>, { id }: Pick<Principal, 'id'>): string {
  return oauth !== false && oauth.per === 'client' ? id : GATEWAY_OWNER
}
