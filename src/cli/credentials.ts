import { loadConfigFile } from '../config/load/load.ts'
import { CLOCK } from '../core/clock.ts'
import { GatewayError } from '../core/errors.ts'
import { keptLogins } from '../credentials/login/kept-logins.ts'
import { usedBy } from '../credentials/login/login-about.ts'
import { logOut } from '../credentials/login/logout.ts'
import { alignColumns } from './columns.ts'
import { ownerGiven, serverWithLogin } from './login-owner.ts'
import { say } from './say.ts'
import { typed } from './this-program.ts'
import { withVault } from './with-vault.ts'

interface CommonOptions {
  readonly config?: string
}

export interface LogoutOptions extends CommonOptions {
  readonly client?: string
}

const NOTICED = 'Running gateways that share the state stop using it within seconds.'

/** `logout`: forgets the login of a server, and revokes it at the authorization server where that can be done. */
export async function runLogout(name: string, { config: file, client }: LogoutOptions): Promise<void> {
  const config = await loadConfigFile({ file })
  const server = serverWithLogin(config, name)
  const owner = ownerGiven(config, server, client)
  await withVault(config, async ({ vault, logger }) => {
    const { found, revoked } = await logOut(vault, server, owner, logger)
    if (!found) return say(`There is no login to server "${name}" that is used by ${usedBy(owner)}.`)
    say(`The login to server "${name}" is forgotten. ${NOTICED}`, revokedLine(revoked))
  })
}

/** `credentials list`: shows each login without its tokens. */
export async function listCredentials({
  config: file,
  json,
}: CommonOptions & { readonly json?: boolean }): Promise<void> {
  const config = await loadConfigFile({ file })
  const logins = await withVault(config, ({ vault }) => keptLogins(vault))
  if (json === true) return void process.stdout.write(`${JSON.stringify(logins, null, 2)}\n`)
  if (logins.length === 0) return say(`There are no logins. Log in: ${typed('login <server>', config.file)}`)
  const now = CLOCK.wall()
  const rows = logins.map(({ server, owner, issuer, obtainedAt, expiresAt, renewable, usable }) => [
    server,
    owner,
    issuer === '' ? '-' : issuer,
    obtainedAt === undefined ? '-' : timeOf(obtainedAt),
    !usable
      ? 'cannot be opened: its key is not here'
      : renewable
        ? 'is renewed'
        : expiresAt === undefined
          ? 'unknown'
          : `${timeOf(expiresAt)}${expiresAt <= now ? ' (over)' : ''}`,
  ])
  const lines = alignColumns([['server', 'owner', 'authorization server', 'since', 'ends'], ...rows])
  process.stdout.write(`${lines.join('\n')}\n`)
}

/** `credentials revoke`: as `logout`, also for a server that is not in the configuration any more. */
export async function revokeCredential(
  server: string,
  owner: string,
  { config: file }: CommonOptions,
): Promise<void> {
  const config = await loadConfigFile({ file })
  const known = config.servers.find(({ name }) => name === server) ?? { name: server, oauth: false as const }
  await withVault(config, async ({ vault, logger }) => {
    const { found, revoked } = await logOut(vault, known, owner, logger)
    if (!found)
      throw new GatewayError(
        'config',
        `There is no login to server ${JSON.stringify(server.slice(0, 100))} of owner ${JSON.stringify(owner.slice(0, 200))}. See: mcp-manifold credentials list`,
      )
    say(`The login is forgotten. ${NOTICED}`, revokedLine(revoked))
  })
}

function revokedLine(revoked: boolean): string {
  return revoked
    ? 'The authorization server has revoked it.'
    : 'The authorization server has not revoked it: it does not say how, or did not answer. Revoke it in your account there.'
}

function timeOf(ms: number): string {
  return new Date(ms).toISOString().slice(0, 16).replace('T', ' ')
}
