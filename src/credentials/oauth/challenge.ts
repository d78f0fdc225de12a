import { isWebUrl } from './documents.ts'

/** What a server asks for when it refuses a request (`WWW-Authenticate`, RFC 6750 and 9728). */
export interface ServerChallenge {
  readonly resourceMetadata: string | undefined
  /** With spaces between scopes. */
  readonly scope: string | undefined
  readonly error: string | undefined
  /** Whether it takes tokens with proofs (DPoP, RFC 9449); `undefined`: it names no scheme. */
  readonly takesProof: boolean | undefined
}

const MAX_HEADER = 8192
const MAX_SCOPE = 4096
const PARAMETERS = /([A-Za-z_]{1,40})=(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))/g

/** The parameters of the challenges in a header; of two with one name, the first counts. */
export function challengeIn(header: string | undefined): ServerChallenge {
  const text = (header ?? '').slice(0, MAX_HEADER)
  const found = new Map<string, string>()
  for (const [, name = '', quoted, plain] of text.matchAll(PARAMETERS)) {
    const key = name.toLowerCase()
    if (!found.has(key)) found.set(key, quoted === undefined ? (plain ?? '') : quoted.replace(/\\(.)/g, '$1'))
  }
  const resourceMetadata = found.get('resource_metadata')
  const scope = found.get('scope')
  return {
    resourceMetadata: isWebUrl(resourceMetadata) ? resourceMetadata : undefined,
    scope: scope !== undefined && scope.length <= MAX_SCOPE ? scope : undefined,
    error: found.get('error'),
    takesProof:
      text.trim() === '' ? undefined : /(?:^|[\s,])DPoP(?=[\s,]|$)/i.test(text.replace(PARAMETERS, ',')),
  }
}
