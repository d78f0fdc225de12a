import { resolveOAuth } from '../../src/config/resolve/oauth.ts'
import type { ServerEntry } from '../../src/config/options/file.ts'
import type { GrantContext } from '../../src/credentials/oauth/grant.ts'
import type { AuthorizationServerMetadata } from '../../src/credentials/oauth/metadata.ts'
import type { AuthorizationServer } from './authorization-server.ts'
import { replicaConfig, serverConfig } from './fake-transport.ts'

/** What a grant gets for a server with this `oauth` in its entry, whose metadata are found at `server`. */
export async function grantContext(
  server: Pick<AuthorizationServer, 'metadataUrl'>,
  url: string,
  oauth: NonNullable<Exclude<ServerEntry['oauth'], false>>,
  changes: Partial<GrantContext> = {},
): Promise<GrantContext> {
  const config = resolveOAuth({ url, oauth })
  if (config === false) throw new Error('no login')
  const { clientId = '', clientSecret } = config
  return {
    server: serverConfig({
      name: 'files',
      oauth: config,
      replicas: [replicaConfig({ endpoint: { kind: 'http', url, headers: {}, sseFallback: false } })],
    }),
    oauth: config,
    principal: undefined,
    metadata: (await (await fetch(server.metadataUrl)).json()) as AuthorizationServerMetadata,
    registration: { kind: 'configured', clientId, ...(clientSecret !== undefined && { clientSecret }) },
    resource: url,
    scopes: config.scopes,
    fetch,
    signal: new AbortController().signal,
    ...changes,
  }
}
