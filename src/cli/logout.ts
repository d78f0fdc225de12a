import { loadConfigFile } from '../config/load/load.ts'
import type { JsonOptions } from './common-options.ts'
import { usedBy } from '../credentials/login/login-about.ts'
import { logOut } from '../credentials/login/logout.ts'
import { ownerGiven, serverWithLogin } from './login-owner.ts'
import { printJson, say } from './say.ts'
import { withVault } from './with-vault.ts'

export interface LogoutOptions extends JsonOptions {
  readonly client?: string
}

export const NOTICED = 'Running gateways that share the state stop using it within seconds.'

/** `logout`: forgets the login of a server, and revokes it at the authorization server where that can be done. */
export async function runLogout(
  name: string,
  { config: file, log, client, json }: LogoutOptions,
): Promise<void> {
  const config = await loadConfigFile({ file })
  const server = serverWithLogin(config, name)
  const owner = ownerGiven(config, server, client)
  await withVault(
    config,
    async ({ vault, logger }) => {
      const { found, revoked } = await logOut(vault, server, owner, { logger, dns: () => config.gateway.dns })
      if (json) return printJson({ server: name, owner, found, revoked })
      if (!found) return say(`There is no login to server "${name}" that is used by ${usedBy(owner)}.`)
      say(`The login to server "${name}" is forgotten. ${NOTICED}`, revokedLine(revoked))
    },
    log,
  )
}

export function revokedLine(revoked: boolean): string {
  return revoked
    ? 'The authorization server has revoked it.'
    : 'The authorization server has not revoked it: it does not say how, or did not answer. Revoke it in your account there.'
}
