import { loadConfigFile } from '../config/load/load.ts'
import { CLOCK } from '../core/clock.ts'
import { GatewayError } from '../core/errors.ts'
import type { JsonOptions } from './common-options.ts'
import { keptLogins } from '../credentials/login/kept-logins.ts'
import { logOut } from '../credentials/login/logout.ts'
import { alignColumns } from './table.ts'
import { NOTICED, revokedLine } from './logout.ts'
import { printJson, say } from './say.ts'
import { typed } from './this-program.ts'
import { withVault } from './with-vault.ts'

interface ListOptions extends JsonOptions {
  /** Only the logins at this server. */
  readonly server?: string
}

/** `credentials list`: shows each login without its tokens. */
export async function listCredentials({ config: file, log, json, server }: ListOptions): Promise<void> {
  const config = await loadConfigFile({ file })
  const { logins, left } = await withVault(config, ({ vault }) => keptLogins(vault, { server }), log)
  if (left > 0)
    say(
      `Only the first ${logins.length} of ${logins.length + left} logins are listed. Those at one server: ${typed('credentials list --server <server>', config.file)}`,
    )
  if (json) return printJson(logins)
  if (logins.length === 0)
    return say(
      `There are no logins${server === undefined ? '' : ` to server ${JSON.stringify(server.slice(0, 100))}`}. Log in: ${typed('login <server>', config.file)}`,
    )
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
  { config: file, log, json }: JsonOptions,
): Promise<void> {
  const config = await loadConfigFile({ file })
  const known = config.servers.find(({ name }) => name === server) ?? {
    name: server,
    oauth: false as const,
    replicas: [],
  }
  await withVault(
    config,
    async ({ vault, logger }) => {
      const { found, revoked } = await logOut(vault, known, owner, { logger, dns: () => config.gateway.dns })
      if (!found)
        throw new GatewayError(
          'config',
          `There is no login to server ${JSON.stringify(server.slice(0, 100))} of owner ${JSON.stringify(owner.slice(0, 200))}. See: ${typed('credentials list', config.file)}`,
        )
      if (json) return printJson({ server, owner, revoked })
      say(`The login is forgotten. ${NOTICED}`, revokedLine(revoked))
    },
    log,
  )
}

function timeOf(ms: number): string {
  return new Date(ms).toISOString().slice(0, 16).replace('T', ' ')
}
