import { expect, it } from 'vitest'
import { Pieces } from '../../../../../src/upstream/transport/http/pieces.ts'

it('a large text arrives as it was, in pieces that end between characters', async () => {
  const text = `x${'🙂'.repeat(100_000)}é`
  const parts: Buffer[] = []
  for await (const part of new Pieces(text)) parts.push(part)
  expect(parts.length).toBeGreaterThan(3)
  expect(Buffer.concat(parts).equals(Buffer.from(text))).toBe(true)
})
