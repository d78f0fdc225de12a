import { isAbsolute } from 'node:path'
import { readRegularFile, whyUnreadable } from '../../../regular-file.ts'
import { OAuthFailure } from '../failure.ts'
import type { GrantContext } from '../grant.ts'
import { aboutGrant } from './granted.ts'

/** A token of the subject that tokens are asked for. */
export interface SubjectToken {
  readonly token: string
  readonly isJwt: boolean
  /** Whether it is an access token by its own words (RFC 9068), or not readable here. */
  readonly isAccessToken: boolean
}

const MAX_CHARS = 16_384
const CALLER = 'caller'
const FILE = 'file:'

/** Whether the subject is the caller, by the token of its login at the gateway. */
export function isOfCaller({ oauth }: Pick<GrantContext, 'oauth'>): boolean {
  return oauth.idp?.subjectToken === CALLER
}

/**
 * The token of `oauth.idp.subjectToken`. A file is read each time: platforms renew the tokens of workloads in place.
 * @throws OAuthFailure
 */
export async function subjectToken(context: GrantContext): Promise<SubjectToken> {
  const written = context.oauth.idp?.subjectToken ?? ''
  const refuse = (cause: string, fix: string): never => {
    throw new OAuthFailure(`${aboutGrant(context)} ${cause}. Fix: ${fix}.`)
  }
  let token: string
  if (written === CALLER) {
    const fix = 'log in at the gateway with a token of the identity provider (gateway.auth.jwt)'
    token =
      context.callerToken ??
      refuse('needs the token with which the caller has logged in, and there is none', fix)
  } else if (written.startsWith(FILE)) {
    token = await fileContent(written.slice(FILE.length), refuse)
  } else token = written
  token = token.trim()
  if (token === '' || token.length > MAX_CHARS || !/^[\x21-\x7e]+$/.test(token))
    refuse('has a subject token that is empty, too long or no token', 'check oauth.idp.subjectToken')
  const type = jwtType(token)
  return { token, isJwt: type !== undefined, isAccessToken: type === undefined || type === 'at+jwt' }
}

async function fileContent(path: string, refuse: (cause: string, fix: string) => never): Promise<string> {
  if (!isAbsolute(path))
    return refuse('reads its subject token from a relative path', 'write "file:" and the whole path')
  try {
    return (await readRegularFile(path)).toString('utf8')
  } catch (error) {
    return refuse(
      `cannot read its subject token from ${path}: ${whyUnreadable(error)}`,
      'check oauth.idp.subjectToken',
    )
  }
}

/** `typ` of a JWT, in lower case and without `application/`; empty where it has none. `undefined`: no JWT. */
function jwtType(token: string): string | undefined {
  const [header, ...rest] = token.split('.')
  if (rest.length !== 2 || header === undefined) return undefined
  try {
    const { alg, typ } = JSON.parse(Buffer.from(header, 'base64url').toString()) as {
      alg?: unknown
      typ?: unknown
    }
    if (typeof alg !== 'string') return undefined
    return typeof typ === 'string' ? typ.toLowerCase().replace(/^application\//, '') : ''
  } catch {
    return undefined
  }
}
