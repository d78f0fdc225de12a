import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { knownValid } from '../../../../src/config/source/known-valid.ts'
import { makeScratch } from '../../../helpers/scratch.ts'

const hash = (at: number): string => at.toString(16).padStart(64, '0')

test('what was remembered is known, to later processes too', async () => {
  await using scratch = makeScratch()
  const file = join(scratch.path, 'state', 'valid')
  expect(await knownValid(file).isKnownValid(hash(1))).toBe(false)
  await knownValid(file).rememberValid(hash(1))
  await knownValid(file).rememberValid(hash(2))
  expect(await knownValid(file).isKnownValid(hash(1))).toBe(true)
  expect(await knownValid(file).isKnownValid(hash(2))).toBe(true)
  expect(await knownValid(file).isKnownValid(hash(1).slice(1))).toBe(false)
  expect(statSync(file).mode & 0o077).toBe(0)
  expect(readdirSync(join(scratch.path, 'state'))).toEqual(['valid'])
})

test('the oldest are forgotten', async () => {
  await using scratch = makeScratch()
  const { isKnownValid, rememberValid } = knownValid(join(scratch.path, 'valid'))
  for (let at = 0; at < 65; at++) await rememberValid(hash(at))
  expect(await isKnownValid(hash(0))).toBe(false)
  expect(await isKnownValid(hash(1))).toBe(true)
  expect(await isKnownValid(hash(64))).toBe(true)
})

test('a place that cannot be written costs nothing but time', async () => {
  await using scratch = makeScratch()
  const { isKnownValid, rememberValid } = knownValid(join(scratch.write('file', ''), 'valid'))
  await expect(rememberValid(hash(1))).resolves.toBeUndefined()
  expect(await isKnownValid(hash(1))).toBe(false)
})
