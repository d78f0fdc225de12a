import { expect, test } from 'vitest'
import { FetchError } from '../../../../src/credentials/fetch/fetch-error.ts'
import type { GuardedFetch } from '../../../../src/credentials/fetch/guarded-fetch.ts'
import { discover } from '../../../../src/credentials/oauth/discovery.ts'
import { resourceMetadataIn, serverMetadataIn } from '../../../../src/credentials/oauth/documents.ts'
import { messageOf } from '../../../helpers/login-scene.ts'

/** Where a server is logged in to, as it says itself, and as nothing else may be said. */

const ISSUER = 'https://as.example'

test('an address that is written with line breaks, blanks or control characters is none', () => {
  for (const sign of ['\n', '\r', '\t', ' ', '\u001b[31m', '\u202e', '\u0000']) {
    const address = `${ISSUER}/a${sign}b`
    expect(resourceMetadataIn({ resource: address, authorization_servers: [address, ISSUER] })).toEqual({
      authorization_servers: [ISSUER],
    })
    expect(serverMetadataIn({ issuer: address })).toBeUndefined()
    expect(serverMetadataIn({ issuer: ISSUER, token_endpoint: `${sign}${ISSUER}/token` })).toEqual({
      issuer: ISSUER,
    })
  }
})

test('an authorization server that is too slow is asked once', async () => {
  const asked: string[] = []
  const fetch: GuardedFetch = url => {
    asked.push(String(url))
    if (String(url).startsWith(ISSUER))
      return Promise.reject(new FetchError('timeout', 'as.example', 'as.example did not answer.'))
    return Promise.resolve(Response.json({ authorization_servers: [ISSUER] }))
  }
  const message = await messageOf(
    discover({
      server: 'mail',
      serverUrl: 'https://mail.example/mcp',
      issuer: undefined,
      resourceMetadataUrl: undefined,
      fetch,
      signal: new AbortController().signal,
    }),
  )
  expect(message).toContain('as.example did not answer.')
  expect(asked).toEqual([
    'https://mail.example/.well-known/oauth-protected-resource/mcp',
    `${ISSUER}/.well-known/oauth-authorization-server`,
  ])
})
