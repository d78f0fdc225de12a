import { createHash } from 'node:crypto'
import type { JsonWebKey } from 'node:crypto'
import { calculateJwkThumbprint, EmbeddedJWK, jwtVerify } from 'jose'
import type { JWTPayload } from 'jose'
import { expect, test } from 'vitest'
import { asksForNonce, DpopKey } from '../../../../src/credentials/oauth/dpop-key.ts'

const URL_OF_SERVER = 'https://files.example/mcp'

const verified = async (proof: string): Promise<JWTPayload & { jwk: object }> => {
  const { payload, protectedHeader } = await jwtVerify(proof, EmbeddedJWK, {
    typ: 'dpop+jwt',
    algorithms: ['ES256'],
  })
  return { ...payload, jwk: protectedHeader.jwk as object }
}

test('a proof says method, address without query, token and time, and is signed by the key in it', async () => {
  const key = DpopKey.generate()
  const payload = await verified(key.proof('POST', `${URL_OF_SERVER}?a=1#b`, 'the-token'))
  expect(payload).toMatchObject({
    htm: 'POST',
    htu: URL_OF_SERVER,
    ath: createHash('sha256').update('the-token').digest('base64url'),
  })
  expect(Math.abs((payload.iat ?? 0) - Date.now() / 1000)).toBeLessThan(60)
  expect(Object.keys(payload.jwk).sort()).toEqual(['crv', 'kty', 'x', 'y'])
})

test('no two proofs are the same, and one for a token endpoint names no token', async () => {
  const key = DpopKey.generate()
  const proofs = await Promise.all([1, 2].map(() => verified(key.proof('POST', URL_OF_SERVER))))
  expect(proofs[0]?.jti).not.toBe(proofs[1]?.jti)
  expect(proofs[0]).not.toHaveProperty('ath')
})

test('a key that was kept is the same key', async () => {
  const key = DpopKey.generate()
  const kept = DpopKey.from(JSON.parse(JSON.stringify(key.jwk)) as JsonWebKey)
  const thumbprints = await Promise.all(
    [key, kept].map(
      async of =>
        await calculateJwkThumbprint((await verified(of?.proof('GET', URL_OF_SERVER) ?? '')).jwk as never),
    ),
  )
  expect(thumbprints[0]).toBe(thumbprints[1])
})

test.each([{}, { kty: 'RSA', n: 'AQAB', e: 'AQAB' }, { kty: 'EC', crv: 'P-256', x: 'AA', y: 'AA', d: 'AA' }])(
  'what was kept and is no key is none: %o',
  jwk => {
    expect(DpopKey.from(jwk)).toBeUndefined()
  },
)

test('a nonce is used at the origin that gave it, until another one comes', async () => {
  const key = DpopKey.generate()
  expect(key.noteNonce(`${URL_OF_SERVER}?x`, 'n1')).toBe(true)
  expect(key.noteNonce(URL_OF_SERVER, 'n1')).toBe(false)
  expect(await verified(key.proof('GET', URL_OF_SERVER))).toMatchObject({ nonce: 'n1' })
  expect(await verified(key.proof('GET', 'https://auth.example/token'))).not.toHaveProperty('nonce')
  expect(key.noteNonce(URL_OF_SERVER, 'n2')).toBe(true)
  expect(await verified(key.proof('GET', URL_OF_SERVER))).toMatchObject({ nonce: 'n2' })
})

test('a nonce that is none is not kept', async () => {
  const key = DpopKey.generate()
  for (const nonce of [undefined, null, '', 'a b', 'x'.repeat(2000)])
    expect(key.noteNonce(URL_OF_SERVER, nonce)).toBe(false)
  expect(await verified(key.proof('GET', URL_OF_SERVER))).not.toHaveProperty('nonce')
})

test('nonces of many origins are not kept', async () => {
  const key = DpopKey.generate()
  for (let n = 0; n < 100; n++) key.noteNonce(`https://h${n}.example/`, `n${n}`)
  expect(await verified(key.proof('GET', 'https://h0.example/'))).not.toHaveProperty('nonce')
  expect(await verified(key.proof('GET', 'https://h99.example/'))).toMatchObject({ nonce: 'n99' })
})

test.each([
  ['DPoP error="use_dpop_nonce", error_description="x"', true],
  ['Bearer realm="a", DPoP error=use_dpop_nonce', true],
  ['DPoP error="invalid_token"', false],
  ['Bearer error="use_dpop_nonce"', false],
  [undefined, false],
])('%s asks for a nonce: %s', (challenge, asks) => {
  expect(asksForNonce(challenge)).toBe(asks)
})
