import { configFrom } from '../../src/config/load/load.ts'
import type { ServerConfig } from '../../src/config/types.ts'
import { UNHEARD } from '../../src/core/event-bus.ts'
import type { GatewayError } from '../../src/core/errors.ts'
import type { LogFields, Logger } from '../../src/core/logger.ts'
import type { UpstreamCredentials } from '../../src/core/upstream-credentials.ts'
import { Credentials } from '../../src/credentials/accounts/credentials.ts'
import type { TokenSet } from '../../src/credentials/oauth/token-set.ts'
import type { VaultRecord } from '../../src/vault/vault.ts'
import { MemoryVault } from './memory-vault.ts'
import { startOddServer, type OddServer, type Oddities } from './odd-authorization-server.ts'

export const REDIRECT = 'http://127.0.0.1:8976/callback'

/** A gateway that is not logged in at a server, and the authorization server. */
export interface LoginScene extends AsyncDisposable {
  readonly odd: OddServer
  readonly vault: MemoryVault
  readonly credentials: Credentials
  readonly account: UpstreamCredentials
  readonly server: ServerConfig
  readonly log: string[]
  login(redirect?: string): Promise<URL>
  headers(): Promise<readonly string[]>
  refused(header?: string, status?: number): Promise<true | GatewayError>
}

export async function serverOf(url: string, oauth: object | undefined): Promise<ServerConfig> {
  const { servers } = await configFrom({ mcpServers: { odd: { url, ...(oauth && { oauth }) } } }, { env: {} })
  const [server] = servers
  if (!server || server.problem !== undefined) throw new Error(server?.problem)
  return server
}

export async function loginScene(oddities: Oddities = {}, oauth?: object): Promise<LoginScene> {
  const odd = await startOddServer(oddities)
  const vault = new MemoryVault()
  const server = await serverOf(odd.url, oauth)
  const log: string[] = []
  const keep = (message: string, fields?: LogFields): void =>
    void log.push(`${message} ${JSON.stringify(fields)}`)
  const logger: Logger = { error: keep, warn: keep, info: keep, debug: keep, child: () => logger }
  const credentials = new Credentials({ servers: [server], vault, logger, events: UNHEARD })
  const account = credentials.for(server, undefined)
  if (!account) throw new Error('no account')
  const headers = async (): Promise<readonly string[]> =>
    await account.headers({ method: 'POST', url: odd.url })
  return {
    odd,
    vault,
    credentials,
    account,
    server,
    log,
    headers,
    login: async (redirect = REDIRECT) => {
      const { authorizer } = credentials
      const { url, pending } = await authorizer.begin(server, 'gateway', redirect)
      const stored = JSON.parse(JSON.stringify(pending)) as typeof pending
      await authorizer.finish(stored, odd.agree(url))
      return new URL(url)
    },
    refused: async (header, status = 401) => {
      const sent = await headers()
      return await account.refused({ status, wwwAuthenticate: header, sent })
    },
    [Symbol.asyncDispose]: async () => {
      credentials.close()
      await odd[Symbol.asyncDispose]()
    },
  }
}

export const tokensIn = (vault: MemoryVault): TokenSet | undefined =>
  (vault.records.get(JSON.stringify(['tokens', 'odd', 'gateway'])) as VaultRecord<TokenSet> | undefined)
    ?.value
export const bearerOf = (list: readonly string[]): string => list[1]?.replace('Bearer ', '') ?? ''
export const messageOf = async (attempt: Promise<unknown>): Promise<string> =>
  await attempt.then(
    () => 'no failure',
    (error: unknown) => (error as Error).message,
  )
