import { exportJWK, generateKeyPair } from 'jose'
import type { FlattenedJWSInput, JWK } from 'jose'
import { describe, expect, test } from 'vitest'
import { IssuerKeys } from '../../../src/auth/issuer-keys.ts'
import { SILENT } from '../../../src/core/logger.ts'

/** When the keys of an issuer are fetched, by a clock of the test. */

const ISSUER = 'https://login.example/tenant'
const TOKEN = {} as FlattenedJWSInput
const MINUTE = 60_000
const HOUR = 60 * MINUTE

async function jwk(kid: string): Promise<JWK> {
  const { publicKey } = await generateKeyPair('ES256', { extractable: true })
  return { ...(await exportJWK(publicKey)), kid, alg: 'ES256' }
}

async function setUp(documents: Record<string, unknown> = {}, named = 'https://login.example/keys') {
  const world = {
    now: 1_000_000,
    up: true,
    asked: [] as string[],
    documents: { 'https://login.example/keys': { keys: [await jwk('one')] }, ...documents } as Record<
      string,
      unknown
    >,
    find: async (kid: string): Promise<string> => {
      try {
        await keys.key({ alg: 'ES256', kid }, TOKEN)
        return 'found'
      } catch (error) {
        return (error as Error).message
      }
    },
  }
  const keys = new IssuerKeys({
    issuer: ISSUER,
    jwks: named === '' ? undefined : named,
    logger: SILENT,
    now: () => world.now,
    fetch: async address => {
      world.asked.push(address)
      const document = world.documents[address]
      if (!world.up || document === undefined) throw new Error(`${address} cannot be reached`)
      return document
    },
  })
  return world
}

test('they are fetched once, for all that ask meanwhile', async () => {
  const world = await setUp()
  expect(await Promise.all([world.find('one'), world.find('one'), world.find('one')])).toEqual(
    Array(3).fill('found'),
  )
  expect(await world.find('one')).toBe('found')
  expect(world.asked).toHaveLength(1)
})

test('a key that is not known leads to a new fetch, but not again at once', async () => {
  const world = await setUp()
  expect(await world.find('one')).toBe('found')
  world.documents['https://login.example/keys'] = { keys: [await jwk('two')] }
  // Right after the first fetch.
  expect(await world.find('two')).toMatch(/no applicable key/)
  world.now += 10_000
  expect(await world.find('two')).toBe('found')
  expect(await world.find('one')).toMatch(/no applicable key/)
  for (let at = 0; at < 100; at++) await world.find(`guess-${at}`)
  expect(world.asked).toHaveLength(2)
})

test('old keys go on while new ones cannot be fetched, for a day', async () => {
  const world = await setUp()
  expect(await world.find('one')).toBe('found')
  world.up = false
  world.now += 23 * HOUR
  expect(await world.find('one')).toBe('found')
  world.now += 2 * HOUR
  expect(await world.find('one')).toMatch(/cannot be fetched at the moment/)
  world.now += MINUTE
  world.up = true
  expect(await world.find('one')).toBe('found')
})

test('keys are fetched anew periodically, in the background of requests', async () => {
  const world = await setUp()
  expect(await world.find('one')).toBe('found')
  world.documents['https://login.example/keys'] = { keys: [] }
  world.now += 11 * MINUTE
  expect(await world.find('one')).toBe('found')
  await new Promise(resolve => setImmediate(resolve))
  expect(world.asked).toHaveLength(2)
  expect(await world.find('one')).toMatch(/no applicable key/)
})

test('without any keys, an issuer that is down is not asked again at once', async () => {
  const world = await setUp()
  world.up = false
  for (let at = 0; at < 10; at++) expect(await world.find('one')).toMatch(/cannot be fetched at the moment/)
  expect(world.asked).toHaveLength(1)
})

describe('the metadata of the issuer', () => {
  const metadata = { issuer: ISSUER, jwks_uri: 'https://login.example/keys' }
  const places = [
    'https://login.example/.well-known/oauth-authorization-server/tenant',
    'https://login.example/tenant/.well-known/openid-configuration',
    'https://login.example/.well-known/openid-configuration/tenant',
  ]

  test.each(places)('is found at %s', async place => {
    const world = await setUp({ [place]: metadata }, '')
    expect(await world.find('one')).toBe('found')
    expect(world.asked).toEqual([...places.slice(0, places.indexOf(place) + 1), metadata.jwks_uri])
  })

  test.each([
    ['another issuer', { ...metadata, issuer: `${ISSUER}/` }],
    ['no keys', { issuer: ISSUER }],
    ['keys over a connection without TLS', { ...metadata, jwks_uri: 'http://login.example/keys' }],
    ['keys in a file', { ...metadata, jwks_uri: 'file:///etc/keys' }],
    ['nothing', null],
  ])('that names %s is not believed', async (_, document) => {
    const world = await setUp({ [places[0] as string]: document }, '')
    expect(await world.find('one')).toMatch(/cannot be fetched at the moment/)
    expect(world.asked.filter(address => !places.includes(address))).toEqual([])
  })
})
