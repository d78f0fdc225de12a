import { expect, test } from 'vitest'
import type { GuardedFetch } from '../../../../src/credentials/fetch/guarded-fetch.ts'
import { discover } from '../../../../src/credentials/oauth/discovery.ts'
import { deferred } from '../../../helpers/deferred.ts'

/** Where the gateway looks for the place of a login. */

const SERVER = 'https://server.example/mcp'
const ISSUER = 'https://login.example/tenant'
const METADATA = {
  issuer: ISSUER,
  token_endpoint: `${ISSUER}/token`,
  registration_endpoint: `${ISSUER}/register`,
}
const json = (value: object): Response => Response.json(value)
const request = (fetch: GuardedFetch): Parameters<typeof discover>[0] => ({
  server: 'files',
  serverUrl: SERVER,
  issuer: ISSUER,
  resourceMetadataUrl: undefined,
  fetch,
  signal: new AbortController().signal,
})

test('addresses that never answer are all asked at once', async () => {
  const asked: string[] = []
  const all = deferred()
  const found = await discover(
    request(async address => {
      const url = String(address)
      if (!url.startsWith('https://login.example')) return new Response('', { status: 404 })
      asked.push(url)
      if (asked.length === 4) all.resolve()
      // None answers before the last one is asked.
      await all.promise
      if (url === `${ISSUER}/.well-known/oauth-authorization-server`) return json(METADATA)
      throw new Error('login.example did not answer within 10 s.')
    }),
  )
  expect(found.metadata).toMatchObject(METADATA)
  expect(asked).toHaveLength(4)
})

test('the first document in their order counts, and the other requests are given up', async () => {
  const ends: AbortSignal[] = []
  const found = await discover(
    request(async (address, init) => {
      const url = String(address)
      if (url.startsWith(SERVER.slice(0, 22))) return new Response('', { status: 404 })
      if (url === 'https://login.example/.well-known/oauth-authorization-server/tenant') return json(METADATA)
      ends.push(init?.signal as AbortSignal)
      return await new Promise((_, reject) =>
        init?.signal?.addEventListener('abort', () => reject(new Error('given up'))),
      )
    }),
  )
  expect(found.metadata).toMatchObject(METADATA)
  expect(ends.map(({ aborted }) => aborted)).toEqual([true, true, true])
})
