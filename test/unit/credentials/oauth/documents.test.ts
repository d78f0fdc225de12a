import { expect, test } from 'vitest'
import { resourceMetadataIn, serverMetadataIn } from '../../../../src/credentials/oauth/documents.ts'

/** What is read of the documents in which servers and authorization servers describe themselves. */

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
