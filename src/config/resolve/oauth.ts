import { IDP, OAUTH, REDIRECT, type OAuthEntry } from '../options/oauth.ts'
import { resolveSection } from '../options/option.ts'
import type { ServerEntry } from '../options/file.ts'
import type { OAuthConfig } from '../types.ts'

/**
 * The login of a server. An entry without `oauth` has one as soon as its server asks for it, unless a header of its own
 * already authenticates it.
 */
export function resolveOAuth(entry: ServerEntry): OAuthConfig | false {
  if (entry.oauth === false || isProgram(entry)) return false
  if (entry.oauth === undefined && entry.auth === undefined && hasOwnAuthorization(entry)) return false
  const { oauth = {}, auth = {} } = entry
  const scopes = oauth.scopes ?? oauth.scope ?? auth.scopes
  return {
    ...resolveSection(OAUTH, oauth),
    clientId: oauth.clientId ?? oauth.client_id ?? auth.CLIENT_ID,
    clientSecret: oauth.clientSecret ?? auth.CLIENT_SECRET,
    privateKey: oauth.privateKey,
    scopes: typeof scopes === 'string' ? scopes.split(/\s+/).filter(scope => scope !== '') : scopes,
    redirect: resolveRedirect(oauth),
    extraParams: oauth.extraParams ?? {},
    idp: oauth.idp && resolveSection(IDP, oauth.idp),
  }
}

function resolveRedirect({ redirect, redirectUri, callbackPort }: OAuthEntry): OAuthConfig['redirect'] {
  const written = redirect ?? redirectUri ?? (callbackPort === undefined ? undefined : { port: callbackPort })
  return typeof written === 'object' ? resolveSection(REDIRECT, written) : written
}

/** Sentences about a login, or a helper for headers, that has no effect. */
export function oauthWarnings(name: string, entry: ServerEntry): string[] {
  if (!isProgram(entry)) return []
  return (['oauth', 'auth', 'headersHelper'] as const)
    .filter(key => entry[key] !== undefined && entry[key] !== false)
    .map(key => `The server "${name}" is a program: ${key} of it has no effect.`)
}

function isProgram({ command, replicas }: ServerEntry): boolean {
  return replicas ? replicas.every(replica => replica.command !== undefined) : command !== undefined
}

function hasOwnAuthorization({ headers = {}, headersHelper, replicas = [] }: ServerEntry): boolean {
  if (headersHelper !== undefined) return true
  return [headers, ...replicas.map(replica => replica.headers ?? {})].some(of =>
    Object.keys(of).some(header => header.toLowerCase() === 'authorization'),
  )
}
