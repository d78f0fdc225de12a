import type { ServerConfig } from '../config/types.ts'
import { GatewayError } from '../core/errors.ts'
import type { TokenSet } from '../credentials/oauth/token-set.ts'

const MAX_TOKEN_BYTES = 32 * 1024
/** Characters that a header may carry. */
const TOKEN = /^[\x21-\x7e]+$/

/**
 * Reads an access token from stdin, so that it is in no list of processes and no history.
 * @throws GatewayError `config` for a text that is no token
 */
export async function readToken({
  name,
  replicas,
}: ServerConfig): Promise<{ issuer: string; tokens: TokenSet }> {
  const parts: Buffer[] = []
  let bytes = 0
  for await (const part of process.stdin as AsyncIterable<Buffer>) {
    bytes += part.length
    if (bytes > MAX_TOKEN_BYTES)
      throw new GatewayError(
        'config',
        `More than ${MAX_TOKEN_BYTES} bytes came on stdin; a token is shorter.`,
      )
    parts.push(part)
  }
  const accessToken = Buffer.concat(parts).toString('utf8').trim()
  if (!TOKEN.test(accessToken))
    throw new GatewayError('config', 'Write one access token to stdin, without "Bearer " in front of it.')
  const serverUrl = replicas[0]?.endpoint.url ?? ''
  if (serverUrl === '') throw new GatewayError('config', `Server "${name}" has no address.`)
  return {
    issuer: '',
    tokens: {
      accessToken,
      tokenType: 'Bearer',
      expiresAt: undefined,
      clientId: '',
      obtainedAt: Date.now(),
      resource: undefined,
      serverUrl,
    },
  }
}
